/*
** Sums over a channel's values in all images, two of them at a time, in a fixed order.
**
** The values of a channel, image after image, are cut into segments. A block takes one segment of one
** channel, its threads take packets of values in turn and add them in the computed type, and the block
** joins them in double into a pair of partial sums. Then a warp per channel adds the pairs up. How many
** values a packet has, and so the order of sums, follows from the size of planes alone.
*/
#ifndef CUDA_CHANNELS_H
#define CUDA_CHANNELS_H

#include "cuda_packet.h"
#include "cuda_planes.h"
#include "cuda_reduce.h"

static const int64_t CUDA_SEGMENT = 4096; /* values */

static inline int64_t cuda_segments(const cuda_planes &planes) {
  return (planes.n * planes.size + CUDA_SEGMENT - 1) / CUDA_SEGMENT;
}

/* A walk over the segments of channels, in packets. Passed to kernels by value. */
typedef struct cuda_channel_walk {
  int64_t n_packets;           /* of a channel */
  cuda_divisor segments, size; /* of a channel; packets of a plane */
} cuda_channel_walk;

static inline cuda_channel_walk cuda_channel_walk_of(const cuda_planes &planes, int packet) {
  const cuda_channel_walk walk = {planes.n * (planes.size / packet),
                                  cuda_divisor_of(cuda_segments(planes)),
                                  cuda_divisor_of(planes.size / packet)};
  return walk;
}

/* The block's segment of its channel: packets first..end-1 of the channel. I: as in cuda_divisor.h. */
template <typename I>
struct cuda_segment {
  uint32_t c, segment;
  I first, end;
};

template <int N, typename I>
__device__ static inline cuda_segment<I> cuda_segment_of(const cuda_channel_walk &walk) {
  const I length = CUDA_SEGMENT / N, n_packets = (I)walk.n_packets;
  cuda_segment<I> own;
  cuda_divide(blockIdx.x, walk.segments, &own.c, &own.segment);
  own.first = own.segment * length;
  own.end = own.first + length < n_packets ? own.first + length : n_packets;
  return own;
}

/* Of packet i of a channel: its image, and its first element within the plane. */
template <int N, typename I>
__device__ static inline void cuda_channel_place(const cuda_channel_walk &walk, I i, I *n, I *p) {
  cuda_divide(i, walk.size, n, p);
  *p *= N;
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
