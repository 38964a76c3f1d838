#include "cuda_probe.h"

#include "cuda_mma.h"

__global__ void empty_kernel(int) {}

dn_status cuda_probe_empty(int64_t n) {
  for (int64_t i = 0; i < n; i++) CUDA_LAUNCH(empty_kernel, 1, 1, 0, cuda_stream(), 0);
  return DN_OK;
}

/* ---- Tensor cores ---- */

/* Sums of a warp that do not wait for each other: a product takes as long as many others begin. */
enum { N_CHAINS = 8, WARPS_A_MULTIPROCESSOR = 16 };

/* A warp makes n rounds of N_CHAINS products; a thread leaves the sum of all that it holds. */
template <typename T>
__global__ void products_kernel(float *sums, int n) {
  const float ones[2] = {1, 1};
  const uint32_t word = cuda_factor_word(ones, T());
  const uint32_t a[4] = {word, word, word, word}, b[2] = {word, word};
  float d[N_CHAINS][4] = {};
  for (int i = 0; i < n; i++) {
    CUDA_UNROLL
    for (int c = 0; c < N_CHAINS; c++) cuda_mma(d[c], a, b, T());
  }
  float sum = 0;
  CUDA_UNROLL
  for (int c = 0; c < N_CHAINS; c++)
    for (int i = 0; i < 4; i++) sum += d[c][i];
  sums[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

template <typename T>
static dn_status products(int64_t n, double *n_operations, double *sum) {
  const int n_warps = CUDA_THREADS / CUDA_WARP;
  const unsigned n_blocks =
      (unsigned)(cuda_current()->n_multiprocessors * WARPS_A_MULTIPROCESSOR / n_warps);
  void *sums;
  DN_TRY(cuda_scratch((int64_t)n_blocks * CUDA_THREADS * (int64_t)sizeof(float), &sums));
  CUDA_LAUNCH((products_kernel<T>), n_blocks, CUDA_THREADS, 0, cuda_stream(), (float *)sums,
              (int)n);
  float first;
  CUDA_TRY(cudaMemcpyAsync(&first, sums, sizeof first, cudaMemcpyDeviceToHost, cuda_stream()));
  CUDA_TRY(cudaStreamSynchronize(cuda_stream()));
  const double of_one = 2.0 * 16 * 8 * cuda_factor<T>::DEPTH;
  *n_operations = of_one * N_CHAINS * (double)n * n_blocks * n_warps;
  *sum = (double)first;
  return DN_OK;
}

dn_status cuda_probe_products(dn_dtype dtype, int64_t n, double *n_operations, double *sum) {
  if (cuda_current()->capability[0] < 8)
    return dn_error(DN_EDEVICE, "%s: products by tensor cores need compute capability 8.0",
                    cuda_current()->device->name);
  if (n < 0 || n > INT32_MAX) return dn_error(DN_EARG, "0 to 2^31 - 1 rounds expected");
  switch (dtype) {
    case DN_HALF:
      return products<cuda_half>(n, n_operations, sum);
    case DN_BFLOAT16:
      return products<cuda_bfloat16>(n, n_operations, sum);
    default:
      return products<float>(n, n_operations, sum);
  }
}

/* ---- Marks ---- */

dn_status cuda_probe_mark(int64_t which) {
  if (which < 0 || which > 1) return dn_error(DN_EARG, "mark 0 or 1 expected");
  cudaEvent_t *mark = &cuda_current()->marks[which];
  if (!*mark) CUDA_TRY(cudaEventCreateWithFlags(mark, cudaEventDefault));
  CUDA_TRY(cudaEventRecord(*mark, cuda_stream()));
  return DN_OK;
}

dn_status cuda_probe_milliseconds(double *milliseconds) {
  const cuda_device *device = cuda_current();
  float between = 0;
  if (!device->marks[0] || !device->marks[1]) return dn_error(DN_EARG, "both marks expected");
  CUDA_TRY(cudaEventSynchronize(device->marks[1]));
  CUDA_TRY(cudaEventElapsedTime(&between, device->marks[0], device->marks[1]));
  *milliseconds = (double)between;
  return DN_OK;
}
