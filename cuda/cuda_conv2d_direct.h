/*
** Convolutions by their definition: slow, without scratch, for whatever images, weights and options
** there may be. They serve what cuDNN refuses. Arguments are those of cuda_conv2d.h; a weight is read
** as it is, beside 16-bit images too.
*/
#ifndef CUDA_CONV2D_DIRECT_H
#define CUDA_CONV2D_DIRECT_H

#include "cuda_conv2d.h"

dn_status cuda_conv2d_direct_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                     const cuda_conv2d *conv);
dn_status cuda_conv2d_direct_backward_data(const cuda_images *dx, const cuda_images *dy,
                                           const void *weight, const cuda_conv2d *conv);
dn_status cuda_conv2d_direct_backward_weight(void *dweight, const cuda_images *dy,
                                             const cuda_images *x, const cuda_conv2d *conv,
                                             double scale);

#endif
