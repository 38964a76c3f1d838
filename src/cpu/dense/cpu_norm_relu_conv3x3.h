/*
** The dense layer's operation on the fast path, in float, for kernels of 3x3, padded by one zero: scale-shift-ReLU as the
** prologue of a convolution. The wide input is read once; what the prologue makes lives in the cache of
** the thread that multiplies it. Arguments as cpu_norm_relu_conv_forward and _backward have them.
*/
#ifndef CPU_NORM_RELU_CONV3X3_H
#define CPU_NORM_RELU_CONV3X3_H

#include "../../dn_tensor.h"

dn_status cpu_norm_relu_conv3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight);
dn_status cpu_norm_relu_conv3x3_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale);

#endif
