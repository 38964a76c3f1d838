/*
** Two-dimensional convolution as it is defined, for float and double with sums in double: what the
** fast paths are compared with, and what double precision runs. Arguments as in dn_ops.def.
*/
#ifndef CPU_CONV2D_REFERENCE_H
#define CPU_CONV2D_REFERENCE_H

#include "../../dn_ops.h"

void cpu_conv2d_forward_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                  const dn_tensor *bias, dn_conv2d options);

void cpu_conv2d_backward_data_reference(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                        dn_conv2d options);

void cpu_conv2d_backward_weight_reference(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, dn_conv2d options, double scale);

#endif
