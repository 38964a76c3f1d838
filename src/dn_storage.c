#include "dn_storage.h"

dn_status dn_storage_new(dn_device *device, int64_t n_bytes, dn_storage **storage) {
  *storage = NULL;
  void *header = NULL, *data = NULL;
  DN_TRY(dn_alloc(dn_device_cpu(), (int64_t)sizeof(dn_storage), &header));
  const dn_status status = dn_alloc(device, n_bytes, &data);
  if (status != DN_OK) {
    dn_free(dn_device_cpu(), header, (int64_t)sizeof(dn_storage));
    return status;
  }
  dn_storage *made = header;
  made->device = device;
  made->data = data;
  made->n_bytes = n_bytes;
  atomic_init(&made->n_references, 1);
  *storage = made;
  return DN_OK;
}

dn_storage *dn_storage_retain(dn_storage *storage) {
  atomic_fetch_add_explicit(&storage->n_references, 1, memory_order_relaxed);
  return storage;
}

void dn_storage_release(dn_storage *storage) {
  if (!storage) return;
  if (atomic_fetch_sub_explicit(&storage->n_references, 1, memory_order_acq_rel) != 1) return;
  dn_free(storage->device, storage->data, storage->n_bytes);
  dn_free(dn_device_cpu(), storage, (int64_t)sizeof(dn_storage));
}
