/*
** Where the fused kernels of the dense layer (cuda_norm_relu_conv_1x1.h, ..._3x3.h), and those of a transition and
** of plain 3x3 convolutions (cuda_transition_fused.h, cuda_conv2d_3x3.h), stand in for an
** elementwise pass, a product of a library and sums: in 16 bits, and in float where TF32 is good enough,
** on compute capability 8.0 and later. Planes that begin at multiples of 16 bytes are read 16 bytes at a
** time, others in smaller pieces.
** DENSENET_CUDA_FUSED=0 in the environment turns them off; what is not fused is the reference.
**
** The plan of a device (cuda_plan.h) asks the same, of the shapes of tensors that have no memory.
*/
#ifndef CUDA_FUSED_H
#define CUDA_FUSED_H

#include "cuda_dtype.h"

/* Shared memory of a block that all GPUs in question have: that of 8.6 is the least, 99 KB with what a kernel
   declares. */
static const int CUDA_FUSED_SHARED = (99 << 10) - 16;

/* Blocks of a kernel whose blocks stay and take tile after tile: two a multiprocessor of an H200. Fixed,
   so that sums have the same order on every GPU. */
static const int CUDA_FUSED_BLOCKS = 264;

/* Whether fused kernels compute in this dtype here. */
bool cuda_fused_computes(dn_dtype dtype);

/* Whether counts of pixels of N,C,H,W fit an int. */
bool cuda_fused_counts(const dn_tensor *x);

/* Whether planes are made of whole vectors of 16 bytes, and begin at multiples of them. */
bool cuda_fused_is_whole(const dn_tensor *x);

/* Whether a block may have so much shared memory. A plan takes a GPU of 8.0 or 9.0 for granted, which have
   more than those of 8.6 and 8.9. */
bool cuda_fused_has_room(int64_t n_shared);

/* What the plan goes by in place of the device's own setting. */
void cuda_fused_plan_tf32(bool on);

/* CUDA_FOR_FUSED(dtype, T, statements), of the dtypes that there are kernels for. */
#define CUDA_FOR_FUSED(dtype, T, ...)                        \
  switch (dtype) {                                           \
    CUDA_CASE(DN_FLOAT, float, T, __VA_ARGS__);              \
    CUDA_CASE(DN_HALF, cuda_half, T, __VA_ARGS__);           \
    default:                                                 \
      CUDA_CASE(DN_BFLOAT16, cuda_bfloat16, T, __VA_ARGS__); \
  }

#endif
