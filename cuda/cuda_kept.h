/*
** A set of storages, each of which it has one reference to.
*/
#ifndef CUDA_KEPT_H
#define CUDA_KEPT_H

#include "cuda_backend.h"

typedef struct cuda_kept {
  dn_storage **slots; /* by address; NULL: free */
  int64_t n, room;    /* room: a power of two, more than n */
} cuda_kept;

/* One more, unless it is there. Returns DN_ENOMEM. */
dn_status cuda_kept_add(cuda_kept *kept, dn_storage *storage);

/* Lets go of all. */
void cuda_kept_clear(cuda_kept *kept);

#endif
