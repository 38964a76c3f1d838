/*
** The one way to start a kernel, and the way in which a failing CUDA call is passed on. Both return
** from the function that uses them, which has to be one that returns a dn_status.
*/
#ifndef CUDA_LAUNCH_H
#define CUDA_LAUNCH_H

#include "cuda_launched.h"

/* Runs a call of the CUDA runtime; a failure is cleared, put into words with the call's name. */
#define CUDA_TRY(call) DN_TRY(cuda_check((call), #call))

/*
** CUDA_LAUNCH(kernel, blocks, threads, shared_bytes, stream, arguments...). Blocks and threads are
** numbers or dim3. The name of a template's instance stands in parentheses: (fill_kernel<float>).
*/
#ifdef __CUDACC__
#define CUDA_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...) \
  do {                                                                  \
    kernel<<<blocks, threads, shared_bytes, stream>>>(__VA_ARGS__);     \
    DN_TRY(cuda_check(cudaGetLastError(), "launch of " #kernel));       \
    cuda_launched_note(#kernel);                                        \
  } while (0)
#else
#define CUDA_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...)                     \
  do {                                                                                      \
    emulation_launch(#kernel, blocks, threads, shared_bytes, stream, &kernel, __VA_ARGS__); \
    DN_TRY(cuda_check(cudaGetLastError(), "launch of " #kernel));                           \
    cuda_launched_note(#kernel);                                                            \
  } while (0)
#endif

/*
** Shared memory of a kernel: CUDA_SHARED(float, sums, 32) declares float *sums, 32 elements that the
** block shares; CUDA_SHARED_DYNAMIC(float, tile) the bytes asked for at the launch. Never in a loop.
*/
#ifdef __CUDACC__
#define CUDA_SHARED(type, name, count)    \
  __shared__ type name##_of_block[count]; \
  type *const name = name##_of_block
#define CUDA_SHARED_DYNAMIC(type, name)                             \
  extern __shared__ __align__(16) unsigned char dynamic_of_block[]; \
  type *const name = (type *)dynamic_of_block
#else
#define CUDA_SHARED(type, name, count)   \
  static const char name##_of_block = 0; \
  type *const name = (type *)emulation_shared(&name##_of_block, sizeof(type) * (count))
#define CUDA_SHARED_DYNAMIC(type, name) type *const name = (type *)emulation_shared_dynamic()
#endif

/* Before a loop whose turns index arrays that have to stay in registers. */
#ifdef __CUDACC__
#define CUDA_UNROLL _Pragma("unroll")
#else
#define CUDA_UNROLL
#endif

static const int CUDA_THREADS = 256, CUDA_WARP = 32;
static const int64_t CUDA_MOST_BLOCKS = 1 << 20;

/* Blocks of CUDA_THREADS for n elements; kernels walk on by CUDA_STRIDE where there are more. */
static inline unsigned cuda_blocks(int64_t n) {
  const int64_t blocks = n < 1 ? 1 : (n + CUDA_THREADS - 1) / CUDA_THREADS;
  return (unsigned)(blocks < CUDA_MOST_BLOCKS ? blocks : CUDA_MOST_BLOCKS);
}

/* The loop of a kernel whose threads take elements i = 0..n-1 in turn. */
#define CUDA_FOR(i, n)                                                      \
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
       i += (int64_t)gridDim.x * blockDim.x)

#endif
