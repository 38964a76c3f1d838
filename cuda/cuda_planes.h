/*
** A tensor as planes: N images of C planes, each a contiguous run of elements, the planes themselves
** anywhere (slices along N and C). An N,C matrix has planes of one element. Passed to kernels by
** value.
*/
#ifndef CUDA_PLANES_H
#define CUDA_PLANES_H

#include "cuda_backend.h"

typedef struct cuda_planes {
  int64_t n, c, size;         /* images, planes of an image, elements of a plane */
  int64_t stride_n, stride_c; /* in elements */
} cuda_planes;

static inline cuda_planes cuda_planes_of(const dn_tensor *x) {
  const cuda_planes planes = {x->size[0], x->size[1], x->n_dim == 4 ? x->size[2] * x->size[3] : 1,
                              x->stride[0], x->stride[1]};
  return planes;
}

/* *quotient = i / by and *rest = i % by, of numbers that are not negative; fast below 2^32. */
__device__ static inline void cuda_divide(int64_t i, int64_t by, int64_t *quotient, int64_t *rest) {
  if (i <= UINT32_MAX && by <= UINT32_MAX) {
    *quotient = (uint32_t)i / (uint32_t)by;
    *rest = (uint32_t)i - (uint32_t)*quotient * (uint32_t)by;
    return;
  }
  *quotient = i / by;
  *rest = i - *quotient * by;
}

/* Where plane `plane` begins, planes counted row-major. */
__device__ static inline int64_t cuda_plane_at(const cuda_planes &planes, int64_t plane) {
  int64_t n, c;
  cuda_divide(plane, planes.c, &n, &c);
  return n * planes.stride_n + c * planes.stride_c;
}

#endif
