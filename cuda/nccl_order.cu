#include "nccl_order.h"

#include "cuda_dtype.h"
#include "nccl_host.h"

/*
** The bits of a double are ordered as its values are, but that negative ones go down. A real of fewer bits
** is a double without loss.
*/
__device__ static inline int64_t rank_of(double x) {
  if (x != x) return INT64_MAX;
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits >= 0 ? bits : bits ^ INT64_MAX;
}

__device__ static inline double real_of(int64_t rank) {
  if (rank == INT64_MAX) return (double)NAN;
  const int64_t bits = rank >= 0 ? rank : rank ^ INT64_MAX;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* A thread takes elements in turn. */
template <typename T>
__global__ void rank_kernel(int64_t *ranked, const T *reals, int64_t n) {
  CUDA_FOR(i, n) ranked[i] = rank_of((double)cuda_load(reals[i]));
}

template <typename T>
__global__ void unrank_kernel(T *reals, const int64_t *ranked, int64_t n) {
  CUDA_FOR(i, n) cuda_round(&reals[i], real_of(ranked[i]));
}

dn_status nccl_order_rank(int64_t *ranked, const void *reals, dn_dtype dtype, int64_t n,
                          cudaStream_t stream) {
  CUDA_FOR_REAL(dtype, T,
                CUDA_LAUNCH((rank_kernel<T>), cuda_blocks(n), CUDA_THREADS, 0, stream, ranked,
                            (const T *)reals, n));
  return DN_OK;
}

dn_status nccl_order_unrank(void *reals, const int64_t *ranked, dn_dtype dtype, int64_t n,
                            cudaStream_t stream) {
  CUDA_FOR_REAL(dtype, T,
                CUDA_LAUNCH((unrank_kernel<T>), cuda_blocks(n), CUDA_THREADS, 0, stream, (T *)reals,
                            ranked, n));
  return DN_OK;
}
