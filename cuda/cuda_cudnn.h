/*
** Convolutions by cuDNN: the only file that calls it. There is a handle per device, made when the first
** convolution is asked for, on the device's stream.
**
** Algorithms are fixed, so results are the same bits at every run: implicit products forward
** (precomputed offsets where its workspace has room, else without any), algorithm 1 backward. Their
** workspace is CUDA_CUDNN_WORKSPACE bytes of scratch and never more: when a call needs more, it is not
** made, and the caller asks for fewer images. So what a convolution takes is known without a GPU.
**
** float is IEEE float (cuDNN left alone would round to TF32), or TF32 where the device was told so.
*/
#ifndef CUDA_CUDNN_H
#define CUDA_CUDNN_H

#include "cuda_conv2d.h"

/* Which is best, timings will tell. */
#ifndef CUDA_CUDNN_WORKSPACE
#define CUDA_CUDNN_WORKSPACE (16 << 20)
#endif

/* What became of a call. Only the first has touched an output. */
typedef enum cuda_cudnn_outcome {
  CUDA_CUDNN_DONE,
  CUDA_CUDNN_TOO_LARGE, /* the workspace has no room, or sizes exceed an int: fewer images may do */
  CUDA_CUDNN_REFUSED    /* not supported */
} cuda_cudnn_outcome;

/* y = x * weight, all of x's dtype. Returns DN_EDEVICE, DN_ENOMEM, as the others. */
dn_status cuda_cudnn_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                             const cuda_conv2d *conv, void *workspace, cuda_cudnn_outcome *outcome);

dn_status cuda_cudnn_backward_data(const cuda_images *dx, const cuda_images *dy, const void *weight,
                                   const cuda_conv2d *conv, void *workspace,
                                   cuda_cudnn_outcome *outcome);

/*
** dweight += scale * the gradient; float or double. are_narrow: the images are float, but hold numbers
** of 16 bits, which TF32 holds as well, so that its factors are exact.
*/
dn_status cuda_cudnn_backward_weight(void *dweight, const cuda_images *dy, const cuda_images *x,
                                     const cuda_conv2d *conv, double scale, bool are_narrow,
                                     void *workspace, cuda_cudnn_outcome *outcome);

/* The library's major, minor and patch number. Returns DN_EDEVICE. */
dn_status cuda_cudnn_release(int release[3]);

#endif
