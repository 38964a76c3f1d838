#include "dn_alloc.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "dn_backend.h"
#include "dn_device.h"

static atomic_llong refuse_countdown; /* 0: no refusal ordered */

/* One step of the countdown; true for the allocation that was ordered to fail. */
static bool is_refused(void) {
  long long left = atomic_load(&refuse_countdown);
  while (left > 0)
    if (atomic_compare_exchange_weak(&refuse_countdown, &left, left - 1)) return left == 1;
  return false;
}

void dn_alloc_refuse(int64_t nth) { atomic_store(&refuse_countdown, nth > 0 ? nth : 0); }

/* Books n_bytes before they exist, so that two threads cannot pass the limit together. */
static bool reserve(dn_device *device, int64_t n_bytes) {
  pthread_mutex_lock(&device->memory_lock);
  dn_memory *memory = &device->memory;
  const int64_t limit = device->limit_bytes > 0 ? device->limit_bytes : INT64_MAX;
  const bool fits = n_bytes <= limit - memory->live_bytes;
  if (fits) memory->live_bytes += n_bytes;
  pthread_mutex_unlock(&device->memory_lock);
  return fits;
}

static void cancel(dn_device *device, int64_t n_bytes) {
  pthread_mutex_lock(&device->memory_lock);
  device->memory.live_bytes -= n_bytes;
  pthread_mutex_unlock(&device->memory_lock);
}

static void confirm(dn_device *device) {
  pthread_mutex_lock(&device->memory_lock);
  dn_memory *memory = &device->memory;
  memory->n_blocks++;
  memory->n_allocated++;
  if (memory->live_bytes > memory->peak_bytes) memory->peak_bytes = memory->live_bytes;
  pthread_mutex_unlock(&device->memory_lock);
}

typedef dn_status maker(dn_device *device, int64_t n_bytes, void **block);

/* `counted` is the device whose memory this is, `made_by` the one that makes it. */
static dn_status allocate(dn_device *counted, dn_device *made_by, maker *make, int64_t n_bytes,
                          void **block) {
  *block = NULL;
  if (n_bytes < 0) return dn_error(DN_EARG, "cannot allocate %" PRId64 " bytes", n_bytes);
  if (!is_refused() && reserve(counted, n_bytes)) {
    const dn_status status = make(made_by, n_bytes, block);
    if (status == DN_OK) {
      confirm(counted);
      return DN_OK;
    }
    cancel(counted, n_bytes);
    *block = NULL;
    if (status != DN_ENOMEM) return status;
  }
  const dn_memory memory = dn_memory_read(counted);
  const int64_t limit = dn_alloc_limit_of(counted);
  char limited[48] = "";
  if (limit > 0) snprintf(limited, sizeof limited, "; the limit is %" PRId64, limit);
  return dn_error(DN_ENOMEM,
                  "out of memory on %s: %" PRId64 " bytes asked for, %" PRId64 " in use, %" PRId64
                  " at the peak%s",
                  counted->name, n_bytes, memory.live_bytes, memory.peak_bytes, limited);
}

static void discount(dn_device *device, int64_t n_bytes) {
  pthread_mutex_lock(&device->memory_lock);
  device->memory.live_bytes -= n_bytes;
  device->memory.n_blocks--;
  pthread_mutex_unlock(&device->memory_lock);
}

dn_status dn_alloc(dn_device *device, int64_t n_bytes, void **block) {
  return allocate(device, device, device->backend->memory_new, n_bytes, block);
}

void dn_free(dn_device *device, void *block, int64_t n_bytes) {
  if (!block) return;
  device->backend->memory_free(device, block, n_bytes);
  discount(device, n_bytes);
}

dn_status dn_alloc_pinned(dn_device *device, int64_t n_bytes, void **block) {
  return allocate(device->host, device, device->backend->pinned_new, n_bytes, block);
}

void dn_free_pinned(dn_device *device, void *block, int64_t n_bytes) {
  if (!block) return;
  device->backend->pinned_free(device, block, n_bytes);
  discount(device->host, n_bytes);
}

dn_memory dn_memory_read(dn_device *device) {
  pthread_mutex_lock(&device->memory_lock);
  dn_memory memory = device->memory;
  pthread_mutex_unlock(&device->memory_lock);
  memory.reserved_bytes = device->backend->memory_reserved(device, memory.live_bytes);
  return memory;
}

void dn_memory_trim(dn_device *device) { device->backend->memory_trim(device); }

void dn_memory_reset_peak(dn_device *device) {
  pthread_mutex_lock(&device->memory_lock);
  device->memory.peak_bytes = device->memory.live_bytes;
  pthread_mutex_unlock(&device->memory_lock);
}

void dn_alloc_limit(dn_device *device, int64_t n_bytes) {
  pthread_mutex_lock(&device->memory_lock);
  device->limit_bytes = n_bytes;
  pthread_mutex_unlock(&device->memory_lock);
}

int64_t dn_alloc_limit_of(dn_device *device) {
  pthread_mutex_lock(&device->memory_lock);
  const int64_t n_bytes = device->limit_bytes;
  pthread_mutex_unlock(&device->memory_lock);
  return n_bytes;
}
