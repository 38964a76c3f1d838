/*
** Kernels whose blocks share more than 48 KB, which CUDA has to be told of first, kernel by kernel and device by
** device. What a kernel was allowed only ever grows, so that a captured launch that shares more stays good while
** later ones share less, and a step asks CUDA for nothing that it has asked before.
*/
#ifndef CUDA_SHARED_MEMORY_H
#define CUDA_SHARED_MEMORY_H

#include "cuda_launch.h"

/* Lets blocks of the kernel, which is a function on the current device, have so many bytes. */
dn_status cuda_shared_memory_allow(const void *kernel, int64_t n_bytes);

/* As CUDA_LAUNCH. */
#define CUDA_LAUNCH_SHARED(kernel, blocks, threads, shared_bytes, stream, ...)         \
  do {                                                                                 \
    DN_TRY(cuda_shared_memory_allow((const void *)kernel, (int64_t)(shared_bytes)));   \
    CUDA_LAUNCH(kernel, blocks, threads, (size_t)(shared_bytes), stream, __VA_ARGS__); \
  } while (0)

#endif
