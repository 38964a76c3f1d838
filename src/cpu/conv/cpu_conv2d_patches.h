/*
** Convolution of floats with any stride: patches are unfolded into a matrix (cpu_im2col.h), a band
** of output rows and a block of channels at a time, and BLAS multiplies. Arguments as in dn_ops.def;
** DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV2D_PATCHES_H
#define CPU_CONV2D_PATCHES_H

#include "../../dn_ops.h"

dn_status cpu_conv2d_patches_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                     const dn_tensor *bias, dn_conv2d options);

dn_status cpu_conv2d_patches_backward_data(dn_tensor *dx, const dn_tensor *dy,
                                           const dn_tensor *weight, dn_conv2d options);

dn_status cpu_conv2d_patches_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                             const dn_tensor *x, dn_conv2d options, double scale);

#endif
