/*
** Random fills. Element i, in row-major order whatever the strides, is a function of rng and i alone
** (dn_random.h), so the CPU and every GPU fill with the same numbers. A thread takes a position: two
** elements.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"

extern "C" {
#include "../src/dn_random.h"
}

/* start + scale times the pair's numbers, held at `most`, into elements 2 at and 2 at + 1. */
template <typename T>
__device__ static inline void write_pair(T *y, const dn_pair pair, double start, double scale,
                                         double most, int64_t at, const cuda_index &index) {
  for (int64_t i = 2 * at; i < 2 * at + 2 && i < index.n_elements; i++) {
    const double number = dn_random_scaled(start, scale, pair.number[i % 2]);
    int64_t offset[1];
    cuda_offsets<1>(index, i, offset);
    cuda_round(&y[offset[0]], number < most ? number : most);
  }
}

template <typename T>
__global__ void random_uniform_kernel(T *y, double low, double range, double most, dn_rng rng,
                                      const cuda_index index) {
  CUDA_FOR(at, (index.n_elements + 1) / 2)
  write_pair(y, dn_uniform_pair(rng, (uint64_t)at), low, range, most, at, index);
}

template <typename T>
__global__ void random_normal_kernel(T *y, double mean, double deviation, dn_rng rng,
                                     const cuda_index index) {
  CUDA_FOR(at, (index.n_elements + 1) / 2)
  write_pair(y, dn_normal_pair(rng, (uint64_t)at), mean, deviation, INFINITY, at, index);
}

/*
** One thread shuffles: every exchange may depend on the one before. The loaders of the data sets
** shuffle on the CPU.
*/
__global__ void random_permutation_kernel(int64_t *y, int64_t n, dn_rng rng) {
  for (int64_t i = 0; i < n; i++) y[i] = i + 1;
  for (int64_t i = n - 1; i > 0; i--) {
    const int64_t other = dn_shuffle_other(rng, i), kept = y[i];
    y[i] = y[other];
    y[other] = kept;
  }
}

static double rounded(int dtype, double value) {
  CUDA_FOR_REAL(dtype, T, return (double)cuda_load(cuda_convert<T>(value)));
  return value;
}

dn_status cuda_random_uniform(dn_tensor *y, double low, double high, dn_rng rng) {
  const cuda_index index = cuda_index_of(1, y);
  const double most = dn_random_most(y->dtype, rounded, low, high);
  CUDA_FOR_REAL(
      y->dtype, T,
      CUDA_LAUNCH((random_uniform_kernel<T>), cuda_blocks((index.n_elements + 1) / 2), CUDA_THREADS,
                  0, cuda_stream(), (T *)dn_tensor_data(y), low, high - low, most, rng, index));
  return DN_OK;
}

dn_status cuda_random_normal(dn_tensor *y, double mean, double deviation, dn_rng rng) {
  const cuda_index index = cuda_index_of(1, y);
  CUDA_FOR_REAL(
      y->dtype, T,
      CUDA_LAUNCH((random_normal_kernel<T>), cuda_blocks((index.n_elements + 1) / 2), CUDA_THREADS,
                  0, cuda_stream(), (T *)dn_tensor_data(y), mean, deviation, rng, index));
  return DN_OK;
}

dn_status cuda_random_permutation(dn_tensor *y, dn_rng rng) {
  CUDA_LAUNCH(random_permutation_kernel, 1, 1, 0, cuda_stream(), (int64_t *)dn_tensor_data(y),
              y->size[0], rng);
  return DN_OK;
}
