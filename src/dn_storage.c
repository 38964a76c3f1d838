#include "dn_storage.h"

#include "dn_account.h"

static atomic_llong n_made, n_all_writes;

static void release_bytes(dn_device *device, dn_device *pinned_by, void *data, int64_t n_bytes) {
  if (pinned_by)
    dn_free_pinned(pinned_by, data, n_bytes);
  else
    dn_free(device, data, n_bytes);
}

/* The header comes second, so that a failure has only the bytes to give back. */
static dn_status finish(dn_device *device, dn_device *pinned_by, void *data, int64_t n_bytes,
                        dn_storage **storage) {
  void *header = NULL;
  const dn_status status = dn_alloc(device->host, (int64_t)sizeof(dn_storage), &header);
  if (status != DN_OK) {
    release_bytes(device, pinned_by, data, n_bytes);
    return status;
  }
  dn_storage *made = header;
  made->serial = (int64_t)atomic_fetch_add_explicit(&n_made, 1, memory_order_relaxed) + 1;
  made->device = device;
  made->pinned_by = pinned_by;
  made->data = data;
  made->n_bytes = n_bytes;
  made->account = NULL;
  atomic_init(&made->n_references, 1);
  atomic_init(&made->n_writes, 0);
  *storage = made;
  return DN_OK;
}

dn_status dn_storage_new(dn_device *device, int64_t n_bytes, dn_storage **storage) {
  *storage = NULL;
  void *data = NULL;
  DN_TRY(dn_alloc(device, n_bytes, &data));
  return finish(device, NULL, data, n_bytes, storage);
}

dn_status dn_storage_new_pinned(dn_device *device, int64_t n_bytes, dn_storage **storage) {
  *storage = NULL;
  void *data = NULL;
  DN_TRY(dn_alloc_pinned(device, n_bytes, &data));
  return finish(device->host, device, data, n_bytes, storage);
}

dn_storage *dn_storage_retain(dn_storage *storage) {
  atomic_fetch_add_explicit(&storage->n_references, 1, memory_order_relaxed);
  return storage;
}

bool dn_storage_is_last(const dn_storage *storage) {
  return atomic_load_explicit(&storage->n_references, memory_order_relaxed) == 1;
}

void dn_storage_written(dn_storage *storage) {
  atomic_fetch_add_explicit(&storage->n_writes, 1, memory_order_relaxed);
}

void dn_storage_all_written(void) {
  atomic_fetch_add_explicit(&n_all_writes, 1, memory_order_relaxed);
}

int64_t dn_storage_all_writes(void) {
  return (int64_t)atomic_load_explicit(&n_all_writes, memory_order_relaxed);
}

void dn_storage_release(dn_storage *storage) {
  if (!storage) return;
  if (atomic_fetch_sub_explicit(&storage->n_references, 1, memory_order_acq_rel) != 1) return;
  dn_device *host = storage->device->host;
  dn_account_leave(storage);
  release_bytes(storage->device, storage->pinned_by, storage->data, storage->n_bytes);
  dn_free(host, storage, (int64_t)sizeof(dn_storage));
}
