/*
** The dense layer's 1x1 in one pass: scale-shift-ReLU of x as it is read, product by tensor cores, and
** the statistics of what is written; nothing else goes through memory.
** Arguments are those of norm_relu_conv_forward (dn_ops.def), of which cuda_fused.h says where it fits.
*/
#ifndef CUDA_NORM_RELU_CONV_1X1_H
#define CUDA_NORM_RELU_CONV_1X1_H

#include "cuda_backend.h"

bool cuda_norm_relu_conv_1x1_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);

/* Bytes of scratch, and the operation with them. */
int64_t cuda_norm_relu_conv_1x1_scratch(const dn_tensor *y, const dn_tensor *stats);
dn_status cuda_norm_relu_conv_1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          void *scratch);

#endif
