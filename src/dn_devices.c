#include "dn_devices.h"

#include <stdio.h>
#include <string.h>

#include "dn_backend.h"
#include "dn_plugin.h"

/* ---- Part of the library ---- */

static dn_device plan = {
    .name = "plan", .backend = &dn_plan_backend, .memory_lock = PTHREAD_MUTEX_INITIALIZER};

/*
** The ground floor knows no backend (dn_device.c), so "cpu" gets its own here; before anybody can ask for
** a tensor.
*/
__attribute__((constructor)) static void give_backends(void) {
  dn_device_cpu()->backend = &dn_cpu_backend;
  plan.host = dn_device_cpu();
}

/* ---- Those of plugins ---- */

enum { MOST_KINDS = 4, MOST_DEVICES = 16, MOST_NAME = 12 };

typedef struct slot {
  dn_device device;
  bool is_open;
  bool is_lost; /* opened by the process that forked this one */
} slot;

/* Devices of one plugin. */
typedef struct kind {
  char name[MOST_NAME]; /* "cuda"; empty: not used yet */
  dn_plugin plugin;
  slot slots[2][MOST_DEVICES]; /* devices, and their plans */
} kind;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static kind kinds[MOST_KINDS];

/* A device's name in parts. */
typedef struct device_name {
  char kind[MOST_NAME];
  bool is_plan;
  int ordinal;
} device_name;

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

/* "cuda", "cuda:3", "plan:cuda", "plan:cuda:3"; false for what names nothing. */
static bool parse(const char *text, device_name *name) {
  memset(name, 0, sizeof *name);
  name->is_plan = strncmp(text, "plan:", 5) == 0;
  if (name->is_plan) text += 5;
  int n = 0;
  for (; is_letter(*text) && n < MOST_NAME - 1; text++) name->kind[n++] = *text;
  if (n == 0) return false;
  if (*text == '\0') return true;
  if (*text++ != ':' || *text < '0' || *text > '9' || (*text == '0' && text[1])) return false;
  for (; *text >= '0' && *text <= '9'; text++)
    if (name->ordinal < 1000) name->ordinal = 10 * name->ordinal + (*text - '0');
  return *text == '\0';
}

static dn_status open_slot(slot *into, const kind *of, const device_name *name) {
  dn_device *device = &into->device;
  memset(device, 0, sizeof *device);
  snprintf(device->name, sizeof device->name, "%s%s:%d", name->is_plan ? "plan:" : "", name->kind,
           name->ordinal);
  device->backend = name->is_plan ? of->plugin.plan_backend : of->plugin.backend;
  if (!device->backend) return dn_error(DN_EDEVICE, "%s has no plan devices", of->name);
  device->host = dn_device_cpu();
  device->has_values = !name->is_plan;
  if (!name->is_plan) DN_TRY(of->plugin.device_open(device, name->ordinal));
  if (pthread_mutex_init(&device->memory_lock, NULL) != 0)
    return dn_error(DN_ENOMEM, "no lock for device '%s'", device->name);
  into->is_open = true;
  return DN_OK;
}

/* The kind called `name`, its plugin loaded; the caller holds the lock. */
static dn_status find_kind(const char *name, kind **found) {
  for (int i = 0; i < MOST_KINDS; i++) {
    if (kinds[i].name[0] == '\0') {
      DN_TRY(dn_plugin_load(name, &kinds[i].plugin));
      snprintf(kinds[i].name, sizeof kinds[i].name, "%s", name);
    }
    if (strcmp(kinds[i].name, name) == 0) {
      *found = &kinds[i];
      return DN_OK;
    }
  }
  return dn_error(DN_EDEVICE, "no %s: %d other kinds of devices are in use", name, MOST_KINDS);
}

static dn_status find_slot(const device_name *name, dn_device **device) {
  kind *of = NULL;
  DN_TRY(find_kind(name->kind, &of));
  slot *found = &of->slots[name->is_plan][name->ordinal];
  if (!found->is_open) DN_TRY(open_slot(found, of, name));
  if (found->is_lost)
    return dn_error(DN_EDEVICE,
                    "device '%s' is not available: the process that forked this one has opened it, "
                    "and a GPU does not follow into the child",
                    found->device.name);
  *device = &found->device;
  return DN_OK;
}

