/*
** Sums and the like over a warp and over a block, in a fixed order, so that results are the same
** bits at every run. Every thread of the block takes part and gets the result.
*/
#ifndef CUDA_REDUCE_H
#define CUDA_REDUCE_H

#include "cuda_backend.h"

enum { CUDA_MOST_WARPS = 32 };

struct cuda_add {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

/* NaN wins. */
struct cuda_max {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a != a || a > b ? a : b;
  }
};

/* By a butterfly: lane i with i^16, i^8, ... All 32 lanes take part. */
template <typename Join, typename T>
__device__ static inline T cuda_warp_reduce(T value, Join join) {
  for (int distance = CUDA_WARP / 2; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  return value;
}

/* Threads of a block that walks n elements together: a warp, and more where each has over sixteen. */
static inline int cuda_block_threads(int64_t n) {
  int threads = CUDA_WARP;
  while (threads < CUDA_THREADS && 16 * threads < n) threads *= 2;
  return threads;
}

/*
** `shared` holds CUDA_MOST_WARPS elements, and may be used again at once. The block has whole warps;
** blockDim.y and z are 1. `nothing` is what changes no result: 0 of a sum.
*/
template <typename Join, typename T>
__device__ static inline T cuda_block_reduce(T value, T nothing, T *shared, Join join) {
  const int lane = (int)threadIdx.x % CUDA_WARP, warp = (int)threadIdx.x / CUDA_WARP;
  const int n_warps = (int)blockDim.x / CUDA_WARP;
  value = cuda_warp_reduce(value, join);
  __syncthreads(); /* readers of an earlier use are done */
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  return cuda_warp_reduce(lane < n_warps ? shared[lane] : nothing, join);
}

#endif
