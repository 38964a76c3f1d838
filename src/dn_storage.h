/*
** A storage is a block of bytes on one device, shared by the tensors that view it. References
** are counted atomically, because tensors cross from a loader's threads to the main one.
*/
#ifndef DN_STORAGE_H
#define DN_STORAGE_H

#include "dn_device.h"

/* The same bytes to C++ sources (cuda/), which never touch the count. */
#ifdef __cplusplus
typedef int dn_reference_count;
typedef long long dn_write_count;
#else
#include <stdatomic.h>
typedef atomic_int dn_reference_count;
typedef atomic_llong dn_write_count;
#endif

typedef struct dn_storage {
  int64_t serial; /* from 1, of this storage alone as long as the process lives; 0: lent memory */
  dn_device *device;
  void *data; /* aligned to 64 bytes */
  int64_t n_bytes;
  dn_reference_count n_references;
  dn_write_count n_writes; /* moves whenever somebody may have written here (dn_storage_written) */
  dn_device *pinned_by;    /* for host memory: the device that made it for copies, or NULL */
  struct dn_account *account; /* whose bytes these are (dn_account.h), or NULL */
} dn_storage;

/* A storage with one reference, content undefined. Returns DN_ENOMEM and leaves *storage NULL. */
dn_status dn_storage_new(dn_device *device, int64_t n_bytes, dn_storage **storage);

/* Host memory (its device is "cpu") from which `device` copies while the host goes on. */
dn_status dn_storage_new_pinned(dn_device *device, int64_t n_bytes, dn_storage **storage);

/* One reference more; returns the storage. */
dn_storage *dn_storage_retain(dn_storage *storage);

/* Is there one reference only? */
bool dn_storage_is_last(const dn_storage *storage);

/*
** Says that bytes of the storage were written, or are about to be. Whoever writes calls it: every operation
** for what it writes (DN_RUN), and by hand what reads files, images and other ranks' tensors. So whoever
** keeps something made of a tensor's values knows when to make it anew (dn_stamp.h).
*/
void dn_storage_written(dn_storage *storage);

/* The same for a write whose storage is not known any more: everything counts as written. */
void dn_storage_all_written(void);

/* Calls of dn_storage_all_written so far. */
int64_t dn_storage_all_writes(void);

/* One reference less; the last one gives the bytes back. NULL is ignored. */
void dn_storage_release(dn_storage *storage);

#endif
