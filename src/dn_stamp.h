/*
** What tensors held, as a text to compare: two stamps of the same tensors are equal only where in between
** nobody wrote to their storages, and each is still the same view of the same storage. For what is kept
** beside tensors that it was made of.
*/
#ifndef DN_STAMP_H
#define DN_STAMP_H

#include <stddef.h>

#include "dn_tensor.h"

typedef struct dn_stamp {
  int64_t storage, n_writes, all_writes; /* the storage's serial number; its writes; those of all */
  int64_t offset, dtype, n_dim;
  struct {
    int64_t size, stride;
  } dim[DN_MAX_DIM]; /* the first n_dim */
} dn_stamp;

/* Of a tensor; all zeros of NULL and of a freed one. */
dn_stamp dn_stamp_of(const dn_tensor *tensor);

/* How many of its bytes, from the first on, mean something. */
static inline size_t dn_stamp_bytes(const dn_stamp *stamp) {
  return offsetof(dn_stamp, dim) + (size_t)stamp->n_dim * sizeof *stamp->dim;
}

#endif
