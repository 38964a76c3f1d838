/*
** Kernels that are wrong on purpose: the emulation has to notice each of them (spec/cuda).
*/
#include "../../../cuda/cuda_backend.h"
#include "../../../cuda/cuda_load16.h"

/* 1: half of the block never reaches the barrier. */
__global__ void divergent_kernel(int *y) {
  if (threadIdx.x < blockDim.x / 2) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

/* 2: one element behind the shared ones. */
__global__ void outside_kernel(int *y) {
  CUDA_SHARED(int, values, 32);
  if (threadIdx.x == 0) values[0] = 0;
  values[threadIdx.x + 1] = (int)threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

/* 3: reads its neighbour's value without a barrier: y[i] = i, mirrored. */
__global__ void unsynchronized_kernel(int *y) {
  CUDA_SHARED(int, values, 64);
  values[threadIdx.x] = 0;
  __syncthreads();
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

/* 6: a warp's lanes pass values on, with an exchange in between, which orders no memory. */
__global__ void unordered_kernel(int *y) {
  CUDA_SHARED(int, values, 64);
  values[threadIdx.x] = 63 - (int)threadIdx.x;
  (void)__shfl_xor_sync(0xFFFFFFFFu, 0, 1);
  y[threadIdx.x] = values[threadIdx.x ^ 1];
}

/* 7: the value that is there already, but by all threads. */
__global__ void repeated_kernel(int *y) {
  CUDA_SHARED(int, n, 1);
  *n = 63;
  __syncthreads();
  y[threadIdx.x] = *n - (int)(threadIdx.x ^ 1);
}

/* 8: two blocks, the same places. */
__global__ void overlapping_kernel(int *y) { y[threadIdx.x] = 63 - (int)(threadIdx.x ^ 1); }

/* 9: two blocks, and what one reads the other writes. */
__global__ void hasty_kernel(int *y) {
  const int own = (int)(blockIdx.x * blockDim.x + threadIdx.x), other = (own + 32) % 64;
  y[other] = 63 - (other ^ 1);
  if (y[own] == 0) y[other] = 0;
}

/* 10: all change atomically what one of them begins plainly. */
__global__ void impolite_kernel(int *y) {
  if (threadIdx.x == 0) y[63] = 0;
  atomicMax(&y[63], 1);
}

/* 11: reads memory of the device that nobody has written. */
__global__ void fresh_kernel(int *y) {
  const int before = y[threadIdx.x];
  y[threadIdx.x] = before == 1 ? before : 63 - (int)(threadIdx.x ^ 1);
}

/* 12: reads what a warp reads, too, and writes it without waiting for that. */
__global__ void overtaking_kernel(int *y) {
  CUDA_SHARED(int, n, 1);
  if (threadIdx.x == 32) *n = 63;
  __syncthreads();
  y[threadIdx.x] = *n - (int)(threadIdx.x ^ 1);
  if (threadIdx.x == 0) *n = 0;
}

/* 13: right: lanes order theirs with __syncwarp, atomic operations meet, and the block waits. */
__global__ void polite_kernel(int *y) {
  CUDA_SHARED(int, values, 64);
  CUDA_SHARED(int, n, 1);
  const int own = (int)threadIdx.x;
  if (own == 0) *n = 0;
  values[own] = 63 - own;
  __syncwarp();
  const int passed_on = values[own ^ 1];
  __syncwarp();
  values[own ^ 1] = passed_on;
  __syncthreads();
  if (*(volatile int *)n < 64) atomicAdd(n, 1);
  __syncthreads();
  y[own] = *n == 64 ? values[own ^ 1] : 0;
}

/* 15: sixteen bytes at once, from where no sixteen begin. */
__global__ void misaligned_kernel(int *y) {
  if (threadIdx.x == 0) (void)cuda_load16(y + 1);
}

/* 16: right, with all the shared memory there is, once it was asked for; 17: without asking. */
__global__ void large_kernel(int *y) {
  CUDA_SHARED_DYNAMIC(int, values);
  CUDA_SHARED(int, declared, 64);
  const int last = (EMULATION_MOST_SHARED_BYTES - 256) / (int)sizeof(int) - 64;
  values[last + (int)threadIdx.x] = declared[threadIdx.x] = (int)threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = declared[63] - values[last + (int)(threadIdx.x ^ 1)];
}

/* 18: right, four numbers at once. */
__global__ void wide_kernel(int *y) {
  if (threadIdx.x % 4 != 0) return;
  int few[4];
  for (int i = 0; i < 4; i++) few[i] = 63 - (((int)threadIdx.x + i) ^ 1);
  cuda_store16(y + threadIdx.x, cuda_words_of(few));
  const uint4 words = cuda_load16(y + threadIdx.x);
  cuda_store16(y + threadIdx.x, words);
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

/* 14: the kernel is right, but the host then reads its result where it lies. */
const int64_t READ_BY_HOST = 14;

const int64_t LARGE = 16, LARGE_UNASKED = 17, LARGE_TOO_MUCH = 19;

/* Runs one on a stream of its own, and tells what came of it: true when the results are right. */
bool emulation_break(int64_t n) {
  static broken_kernel *const kernels[] = {
      right_kernel,       divergent_kernel,  outside_kernel,   unsynchronized_kernel,
      unwritten_kernel,   incomplete_kernel, unordered_kernel, repeated_kernel,
      overlapping_kernel, hasty_kernel,      impolite_kernel,  fresh_kernel,
      overtaking_kernel,  polite_kernel,     right_kernel,     misaligned_kernel,
      large_kernel,       large_kernel,      wide_kernel,      large_kernel};
  if (n < 0 || n >= (int64_t)(sizeof kernels / sizeof *kernels)) return false;
  const unsigned n_blocks = n == 8 || n == 9 ? 2 : 1, n_threads = n == 2 || n == 9 ? 32 : 64;
  int *y = NULL, results[64] = {0};
  cudaStream_t stream = NULL;
  if (cudaSetDevice(0) != cudaSuccess || cudaMalloc((void **)&y, sizeof results) != cudaSuccess ||
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess)
    return false;
  if (n != 11) (void)cudaMemsetAsync(y, 0, sizeof results, stream);
  size_t n_shared = 0;
  if (n == LARGE || n == LARGE_UNASKED) n_shared = EMULATION_MOST_SHARED_BYTES - 256;
  if (n == LARGE_TOO_MUCH) n_shared = EMULATION_MOST_SHARED_BYTES;
  if ((n == LARGE || n == LARGE_TOO_MUCH) &&
      cudaFuncSetAttribute(large_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           (int)n_shared) != cudaSuccess)
    return false;
  emulation_launch("a broken kernel", n_blocks, n_threads, n_shared, stream, kernels[n], y);
  if (n == LARGE_UNASKED) {
    const bool is_refused = cudaGetLastError() == cudaErrorInvalidConfiguration;
    (void)cudaStreamDestroy(stream);
    return is_refused;
  }
  bool is_right =
      cudaMemcpyAsync(results, y, sizeof results, cudaMemcpyDeviceToHost, stream) == cudaSuccess;
  for (int i = 0; i < 64 && is_right; i++)
    is_right = results[i] == (n == 3 ? 63 - i : n == 4 ? 0 : 63 - (i ^ 1));
  if (n == READ_BY_HOST) is_right = is_right && *(volatile int *)y == results[0];
  (void)cudaStreamDestroy(stream);
  return is_right;
}
