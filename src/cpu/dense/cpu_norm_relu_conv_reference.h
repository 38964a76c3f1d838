/* The definition's loops of norm_relu_conv, in float or double with sums in double. */
#ifndef CPU_NORM_RELU_CONV_REFERENCE_H
#define CPU_NORM_RELU_CONV_REFERENCE_H

#include "../../dn_tensor.h"

void cpu_norm_relu_conv_forward_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                          const dn_tensor *weight);
void cpu_norm_relu_conv_backward_reference(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                           const dn_tensor *dy, const dn_tensor *y,
                                           const dn_tensor *deferred, const dn_tensor *x,
                                           const dn_tensor *norm, const dn_tensor *weight,
                                           bool accumulate, double scale);

#endif
