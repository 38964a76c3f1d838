/*
** Convolutions of 1x1, stride 1, without padding and groups: for every image the product of the weight
** K,C and its matrix C,H*W. The arguments are those of cuda_conv2d.h.
*/
#ifndef CUDA_CONV2D_1X1_H
#define CUDA_CONV2D_1X1_H

#include "cuda_conv2d.h"

bool cuda_conv2d_is_1x1(const cuda_conv2d *conv);

int64_t cuda_conv2d_1x1_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                                const cuda_images *y);
dn_status cuda_conv2d_1x1_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                  void *scratch);
dn_status cuda_conv2d_1x1_backward_data(const cuda_images *dx, const cuda_images *dy,
                                        const void *weight, void *scratch);
dn_status cuda_conv2d_1x1_backward_weight(void *dweight, const cuda_images *dy,
                                          const cuda_images *x, double scale, void *scratch);

#endif
