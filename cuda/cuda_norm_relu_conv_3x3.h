/*
** The dense layer's 3x3 by tensor cores, in one pass each way, as cuda_norm_relu_conv_1x1.h has the 1x1.
*/
#ifndef CUDA_NORM_RELU_CONV_3X3_H
#define CUDA_NORM_RELU_CONV_3X3_H

#include "cuda_norm_gradient.h"
#include "cuda_norm_table.h"

bool cuda_norm_relu_conv_3x3_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);
int64_t cuda_norm_relu_conv_3x3_scratch(const dn_tensor *y, const dn_tensor *stats);
dn_status cuda_norm_relu_conv_3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          const cuda_norm_request &next, void *scratch);

bool cuda_norm_relu_conv_3x3_backward_fits(const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *weight);
int64_t cuda_norm_relu_conv_3x3_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                                 const dn_tensor *x);
dn_status cuda_norm_relu_conv_3x3_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                           dn_tensor *dweight, const dn_tensor *dy,
                                           const dn_tensor *y, const dn_tensor *deferred,
                                           const dn_tensor *x, const dn_tensor *weight,
                                           void *scratch);

#endif
