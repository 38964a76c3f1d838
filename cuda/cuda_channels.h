/*
** Sums over a channel's values in all images, two of them at a time, in a fixed order.
**
** The values of a channel, image after image, are cut into segments. A block takes one segment of one
** channel, its threads add values in turn, in the computed type, and the block joins them in double
** into a pair of partial sums. Then a warp per channel adds the pairs up.
*/
#ifndef CUDA_CHANNELS_H
#define CUDA_CHANNELS_H

#include "cuda_planes.h"
#include "cuda_reduce.h"

static const int64_t CUDA_SEGMENT = 4096; /* values */

static inline int64_t cuda_segments(const cuda_planes &planes) {
  return (planes.n * planes.size + CUDA_SEGMENT - 1) / CUDA_SEGMENT;
}

/* Threads of a block. */
static inline int cuda_segment_threads(const cuda_planes &planes) {
  const int64_t n_values = planes.n * planes.size;
  return cuda_block_threads(n_values < CUDA_SEGMENT ? n_values : CUDA_SEGMENT);
}

/* The values that a thread takes: i = 0.. of the channel is element p of image n's plane. */
typedef struct cuda_walk {
  int64_t i, end, n, p, size;
  int64_t step_n, step_p; /* from one value to the thread's next */
} cuda_walk;

__device__ static inline cuda_walk cuda_walk_begin(const cuda_planes &planes, int64_t segment) {
  cuda_walk walk;
  const int64_t n_values = planes.n * planes.size, end = (segment + 1) * CUDA_SEGMENT;
  walk.i = segment * CUDA_SEGMENT + threadIdx.x;
  walk.end = end < n_values ? end : n_values;
  walk.size = planes.size;
  cuda_divide(walk.i, planes.size, &walk.n, &walk.p);
  cuda_divide(blockDim.x, planes.size, &walk.step_n, &walk.step_p);
  return walk;
}

__device__ static inline void cuda_walk_on(cuda_walk *walk) {
  walk->i += blockDim.x;
  walk->n += walk->step_n;
  walk->p += walk->step_p;
  if (walk->p < walk->size) return;
  walk->p -= walk->size;
  walk->n++;
}

/* The block's pair of sums, written by its first thread. `shared` as for cuda_block_reduce. */
__device__ static inline void cuda_pair_store(double *pair, double first, double second,
                                              double *shared) {
  first = cuda_block_reduce(first, 0.0, shared, cuda_add());
  second = cuda_block_reduce(second, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) {
    pair[0] = first;
    pair[1] = second;
  }
}

/* The sums of n_pairs pairs, in every lane of a warp. */
__device__ static inline void cuda_pairs_join(const double *pairs, int64_t n_pairs, double *first,
                                              double *second) {
  double a = 0, b = 0;
  for (int64_t i = threadIdx.x % CUDA_WARP; i < n_pairs; i += CUDA_WARP) {
    a += pairs[2 * i];
    b += pairs[2 * i + 1];
  }
  *first = cuda_warp_reduce(a, cuda_add());
  *second = cuda_warp_reduce(b, cuda_add());
}

#endif
