/*
** The dense layer's 1x1 by tensor cores, in one pass each way: forward scale-shift-ReLU of x as it is read,
** the product, and the statistics of what is written; backward both products and all sums.
** Arguments are those of norm_relu_conv_forward and _backward (dn_ops.def), `gradient` for those that are a
** norm's; cuda_fused.h says where they fit.
*/
#ifndef CUDA_NORM_RELU_CONV_1X1_H
#define CUDA_NORM_RELU_CONV_1X1_H

#include "cuda_norm_gradient.h"
#include "cuda_norm_table.h"

bool cuda_norm_relu_conv_1x1_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);

/* Bytes of scratch, and the operation with them. */
int64_t cuda_norm_relu_conv_1x1_scratch(const dn_tensor *y, const dn_tensor *stats);
dn_status cuda_norm_relu_conv_1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          const cuda_norm_request &next, void *scratch);

bool cuda_norm_relu_conv_1x1_backward_fits(const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *weight);
int64_t cuda_norm_relu_conv_1x1_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                                 const dn_tensor *x);
dn_status cuda_norm_relu_conv_1x1_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                           dn_tensor *dweight, const dn_tensor *dy,
                                           const dn_tensor *y, const dn_tensor *deferred,
                                           const dn_tensor *x, const dn_tensor *weight,
                                           void *scratch);

#endif
