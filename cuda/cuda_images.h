/*
** A batch of images as products and convolutions read it: N images of C channels, each channel's
** H,W plane contiguous; slices of a buffer along N and C are images too.
*/
#ifndef CUDA_IMAGES_H
#define CUDA_IMAGES_H

#include "cuda_backend.h"

typedef struct cuda_images {
  void *data;
  dn_dtype dtype; /* float, double, half, bfloat16 */
  int64_t n, c, h, w;
  int64_t image_stride, channel_stride; /* in elements; image_stride 0: all images are the first */
} cuda_images;

/* A tensor N,C,H,W; strides of sizes of 1, which mean nothing, become those of a row-major one. */
static inline cuda_images cuda_images_of(const dn_tensor *x) {
  cuda_images images = {dn_tensor_data(x), x->dtype,   x->size[0],   x->size[1],
                        x->size[2],        x->size[3], x->stride[0], x->stride[1]};
  if (images.c == 1) images.channel_stride = images.h * images.w;
  if (images.n == 1) images.image_stride = images.c * images.channel_stride;
  return images;
}

/* Does no channel or image lie on another? */
static inline bool cuda_images_lie_apart(const cuda_images *x) {
  return x->channel_stride >= x->h * x->w && x->image_stride >= x->c * x->channel_stride;
}

/* Images first..first+count-1. */
static inline cuda_images cuda_images_part(const cuda_images *all, int64_t first, int64_t count) {
  cuda_images part = *all;
  part.data = (char *)all->data + first * all->image_stride * (int64_t)dn_dtype_size(all->dtype);
  part.n = count;
  return part;
}

#endif
