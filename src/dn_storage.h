/*
** A storage is a block of bytes on one device, shared by the tensors that view it. References
** are counted atomically, because tensors cross from a loader's threads to the main one.
*/
#ifndef DN_STORAGE_H
#define DN_STORAGE_H

#include <stdatomic.h>

#include "dn_device.h"

typedef struct dn_storage {
  dn_device *device;
  void *data; /* aligned to 64 bytes */
  int64_t n_bytes;
  atomic_int n_references;
} dn_storage;

/* A storage with one reference, content undefined. Returns DN_ENOMEM and leaves *storage NULL. */
dn_status dn_storage_new(dn_device *device, int64_t n_bytes, dn_storage **storage);

/* One reference more; returns the storage. */
dn_storage *dn_storage_retain(dn_storage *storage);

/* One reference less; the last one gives the bytes back. NULL is ignored. */
void dn_storage_release(dn_storage *storage);

#endif
