/*
** Convolutions between images in memory of the current device, for operations that are made of them.
**
**   1x1, stride 1, no padding, 1 group   a product per image (cuda_conv2d_1x1.cu)
**   all others                           cuDNN (cuda_cudnn.h), as many images at a time as its
**                                        workspace has room for
**   what cuDNN refuses                   plain kernels (cuda_conv2d_direct.h)
** The operations conv2d_* have a fourth way, of 3x3 with few channels (cuda_conv2d_3x3.h).
** Results are the same bits at every run. Sums are kept in float, in double for double. Float is IEEE
** float unless the device was told that TF32 is good enough.
**
** Weights and their gradients are double beside double images and float beside all others; beside
** 16-bit images a weight is rounded to their dtype for forward and backward_data.
*/
#ifndef CUDA_CONV2D_H
#define CUDA_CONV2D_H

#include "cuda_images.h"

/* The shape of a weight K, C/groups, R, S, and the options; K and C are those of the images. */
typedef struct cuda_conv2d {
  int64_t r, s;
  dn_conv2d options;
} cuda_conv2d;

typedef enum cuda_conv2d_direction {
  CUDA_CONV2D_FORWARD,
  CUDA_CONV2D_BACKWARD_DATA,
  CUDA_CONV2D_BACKWARD_WEIGHT
} cuda_conv2d_direction;

/*
** Bytes of scratch that a call takes, aligned to 256; x and y are the images of its two sides (in the
** backward directions dx or x, and dy), with their strides. Of the data and of the weight (dweight) only
** the addresses are looked at, how they are aligned: good on the plan. Returns DN_EDEVICE, DN_ENOMEM.
*/
dn_status cuda_conv2d_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                              const cuda_images *y, const void *weight, const cuda_conv2d *conv,
                              int64_t *n_bytes);

/* y N,K,P,Q = x N,C,H,W * weight. Returns DN_EDEVICE, as the others. */
dn_status cuda_conv2d_images_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                     const cuda_conv2d *conv, void *scratch);

/* dx N,C,H,W = the gradient from dy N,K,P,Q. */
dn_status cuda_conv2d_images_backward_data(const cuda_images *dx, const cuda_images *dy,
                                           const void *weight, const cuda_conv2d *conv,
                                           void *scratch);

/* dweight K,C/groups,R,S += scale * the gradient from dy and x. */
dn_status cuda_conv2d_images_backward_weight(void *dweight, const cuda_images *dy,
                                             const cuda_images *x, const cuda_conv2d *conv,
                                             double scale, void *scratch);

#endif
