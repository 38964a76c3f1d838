/*
** The least that a backend can be: memory of the host, copies, and `fill` of contiguous float tensors.
** spec/core/plugin_spec.lua builds it as small.so beside core.so. Its second device is not there.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/dn_plugin.h"

static const dn_plugin_host *host;

static dn_status refuse(dn_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  host->error_list(status, 0, format, list);
  va_end(list);
  return status;
}

static dn_status memory_new(dn_device *device, int64_t n_bytes, void **block) {
  (void)device;
  *block = aligned_alloc(64, ((size_t)n_bytes + 64) / 64 * 64);
  return *block ? DN_OK : DN_ENOMEM;
}

static void memory_free(dn_device *device, void *block, int64_t n_bytes) {
  (void)device;
  (void)n_bytes;
  free(block);
}

static int64_t memory_reserved(dn_device *device, int64_t live) {
  (void)device;
  return live;
}

static void nothing(dn_device *device) { (void)device; }

static dn_status move(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  (void)device;
  memcpy(to, from, (size_t)n_bytes);
  return DN_OK;
}

static dn_status transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                          int64_t n_bytes) {
  (void)from_device;
  return move(to_device, to, from, n_bytes);
}

static dn_status wait(dn_device *device) {
  (void)device;
  return DN_OK;
}

static dn_status describe(dn_device *device, dn_device_info *info) {
  snprintf(info->name, sizeof info->name, "the small one, as %s", device->name);
  return DN_OK;
}

static dn_status tf32(dn_device *device, bool on) {
  (void)on;
  return refuse(DN_EDEVICE, "%s does not support TF32", device->name);
}

static int64_t scratch_planned(dn_device *device, bool resets) {
  (void)device;
  (void)resets;
  return 0;
}

static dn_status fill(dn_tensor *y, dn_number given) {
  const double value =
      given.at ? ((const double *)given.at->storage->data)[given.at->offset] : given.value;
  float *to = (float *)y->storage->data + y->offset;
  int64_t n = 1;
  for (int d = 0; d < y->n_dim; d++) n *= y->size[d];
  for (int64_t i = 0; i < n; i++) to[i] = (float)value;
  return DN_OK;
}

static const dn_backend backend = {
    .name = "small",
    .memory_new = memory_new,
    .memory_free = memory_free,
    .memory_reserved = memory_reserved,
    .memory_trim = nothing,
    .pinned_new = memory_new,
    .pinned_free = memory_free,
    .upload = move,
    .download = move,
    .transfer = transfer,
    .upload_async = move,
    .upload_join = wait,
    .upload_wait = wait,
    .synchronize = wait,
    .describe = describe,
    .tf32 = tf32,
    .scratch_release = nothing,
    .scratch_planned = scratch_planned,
    .fill = fill,
};

static dn_status device_open(dn_device *device, int ordinal) {
  return ordinal == 0 ? DN_OK : refuse(DN_EDEVICE, "no %s: there is one", device->name);
}

dn_status dn_plugin_open(const dn_plugin_host *given, dn_plugin *plugin);

dn_status dn_plugin_open(const dn_plugin_host *given, dn_plugin *plugin) {
  host = given;
  if (given->n_bytes != sizeof *given) return DN_EDEVICE;
  plugin->backend = &backend;
  plugin->plan_backend = NULL;
  plugin->device_open = device_open;
  plugin->device_count = NULL;
  return DN_OK;
}