dn_status dn_device_find(const char *name, dn_device **device) {
  const bool is_plan = strcmp(name, "plan") == 0;
  if (is_plan || strcmp(name, "cpu") == 0) {
    *device = is_plan ? &plan : dn_device_cpu();
    return DN_OK;
  }
  device_name parsed;
  if (!parse(name, &parsed) || !dn_plugin_is_known(parsed.kind))
    return dn_error(DN_EARG, "unknown device '%s'; expected 'cpu' or 'cuda'", name);
  if (parsed.ordinal >= MOST_DEVICES)
    return dn_error(DN_EDEVICE, "device '%s' is not available: devices count from 0 to %d", name,
                    MOST_DEVICES - 1);
  pthread_mutex_lock(&opening);
  const dn_status status = find_slot(&parsed, device);
  pthread_mutex_unlock(&opening);
  return status;
}

dn_status dn_device_count(const char *name, int *n) {
  kind *of = NULL;
  if (!dn_plugin_is_known(name))
    return dn_error(DN_EARG, "unknown device '%s'; expected 'cuda'", name);
  pthread_mutex_lock(&opening);
  const dn_status status = find_kind(name, &of);
  pthread_mutex_unlock(&opening);
  DN_TRY(status);
  *n = 1;
  return of->plugin.device_count ? of->plugin.device_count(n) : DN_OK;
}

/* ---- A process that forks ---- */

static pthread_once_t watching = PTHREAD_ONCE_INIT;

/* visit(slot) for every open device of a plugin, and every open plan of one. */
static void for_each_open(void (*visit)(slot *)) {
  for (int k = 0; k < MOST_KINDS; k++)
    for (int i = 0; i < 2 * MOST_DEVICES; i++) {
      slot *const each = &kinds[k].slots[i / MOST_DEVICES][i % MOST_DEVICES];
      if (each->is_open) visit(each);
    }
}

static void lock(slot *each) { pthread_mutex_lock(&each->device.memory_lock); }

static void unlock(slot *each) { pthread_mutex_unlock(&each->device.memory_lock); }

static void lose(slot *each) { each->is_lost |= each->device.has_values; }

/* Takes each lock that every state of the process shares, so that none is held in the child by nobody. */
static void before_fork(void) {
  pthread_mutex_lock(&opening);
  pthread_mutex_lock(&dn_device_cpu()->memory_lock);
  pthread_mutex_lock(&plan.memory_lock);
  for_each_open(lock);
}

static void after_fork(void) {
  for_each_open(unlock);
  pthread_mutex_unlock(&plan.memory_lock);
  pthread_mutex_unlock(&dn_device_cpu()->memory_lock);
  pthread_mutex_unlock(&opening);
}

static void after_fork_in_child(void) {
  after_fork();
  for_each_open(lose);
}

static void watch_forks(void) {
  (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void dn_device_survive_forks(void) { (void)pthread_once(&watching, watch_forks); }

/* ---- What can be asked of a device ---- */

dn_status dn_device_describe(dn_device *device, dn_device_info *info) {
  memset(info, 0, sizeof *info);
  return device->backend->describe(device, info);
}

dn_status dn_device_tf32(dn_device *device, bool on) { return device->backend->tf32(device, on); }

dn_status dn_device_synchronize(dn_device *device) {
  DN_TRY(dn_graph_refuse(device, "synchronize"));
  return device->backend->synchronize(device);
}

/* What a captured step uses stays. */
void dn_device_scratch_release(dn_device *device) {
  if (dn_graph_refuse(device, "scratch_release") == DN_OK) device->backend->scratch_release(device);
}

int64_t dn_device_scratch_planned(dn_device *device, bool resets) {
  return device->backend->scratch_planned(device, resets);
}

double dn_device_peak(dn_device *device, dn_dtype dtype) {
  return device->backend->peak ? device->backend->peak(dtype) : 0;
}

bool dn_device_testing(dn_device *device, const char *hook, int64_t value, const char **answer) {
  *answer = NULL;
  return device->backend->testing && device->backend->testing(device, hook, value, answer);
}
