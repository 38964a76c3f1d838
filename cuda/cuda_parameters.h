/*
** What lies between activations and their parameters: weights rounded to 16 bits beside such images,
** images widened for gradients in float, biases and their gradients. Parameters are double beside
** double and float beside all others.
*/
#ifndef CUDA_PARAMETERS_H
#define CUDA_PARAMETERS_H

#include "cuda_images.h"

static inline bool cuda_is_narrow(dn_dtype dtype) {
  return dtype == DN_HALF || dtype == DN_BFLOAT16;
}

static inline dn_dtype cuda_parameter_dtype(dn_dtype dtype) {
  return dtype == DN_DOUBLE ? DN_DOUBLE : DN_FLOAT;
}

/* to = weight, n numbers, in half or bfloat16. Returns DN_EDEVICE, as the others. */
dn_status cuda_weight_narrow(void *to, dn_dtype dtype, const float *weight, int64_t n);

/* to = x in float, without gaps. */
dn_status cuda_images_widen(float *to, const cuda_images *x);

/* y += bias, a number a channel. */
dn_status cuda_bias_add(const cuda_images *y, const void *bias);

/* dbias += scale * the sums of dy over images and planes, which are kept in double. */
dn_status cuda_bias_backward(void *dbias, const cuda_images *dy, double scale);

#endif
