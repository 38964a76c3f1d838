#include "dn_device.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dn_backend.h"
#include "dn_cuda.h"

static dn_device cpu = {.name = "cpu",
                        .backend = &dn_cpu_backend,
                        .has_values = true,
                        .memory_lock = PTHREAD_MUTEX_INITIALIZER};

static dn_device plan = {
    .name = "plan", .backend = &dn_plan_backend, .memory_lock = PTHREAD_MUTEX_INITIALIZER};

dn_device *dn_device_cpu(void) { return &cpu; }

/* ---- CUDA ---- */

enum { MOST_CUDA_DEVICES = 16 };

typedef struct cuda_slot {
  dn_device device;
  bool is_open;
  bool is_lost; /* opened by the process that forked this one */
} cuda_slot;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static cuda_slot cuda_slots[2][MOST_CUDA_DEVICES]; /* GPUs, and their plans */

/* "cuda", "cuda:3", "plan:cuda", "plan:cuda:3". */
static bool parse_cuda(const char *name, bool *is_plan, int *ordinal) {
  *is_plan = strncmp(name, "plan:", 5) == 0;
  if (*is_plan) name += 5;
  if (strncmp(name, "cuda", 4) != 0) return false;
  name += 4;
  *ordinal = 0;
  if (*name == '\0') return true;
  if (*name++ != ':' || *name < '0' || *name > '9' || (*name == '0' && name[1])) return false;
  for (; *name >= '0' && *name <= '9'; name++)
    if (*ordinal < 1000) *ordinal = 10 * *ordinal + (*name - '0');
  return *name == '\0';
}

static dn_status open_cuda(cuda_slot *slot, bool is_plan, int ordinal) {
  const dn_cuda_module *module;
  DN_TRY(dn_cuda_load(&module));
  dn_device *device = &slot->device;
  snprintf(device->name, sizeof device->name, "%scuda:%d", is_plan ? "plan:" : "", ordinal);
  device->backend = is_plan ? module->plan_backend : module->backend;
  device->has_values = !is_plan;
  if (!is_plan) DN_TRY(module->device_open(device, ordinal));
  if (pthread_mutex_init(&device->memory_lock, NULL) != 0)
    return dn_error(DN_ENOMEM, "no lock for device '%s'", device->name);
  slot->is_open = true;
  return DN_OK;
}

static dn_status find_cuda(const char *name, bool is_plan, int ordinal, dn_device **device) {
  if (ordinal >= MOST_CUDA_DEVICES)
    return dn_error(DN_EDEVICE, "device '%s' is not available: devices count from 0 to %d", name,
                    MOST_CUDA_DEVICES - 1);
  cuda_slot *slot = &cuda_slots[is_plan][ordinal];
  pthread_mutex_lock(&opening);
  const dn_status status = slot->is_open ? DN_OK : open_cuda(slot, is_plan, ordinal);
  pthread_mutex_unlock(&opening);
  if (status != DN_OK) return status;
  if (slot->is_lost)
    return dn_error(DN_EDEVICE,
                    "device '%s' is not available: the process that forked this one has opened it, "
                    "and a GPU does not follow into the child",
                    slot->device.name);
  *device = &slot->device;
  return DN_OK;
}

/* ---- A process that forks ---- */

static pthread_once_t watching = PTHREAD_ONCE_INIT;

/* Does what is given to each lock that every state of the process shares, in one order. */
static void for_each_lock(int (*act)(pthread_mutex_t *)) {
  act(&opening);
  act(&cpu.memory_lock);
  act(&plan.memory_lock);
  for (int is_plan = 0; is_plan < 2; is_plan++)
    for (int i = 0; i < MOST_CUDA_DEVICES; i++)
      if (cuda_slots[is_plan][i].is_open) act(&cuda_slots[is_plan][i].device.memory_lock);
}

/* So that no thread holds one of them that is not there in the child to let it go. */
static void before_fork(void) { for_each_lock(pthread_mutex_lock); }

static void after_fork(void) { for_each_lock(pthread_mutex_unlock); }

static void after_fork_in_child(void) {
  after_fork();
  for (int i = 0; i < MOST_CUDA_DEVICES; i++) cuda_slots[0][i].is_lost |= cuda_slots[0][i].is_open;
}

static void watch_forks(void) {
  (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void dn_device_survive_forks(void) { (void)pthread_once(&watching, watch_forks); }

dn_status dn_device_describe(dn_device *device, dn_device_info *info) {
  memset(info, 0, sizeof *info);
  return device->backend->describe(device, info);
}

dn_status dn_device_tf32(dn_device *device, bool on) { return device->backend->tf32(device, on); }

dn_status dn_device_synchronize(dn_device *device) { return device->backend->synchronize(device); }

dn_status dn_device_find(const char *name, dn_device **device) {
  if (strcmp(name, "cpu") == 0) {
    *device = &cpu;
    return DN_OK;
  }
  if (strcmp(name, "plan") == 0) {
    *device = &plan;
    return DN_OK;
  }
  bool is_plan;
  int ordinal;
  if (parse_cuda(name, &is_plan, &ordinal)) return find_cuda(name, is_plan, ordinal, device);
  return dn_error(DN_EARG, "unknown device '%s'; expected 'cpu' or 'cuda'", name);
}

static _Thread_local int n_threads; /* 0: not set in this thread */

/* OMP_NUM_THREADS, of whose list for nested levels the first number counts; else every processor. */
static int threads_at_first(void) {
#ifdef _OPENMP
  const char *const asked = getenv("OMP_NUM_THREADS");
  const long n_asked = asked ? strtol(asked, NULL, 10) : 0;
  const long n = n_asked > 0 ? n_asked : sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > DN_MOST_THREADS ? DN_MOST_THREADS : (int)n;
#else
  return 1;
#endif
}

int dn_threads(void) {
  if (n_threads == 0) n_threads = threads_at_first();
  return n_threads;
}

void dn_threads_set(int count) {
#ifdef _OPENMP
  n_threads = count < 1 ? 1 : count > DN_MOST_THREADS ? DN_MOST_THREADS : count;
#else
  (void)count;
#endif
}

static atomic_bool reference;

bool dn_reference(void) { return atomic_load_explicit(&reference, memory_order_relaxed); }

void dn_reference_set(bool on) { atomic_store(&reference, on); }
