/*
** Convolution of floats with unit stride, by products over an image with a border of zeros: there
** the input that weight (r, s) meets lies r rows and s columns after the output's own position, the
** same for every position, so shifted views of one copy serve as the matrix that im2col would
** unfold. Arguments as in dn_ops.def; DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV2D_GRID_H
#define CPU_CONV2D_GRID_H

#include "../../dn_ops.h"

/* Unit strides and padding below the kernel's size: what the functions here can do. */
bool cpu_conv2d_grid_fits(const dn_tensor *weight, dn_conv2d options);

dn_status cpu_conv2d_grid_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                  const dn_tensor *bias, dn_conv2d options);

dn_status cpu_conv2d_grid_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                        dn_conv2d options);

dn_status cpu_conv2d_grid_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, dn_conv2d options, double scale);

#endif
