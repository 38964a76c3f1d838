/*
** Kernels that are wrong on purpose: the emulation has to notice each of them (spec/cuda).
*/
#include "../../../cuda/cuda_backend.h"

/* 1: half of the block never reaches the barrier. */
__global__ void divergent_kernel(int *y) {
  if (threadIdx.x < blockDim.x / 2) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

/* 2: one element behind the shared ones. */
__global__ void outside_kernel(int *y) {
  CUDA_SHARED(int, values, 32);
  values[threadIdx.x + 1] = (int)threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

/* 3: reads its neighbour's value without a barrier: y[i] = i, mirrored. */
__global__ void unsynchronized_kernel(int *y) {
  CUDA_SHARED(int, values, 64);
  values[threadIdx.x] = (int)threadIdx.x;
  y[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

/* 4: nobody has written what is read. */
__global__ void unwritten_kernel(int *y) {
  CUDA_SHARED(float, values, 64);
  y[threadIdx.x] = values[threadIdx.x] != values[threadIdx.x];
}

/* 5: one lane leaves before the warp exchanges values. */
__global__ void incomplete_kernel(int *y) {
  if (threadIdx.x == 5) return;
  y[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, (int)threadIdx.x, 1);
}

/* 0: right, with a barrier and an exchange; y[i] = 63 - (i ^ 1). */
__global__ void right_kernel(int *y) {
  CUDA_SHARED(int, values, 64);
  values[threadIdx.x] = (int)threadIdx.x;
  __syncthreads();
  const int mirrored = values[blockDim.x - 1 - threadIdx.x];
  y[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, mirrored, 1);
}

typedef void broken_kernel(int *y);

/* Runs one on a stream of its own, and tells what came of it: true when the results are right. */
bool emulation_break(int64_t n) {
  static broken_kernel *const kernels[] = {right_kernel,     divergent_kernel,
                                           outside_kernel,   unsynchronized_kernel,
                                           unwritten_kernel, incomplete_kernel};
  if (n < 0 || n >= (int64_t)(sizeof kernels / sizeof *kernels)) return false;
  const unsigned n_threads = n == 2 ? 32 : 64;
  int *y = NULL, results[64] = {0};
  cudaStream_t stream = NULL;
  if (cudaSetDevice(0) != cudaSuccess || cudaMalloc((void **)&y, sizeof results) != cudaSuccess ||
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess)
    return false;
  emulation_launch("a broken kernel", 1, n_threads, 0, stream, kernels[n], y);
  bool is_right =
      cudaMemcpyAsync(results, y, sizeof results, cudaMemcpyDeviceToHost, stream) == cudaSuccess;
  for (int i = 0; i < 64 && is_right; i++)
    is_right = results[i] == (n == 3 ? 63 - i : n == 4 ? 0 : 63 - (i ^ 1));
  (void)cudaStreamDestroy(stream);
  return is_right;
}
