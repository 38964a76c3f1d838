/*
** All pixels of a batch as one strip, for kernels that take so many at a time wherever images end.
**
** An image is `extent` pixels of the strip: its plane, rounded up to whole vectors of 16 bytes. The few
** that are not in the plane are neither read nor written. A tile that begins at a whole vector begins in
** a plane.
*/
#ifndef CUDA_STRIP_H
#define CUDA_STRIP_H

#include "cuda_planes.h"

typedef struct cuda_strip {
  int plane, extent, n, n_images; /* elements of a plane; pixels of an image, of all images */
} cuda_strip;

/* `vector` elements are 16 bytes. The caller has seen that all fit into an int (cuda_fused.h). */
static inline cuda_strip cuda_strip_of(const dn_tensor *x) {
  const int64_t vector = 16 / (int64_t)dn_dtype_size(x->dtype), plane = x->size[2] * x->size[3];
  const int64_t extent = (plane + vector - 1) / vector * vector;
  const cuda_strip strip = {(int)plane, (int)extent, (int)(extent * x->size[0]), (int)x->size[0]};
  return strip;
}

/* Where a pixel is: `there` elements of the plane, itself included, lie from it on; 0 or less: none. */
typedef struct cuda_spot {
  int image, at, there;
} cuda_spot;

__device__ static inline cuda_spot cuda_spot_of(const cuda_strip &strip, int pixel) {
  const int image = pixel / strip.extent, at = pixel - image * strip.extent;
  const cuda_spot spot = {image, at, pixel < strip.n ? strip.plane - at : 0};
  return spot;
}

/* `by` pixels further on. */
__device__ static inline void cuda_spot_move(cuda_spot *spot, const cuda_strip &strip, int by) {
  spot->at += by;
  while (spot->at >= strip.extent) {
    spot->at -= strip.extent;
    spot->image++;
  }
  spot->there = spot->image < strip.n_images ? strip.plane - spot->at : 0;
}

/* The element of channel 0 there. */
__device__ static inline int64_t cuda_spot_offset(const cuda_planes &planes,
                                                  const cuda_spot &spot) {
  return spot.image * planes.stride_n + spot.at;
}

#endif
