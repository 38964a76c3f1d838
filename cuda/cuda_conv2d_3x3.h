/*
** Plain 3x3 convolutions of few channels, stride 1 and padding 1, by the dense layer's kernels
** (cuda_norm_relu_conv_3x3.cu, ..._backward.cu) without a norm: a stem, and the 3x3 of dense layers whose
** activations are kept. A library's tensor-core kernels copy planes to channels-last and pad the channels;
** these read planes as they lie. Arguments are those of conv2d_* (dn_ops.def).
*/
#ifndef CUDA_CONV2D_3X3_H
#define CUDA_CONV2D_3X3_H

#include "cuda_backend.h"

/* Whether weight and options are of the kind, and the kernels fit x and y; for gradients their gradients. */
bool cuda_conv2d_3x3_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                          const dn_conv2d &options);
bool cuda_conv2d_3x3_backward_weight_fits(const dn_tensor *dy, const dn_tensor *x,
                                          const dn_tensor *dweight, const dn_conv2d &options);

/* No scratch. */
dn_status cuda_conv2d_3x3_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);
dn_status cuda_conv2d_3x3_backward_data(dn_tensor *dx, const dn_tensor *dy,
                                        const dn_tensor *weight);

/* Bytes of scratch, and the operation with them. */
int64_t cuda_conv2d_3x3_backward_weight_scratch(const dn_tensor *dy, const dn_tensor *x);
dn_status cuda_conv2d_3x3_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, double scale, void *scratch);

/* A 3x3 that moves by one pixel in planes of one size, all channels to all. */
static inline bool cuda_conv2d_is_plain_3x3(const dn_tensor *weight, const dn_conv2d &options) {
  return weight->size[2] == 3 && weight->size[3] == 3 && options.stride_h == 1 &&
         options.stride_w == 1 && options.pad_h == 1 && options.pad_w == 1 && options.groups == 1;
}

#endif
