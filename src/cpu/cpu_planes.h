/*
** A tensor as planes: N images of C planes, each a contiguous run of elements, the planes
** themselves anywhere. N,C,H,W tensors may be slices of a larger buffer along N and C and have just
** that form; an N,C matrix has planes of one element, and anything else is one contiguous run.
*/
#ifndef CPU_PLANES_H
#define CPU_PLANES_H

#include "../dn_tensor.h"

typedef struct cpu_planes {
  int64_t n, c, size;         /* images, planes of an image, elements of a plane */
  int64_t stride_n, stride_c; /* in elements */
} cpu_planes;

static inline cpu_planes cpu_planes_of(const dn_tensor *x) {
  if (x->n_dim == 4) {
    const cpu_planes planes = {x->size[0], x->size[1], x->size[2] * x->size[3], x->stride[0],
                               x->stride[1]};
    return planes;
  }
  if (x->n_dim == 2) {
    const cpu_planes planes = {x->size[0], x->size[1], 1, x->stride[0], x->stride[1]};
    return planes;
  }
  const int64_t count = dn_tensor_count(x);
  const cpu_planes planes = {1, 1, count, count, count};
  return planes;
}

#endif
