/*
** The transition's operations: by tensor cores where they fit, else by way of the means in scratch, which are
** made anew in the backward.
*/
#include "cuda_conv2d.h"
#include "cuda_norm_relu.h"
#include "cuda_transition_fused.h"

/* What lies where in the scratch. */
typedef struct layout {
  int64_t n_bytes, pooled, dpooled, conv, sums;
} layout;

static const cuda_conv2d CONV = {1, 1, {1, 1, 0, 0, 1}};

/* x's images with c channels of h x w, without gaps, at `data`. */
static dn_tensor images_at(dn_storage *lent, void *data, const dn_tensor *x, int64_t c, int64_t h,
                           int64_t w) {
  memset(lent, 0, sizeof *lent);
  lent->data = data;
  dn_tensor images = *x;
  images.storage = lent;
  images.offset = 0;
  images.size[1] = c;
  images.size[2] = h;
  images.size[3] = w;
  images.stride[3] = 1;
  images.stride[2] = w;
  images.stride[1] = h * w;
  images.stride[0] = c * h * w;
  return images;
}

/* The means over x's windows. */
static dn_tensor pooled_at(dn_storage *lent, void *data, const dn_tensor *x) {
  return images_at(lent, data, x, x->size[1], x->size[2] / 2, x->size[3] / 2);
}

bool cuda_transition_fits(const dn_tensor *x, const dn_tensor *weight) {
  dn_storage lent;
  const dn_tensor y = images_at(&lent, NULL, x, weight->size[0], x->size[2] / 2, x->size[3] / 2);
  const dn_tensor dx = images_at(&lent, NULL, x, x->size[1], x->size[2], x->size[3]);
  return cuda_transition_forward_fits(&y, x) && cuda_transition_backward_fits(&dx, &y, x);
}

/* Makes room for the means, or their gradient. */
static int64_t place_pooled(layout *l, const dn_tensor *x) {
  const int64_t n_values = x->size[0] * x->size[1] * (x->size[2] / 2) * (x->size[3] / 2);
  return cuda_scratch_place(&l->n_bytes, n_values, (int64_t)dn_dtype_size(x->dtype));
}

/* Makes room for a convolution of the means in these directions, one at a time. */
static dn_status place_conv(layout *l, const dn_tensor *x, const dn_tensor *y,
                            const dn_tensor *weight, const cuda_conv2d_direction *directions,
                            int n_directions) {
  dn_storage lent;
  const dn_tensor pooled = pooled_at(&lent, NULL, x);
  const cuda_images in = cuda_images_of(&pooled), out = cuda_images_of(y);
  int64_t most = 0;
  for (int i = 0; i < n_directions; i++) {
    int64_t n_bytes = 0;
    DN_TRY(cuda_conv2d_scratch(directions[i], &in, &out, dn_tensor_data(weight), &CONV, &n_bytes));
    if (n_bytes > most) most = n_bytes;
  }
  l->conv = cuda_scratch_place(&l->n_bytes, most, 1);
  return DN_OK;
}

static dn_status plain_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                               const dn_tensor *norm, const dn_tensor *weight) {
  const cuda_conv2d_direction directions[] = {CUDA_CONV2D_FORWARD};
  layout l;
  memset(&l, 0, sizeof l);
  l.pooled = place_pooled(&l, x);
  DN_TRY(place_conv(&l, x, y, weight, directions, 1));
  if (stats)
    l.sums = cuda_scratch_place(&l.n_bytes, cuda_channel_stats_sums(y), (int64_t)sizeof(double));
  void *block;
  DN_TRY(cuda_scratch(l.n_bytes, &block));
  char *const scratch = (char *)block;
  dn_storage lent;
  dn_tensor pooled = pooled_at(&lent, scratch + l.pooled, x);
  DN_TRY(cuda_norm_relu_forward(&pooled, x, norm, 2, 2));
  const cuda_images in = cuda_images_of(&pooled), out = cuda_images_of(y);
  DN_TRY(cuda_conv2d_images_forward(&out, &in, dn_tensor_data(weight), &CONV, scratch + l.conv));
  return stats ? cuda_channel_stats_in(stats, y, (double *)(scratch + l.sums)) : DN_OK;
}

dn_status cuda_transition_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                  const dn_tensor *norm, const dn_tensor *weight) {
  if (!cuda_transition_forward_fits(y, x)) return plain_forward(y, stats, x, norm, weight);
  void *block = NULL;
  const int64_t n_bytes = cuda_transition_fused_forward_scratch(y, stats);
  DN_TRY(n_bytes > 0 ? cuda_scratch(n_bytes, &block) : cuda_scratch_none());
  return cuda_transition_fused_forward(y, stats, x, norm, weight, block);
}

static dn_status plain_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                dn_tensor *dweight, const dn_tensor *dy, const dn_tensor *x,
                                const dn_tensor *weight) {
  const cuda_conv2d_direction directions[] = {CUDA_CONV2D_BACKWARD_DATA,
                                              CUDA_CONV2D_BACKWARD_WEIGHT};
  const int64_t n_pairs = cuda_segments(cuda_planes_of(x));
  layout l;
  memset(&l, 0, sizeof l);
  if (dweight) l.pooled = place_pooled(&l, x);
  l.dpooled = place_pooled(&l, x);
  DN_TRY(place_conv(&l, x, dy, weight, directions, dweight ? 2 : 1));
  l.sums = cuda_scratch_place(&l.n_bytes, 2 * x->size[1] * n_pairs, (int64_t)sizeof(double));
  void *block;
  DN_TRY(cuda_scratch(l.n_bytes, &block));
  char *const scratch = (char *)block;
  const cuda_images out = cuda_images_of(dy);
  if (dweight) {
    dn_storage lent;
    dn_tensor pooled = pooled_at(&lent, scratch + l.pooled, x);
    DN_TRY(cuda_norm_relu_forward(&pooled, x, gradient.norm, 2, 2));
    const cuda_images in = cuda_images_of(&pooled);
    DN_TRY(cuda_conv2d_images_backward_weight(dn_tensor_data(dweight), &out, &in, &CONV,
                                              gradient.scale, scratch + l.conv));
  }
  dn_storage lent;
  const dn_tensor dpooled = pooled_at(&lent, scratch + l.dpooled, x);
  const cuda_images in = cuda_images_of(&dpooled);
  DN_TRY(
      cuda_conv2d_images_backward_data(&in, &out, dn_tensor_data(weight), &CONV, scratch + l.conv));
  double *const sums = (double *)(scratch + l.sums);
  DN_TRY(cuda_norm_relu_backward(dx, sums, 0, n_pairs, &dpooled, x, gradient.norm, 2, 2,
                                 gradient.accumulate));
  return cuda_norm_relu_backward_join(gradient, sums, n_pairs);
}

dn_status cuda_transition_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                   const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                   const dn_tensor *weight, bool accumulate, double scale,
                                   dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const cuda_norm_gradient gradient =
      cuda_norm_gradient_of(dnorm, x, norm, accumulate, scale, dgamma, dbeta, dx_deferred);
  if (!cuda_transition_backward_fits(dx, dy, x))
    return plain_backward(dx, gradient, dweight, dy, x, weight);
  void *block;
  DN_TRY(cuda_scratch(cuda_transition_fused_backward_scratch(dweight, dy, x), &block));
  return cuda_transition_fused_backward(dx, gradient, dweight, dy, x, weight, block);
}
