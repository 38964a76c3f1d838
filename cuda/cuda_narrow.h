/*
** Weights in 16 bits, kept beside the float vector that holds all of a network's (densenet.nn.flat_parameters),
** so that a step rounds them once and not at each use.
**
** They are made from the float ones when somebody asks for one of them and they are stale, all by one
** launch; and they are stale from then on that anything writes to the vector: an operation, by its roles in
** dn_ops.def; a copy; ranks, which have the stream for themselves meanwhile; the launch of a captured graph,
** which knows nothing of this. So no use ever sees weights of before.
*/
#ifndef CUDA_NARROW_H
#define CUDA_NARROW_H

#include "cuda_backend.h"

/* Those of one vector. */
typedef struct cuda_narrow {
  const dn_storage *wide; /* not retained: its end takes this away */
  const float *first;
  int64_t n;
  dn_storage *narrow; /* retained */
  dn_dtype dtype;
  bool is_fresh;
} cuda_narrow;

/* dn_weights_narrow's slot. */
dn_status cuda_weights_narrow(dn_tensor *weights, dn_tensor *narrow);

/*
** `weight`, n numbers, in half or bfloat16: where they are kept, or else rounded into `room`. Called inside.
** Returns DN_EDEVICE.
*/
dn_status cuda_weight_beside(const void *weight, int64_t n, dn_dtype dtype, void *room,
                             const void **beside);

/* Called inside: a tensor is about to be written (NULL: none), n_bytes of the device are, anything may be. */
void cuda_narrow_written(const dn_tensor *tensor);
void cuda_narrow_written_bytes(const void *to, int64_t n_bytes);
void cuda_narrow_forget(void);

/* A block goes back to the pool: what was kept beside it is given up. */
void cuda_narrow_block_freed(cuda_device *state, const void *block);

#endif
