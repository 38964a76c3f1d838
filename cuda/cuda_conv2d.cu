#include "cuda_conv2d.h"

#include "cuda_conv2d_1x1.h"
#include "cuda_conv2d_direct.h"
#include "cuda_parameters.h"

int64_t cuda_conv2d_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                            const cuda_images *y, const cuda_conv2d *conv) {
  if (cuda_conv2d_is_1x1(conv)) return cuda_conv2d_1x1_scratch(direction, x, y);
  return 0;
}

dn_status cuda_conv2d_images_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                     const cuda_conv2d *conv, void *scratch) {
  if (cuda_conv2d_is_1x1(conv)) return cuda_conv2d_1x1_forward(y, x, weight, scratch);
  return cuda_conv2d_direct_forward(y, x, weight, conv);
}

dn_status cuda_conv2d_images_backward_data(const cuda_images *dx, const cuda_images *dy,
                                           const void *weight, const cuda_conv2d *conv,
                                           void *scratch) {
  if (cuda_conv2d_is_1x1(conv)) return cuda_conv2d_1x1_backward_data(dx, dy, weight, scratch);
  return cuda_conv2d_direct_backward_data(dx, dy, weight, conv);
}

dn_status cuda_conv2d_images_backward_weight(void *dweight, const cuda_images *dy,
                                             const cuda_images *x, const cuda_conv2d *conv,
                                             double scale, void *scratch) {
  if (cuda_conv2d_is_1x1(conv))
    return cuda_conv2d_1x1_backward_weight(dweight, dy, x, scale, scratch);
  return cuda_conv2d_direct_backward_weight(dweight, dy, x, conv, scale);
}

/* ---- Operations ---- */

static cuda_conv2d conv_of(const dn_tensor *weight, dn_conv2d options) {
  const cuda_conv2d conv = {weight->size[2], weight->size[3], options};
  return conv;
}

static dn_status take_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                              const cuda_images *y, const cuda_conv2d *conv, void **scratch) {
  return cuda_scratch(cuda_conv2d_scratch(direction, x, y, conv), scratch);
}

dn_status cuda_conv2d_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                              const dn_tensor *bias, dn_conv2d options) {
  const cuda_images out = cuda_images_of(y), in = cuda_images_of(x);
  const cuda_conv2d conv = conv_of(weight, options);
  void *scratch;
  DN_TRY(take_scratch(CUDA_CONV2D_FORWARD, &in, &out, &conv, &scratch));
  DN_TRY(cuda_conv2d_images_forward(&out, &in, dn_tensor_data(weight), &conv, scratch));
  return bias ? cuda_bias_add(&out, dn_tensor_data(bias)) : DN_OK;
}

dn_status cuda_conv2d_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                    dn_conv2d options) {
  const cuda_images in = cuda_images_of(dx), out = cuda_images_of(dy);
  const cuda_conv2d conv = conv_of(weight, options);
  void *scratch;
  DN_TRY(take_scratch(CUDA_CONV2D_BACKWARD_DATA, &in, &out, &conv, &scratch));
  return cuda_conv2d_images_backward_data(&in, &out, dn_tensor_data(weight), &conv, scratch);
}

dn_status cuda_conv2d_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                      const dn_tensor *x, dn_conv2d options, double scale) {
  const cuda_images out = cuda_images_of(dy), in = cuda_images_of(x);
  const cuda_conv2d conv = conv_of(dweight, options);
  void *scratch;
  DN_TRY(take_scratch(CUDA_CONV2D_BACKWARD_WEIGHT, &in, &out, &conv, &scratch));
  DN_TRY(cuda_conv2d_images_backward_weight(dn_tensor_data(dweight), &out, &in, &conv, scale,
                                            scratch));
  return dbias ? cuda_bias_backward(dn_tensor_data(dbias), &out, scale) : DN_OK;
}
