/*
** A tensor as planes: N images of C planes, each a contiguous run of elements, the planes themselves
** anywhere (slices along N and C). An N,C matrix has planes of one element. Passed to kernels by
** value.
*/
#ifndef CUDA_PLANES_H
#define CUDA_PLANES_H

#include "cuda_divisor.h"

typedef struct cuda_planes {
  int64_t n, c, size;         /* images, planes of an image, elements of a plane */
  int64_t stride_n, stride_c; /* in elements */
} cuda_planes;

static inline cuda_planes cuda_planes_of(const dn_tensor *x) {
  const cuda_planes planes = {x->size[0], x->size[1], x->n_dim == 4 ? x->size[2] * x->size[3] : 1,
                              x->stride[0], x->stride[1]};
  return planes;
}

/*
** Whether packets of n elements can be taken in one go: `data` and all planes begin at multiples of
** their bytes. Planes hold whole packets (cuda_packet_dividing).
*/
static inline bool cuda_planes_fit(const cuda_planes &planes, const void *data, int n,
                                   int64_t element_bytes) {
  return (uintptr_t)data % (uintptr_t)(n * element_bytes) == 0 &&
         (planes.n == 1 || planes.stride_n % n == 0) && (planes.c == 1 || planes.stride_c % n == 0);
}

/* The same of a tensor. */
static inline bool cuda_planes_fit(const dn_tensor *x, int n) {
  return cuda_planes_fit(cuda_planes_of(x), dn_tensor_data(x), n, (int64_t)dn_dtype_size(x->dtype));
}

/* A walk over the packets of all planes, image by image. Passed to kernels by value. */
typedef struct cuda_plane_walk {
  int64_t n_packets;
  cuda_divisor size, c; /* packets of a plane; planes of an image */
} cuda_plane_walk;

static inline cuda_plane_walk cuda_plane_walk_of(const cuda_planes &planes, int packet) {
  const cuda_plane_walk walk = {planes.n * planes.c * (planes.size / packet),
                                cuda_divisor_of(planes.size / packet), cuda_divisor_of(planes.c)};
  return walk;
}

/* Plane c of image n, and a packet in it. I: as in cuda_divisor.h. */
template <typename I>
struct cuda_plane_place {
  I n, c, packet;
};

template <typename I>
__device__ static inline cuda_plane_place<I> cuda_plane_place_of(const cuda_plane_walk &walk, I i) {
  cuda_plane_place<I> at;
  I plane;
  cuda_divide(i, walk.size, &plane, &at.packet);
  cuda_divide(plane, walk.c, &at.n, &at.c);
  return at;
}

/* Where the packet begins, in elements. */
template <int N, typename I>
__device__ static inline int64_t cuda_plane_offset(const cuda_planes &planes,
                                                   const cuda_plane_place<I> &at) {
  return at.n * planes.stride_n + at.c * planes.stride_c + (int64_t)at.packet * N;
}

#endif
