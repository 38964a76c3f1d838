/*
** The dense layer's operation: scale-shift-ReLU, and a convolution of 1x1 or 3x3 of what it makes.
**
** z is written into scratch for some images at a time, so that scratch stays bounded whatever the
** batch; the convolution reads it there. In the backward the same bytes hold z, for the weight's
** gradient, and then dz. For 1x1 the images stand side by side in each channel, so that a product of two
** matrices serves all of them.
*/
#include "cuda_chunk.h"
#include "cuda_conv2d.h"
#include "cuda_norm_relu.h"
#include "cuda_norm_relu_conv_1x1.h"
#include "cuda_norm_relu_conv_3x3.h"

/* What lies where in the scratch. */
typedef struct layout {
  int64_t n_bytes;
  int64_t chunk;      /* images at a time; the last time perhaps fewer */
  int64_t n_pairs;    /* of sums over a channel */
  int64_t wide, grad; /* z or dz; dy with its deferred terms */
  int64_t conv, sums;
  bool copies_dy, is_side_by_side;
} layout;

static cuda_conv2d conv_of(const dn_tensor *weight) {
  const int64_t side = weight->size[2];
  const cuda_conv2d conv = {side, side, {1, 1, side / 2, side / 2, 1}};
  return conv;
}

/* Images first..first+count-1. */
static dn_tensor part_of(const dn_tensor *x, int64_t first, int64_t count) {
  dn_tensor part = *x;
  part.size[0] = count;
  part.offset += first * x->stride[0];
  return part;
}

/* Images of c channels in scratch, shaped like those of x: one behind the other or side by side. */
static dn_tensor images_at(dn_storage *lent, const dn_tensor *x, int64_t c, bool side_by_side) {
  dn_tensor images = *x;
  const int64_t n = x->size[0], size = x->size[2] * x->size[3];
  images.storage = lent;
  images.offset = 0;
  images.size[1] = c;
  images.stride[0] = side_by_side ? size : c * size;
  images.stride[1] = side_by_side ? n * size : size;
  images.stride[2] = x->size[3];
  images.stride[3] = 1;
  return images;
}

/* Images side by side, as one whose line holds them all. */
static cuda_images joined(const dn_tensor *images) {
  const int64_t n_values = images->size[0] * images->size[2] * images->size[3];
  const cuda_images one = {
      dn_tensor_data(images),     images->dtype, 1, images->size[1], 1, n_values,
      images->size[1] * n_values, n_values};
  return one;
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Images of image_bytes that are taken together within most_bytes; all chunks about the same. */
static int64_t chunk_of(int64_t n_images, int64_t image_bytes, int64_t most_bytes) {
  const int64_t fit = most(most_bytes / image_bytes, 1);
  const int64_t n_chunks = (n_images + fit - 1) / fit;
  return (n_images + n_chunks - 1) / n_chunks;
}

/* Images as they will lie in scratch, one behind the other; its beginning is aligned, wherever it is. */
static cuda_images packed(const dn_tensor *x) {
  cuda_images images = cuda_images_of(x);
  images.data = NULL;
  images.channel_stride = images.h * images.w;
  images.image_stride = images.c * images.channel_stride;
  return images;
}

/*
** *most becomes the scratch of a convolution of `count` images where that is more; it may be more for
** fewer. x, and y where the layout says so, are read from copies.
*/
static dn_status add_conv(const layout *l, cuda_conv2d_direction direction, const dn_tensor *x,
                          const dn_tensor *y, const dn_tensor *weight, const cuda_conv2d *conv,
                          int64_t count, int64_t *most) {
  cuda_images in = packed(x), out = l->copies_dy ? packed(y) : cuda_images_of(y);
  in.n = out.n = l->is_side_by_side ? 1 : count;
  if (l->is_side_by_side) {
    in.w = out.w = count * in.h * in.w;
    in.h = out.h = 1;
  }
  int64_t n_bytes = 0;
  const void *const at = weight ? dn_tensor_data(weight) : NULL;
  DN_TRY(cuda_conv2d_scratch(direction, &in, &out, at, conv, &n_bytes));
  if (n_bytes > *most) *most = n_bytes;
  return DN_OK;
}

/* `tail` images come last. */
static int64_t tail_of(const dn_tensor *x, int64_t chunk) {
  return x->size[0] % chunk ? x->size[0] % chunk : chunk;
}

static dn_status forward_layout(const dn_tensor *y, const dn_tensor *stats, const dn_tensor *x,
                                const dn_tensor *weight, const cuda_conv2d *conv, layout *l) {
  int64_t most_bytes;
  DN_TRY(cuda_chunk_bytes(&most_bytes));
  memset(l, 0, sizeof *l);
  const int64_t size = (int64_t)dn_dtype_size(x->dtype);
  const int64_t image = x->size[1] * x->size[2] * x->size[3];
  l->chunk = chunk_of(x->size[0], image * size, most_bytes);
  l->wide = cuda_scratch_place(&l->n_bytes, l->chunk * image, size);
  const int64_t counts[2] = {l->chunk, tail_of(x, l->chunk)};
  int64_t conv_most = 0;
  for (int64_t count : counts)
    DN_TRY(add_conv(l, CUDA_CONV2D_FORWARD, x, y, weight, conv, count, &conv_most));
  l->conv = cuda_scratch_place(&l->n_bytes, conv_most, 1);
  if (stats)
    l->sums = cuda_scratch_place(&l->n_bytes, cuda_channel_stats_sums(y), (int64_t)sizeof(double));
  return DN_OK;
}

/* Scratch of a fused kernel, which may need none. */
static dn_status take(int64_t n_bytes, void **block) {
  *block = NULL;
  return n_bytes > 0 ? cuda_scratch(n_bytes, block) : cuda_scratch_none();
}

/* By way of z. */
static dn_status plain_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                               const dn_tensor *norm, const dn_tensor *weight) {
  void *block;
  const cuda_conv2d conv = conv_of(weight);
  layout l;
  DN_TRY(forward_layout(y, stats, x, weight, &conv, &l));
  DN_TRY(cuda_scratch(l.n_bytes, &block));
  char *const scratch = (char *)block;
  dn_storage lent;
  memset(&lent, 0, sizeof lent);
  lent.data = scratch + l.wide;
  for (int64_t first = 0; first < x->size[0]; first += l.chunk) {
    const int64_t rest = x->size[0] - first, count = rest < l.chunk ? rest : l.chunk;
    const dn_tensor some_x = part_of(x, first, count), some_y = part_of(y, first, count);
    dn_tensor z = images_at(&lent, &some_x, x->size[1], false);
    DN_TRY(cuda_norm_relu_forward(&z, &some_x, norm, 1, 1));
    const cuda_images in = cuda_images_of(&z), out = cuda_images_of(&some_y);
    DN_TRY(cuda_conv2d_images_forward(&out, &in, dn_tensor_data(weight), &conv, scratch + l.conv));
  }
  return stats ? cuda_channel_stats_in(stats, y, (double *)(scratch + l.sums)) : DN_OK;
}

dn_status cuda_norm_relu_conv_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                      const dn_tensor *norm, const dn_tensor *weight,
                                      dn_tensor *next_norm, dn_tensor *next_running_mean,
                                      dn_tensor *next_running_var, const dn_tensor *next_stats,
                                      const dn_tensor *next_gamma, const dn_tensor *next_beta,
                                      double momentum, double epsilon) {
  const cuda_norm_request next = {next_norm,
                                  next_running_mean,
                                  next_running_var,
                                  next_stats,
                                  next_gamma,
                                  next_beta,
                                  x->size[0] * x->size[2] * x->size[3],
                                  momentum,
                                  epsilon};
  void *block;
  if (cuda_norm_relu_conv_1x1_fits(y, x, weight)) {
    DN_TRY(take(cuda_norm_relu_conv_1x1_scratch(y, stats), &block));
    return cuda_norm_relu_conv_1x1_forward(y, stats, x, norm, weight, next, block);
  }
  if (cuda_norm_relu_conv_3x3_fits(y, x, weight)) {
    DN_TRY(take(cuda_norm_relu_conv_3x3_scratch(y, stats), &block));
    return cuda_norm_relu_conv_3x3_forward(y, stats, x, norm, weight, next, block);
  }
  DN_TRY(plain_forward(y, stats, x, norm, weight));
  return cuda_norm_table_make(next);
}

static int64_t segments_of(const dn_tensor *x, int64_t first, int64_t count) {
  const dn_tensor part = part_of(x, first, count);
  return cuda_segments(cuda_planes_of(&part));
}

static dn_status backward_layout(const dn_tensor *dy, const dn_tensor *deferred, const dn_tensor *x,
                                 const dn_tensor *weight, const dn_tensor *dweight,
                                 const cuda_conv2d *conv, layout *l) {
  int64_t most_bytes;
  DN_TRY(cuda_chunk_bytes(&most_bytes));
  memset(l, 0, sizeof *l);
  const int64_t size = (int64_t)dn_dtype_size(x->dtype), plane = x->size[2] * x->size[3];
  l->is_side_by_side = conv->r == 1;
  l->copies_dy = deferred || l->is_side_by_side;
  const int64_t n_copied = l->copies_dy ? dy->size[1] : 0;
  l->chunk = chunk_of(x->size[0], (x->size[1] + n_copied) * plane * size, most_bytes);
  const int64_t tail = tail_of(x, l->chunk), n_whole = (x->size[0] - tail) / l->chunk;
  l->wide = cuda_scratch_place(&l->n_bytes, l->chunk * x->size[1] * plane, size);
  l->grad = cuda_scratch_place(&l->n_bytes, l->chunk * n_copied * plane, size);
  const int64_t counts[2] = {l->chunk, tail};
  int64_t conv_most = 0;
  for (int64_t count : counts) {
    DN_TRY(add_conv(l, CUDA_CONV2D_BACKWARD_DATA, x, dy, weight, conv, count, &conv_most));
    if (dweight)
      DN_TRY(add_conv(l, CUDA_CONV2D_BACKWARD_WEIGHT, x, dy, dweight, conv, count, &conv_most));
  }
  l->conv = cuda_scratch_place(&l->n_bytes, conv_most, 1);
  l->n_pairs = n_whole * segments_of(x, 0, l->chunk) + segments_of(x, 0, tail);
  l->sums = cuda_scratch_place(&l->n_bytes, 2 * x->size[1] * l->n_pairs, (int64_t)sizeof(double));
  return DN_OK;
}

/* dy as the products read it: with its deferred terms, and side by side for 1x1. */
static dn_status gradient_part(dn_tensor *part, const layout *l, dn_storage *lent,
                               const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred,
                               int64_t first, int64_t count) {
  const dn_tensor some_dy = part_of(dy, first, count);
  *part = some_dy;
  if (!l->copies_dy) return DN_OK;
  *part = images_at(lent, &some_dy, dy->size[1], l->is_side_by_side);
  if (!deferred) return cuda_copy(part, &some_dy);
  const dn_tensor some_y = part_of(y, first, count);
  return cuda_deferred_add_to(part, &some_dy, &some_y, deferred);
}

/* dweight += scale * where there is one, and z becomes dz. */
static dn_status multiply(dn_tensor *dweight, const dn_tensor *z, const dn_tensor *dy,
                          const dn_tensor *weight, const layout *l, double scale, void *scratch) {
  const cuda_conv2d conv = conv_of(weight);
  const cuda_images wide = l->is_side_by_side ? joined(z) : cuda_images_of(z);
  const cuda_images grad = l->is_side_by_side ? joined(dy) : cuda_images_of(dy);
  if (dweight)
    DN_TRY(cuda_conv2d_images_backward_weight(dn_tensor_data(dweight), &grad, &wide, &conv, scale,
                                              scratch));
  return cuda_conv2d_images_backward_data(&wide, &grad, dn_tensor_data(weight), &conv, scratch);
}

dn_status cuda_norm_relu_conv_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                       const dn_tensor *dy, const dn_tensor *y,
                                       const dn_tensor *deferred, const dn_tensor *x,
                                       const dn_tensor *norm, const dn_tensor *weight,
                                       bool accumulate, double scale, dn_tensor *dgamma,
                                       dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const cuda_norm_gradient gradient =
      cuda_norm_gradient_of(dnorm, x, norm, accumulate, scale, dgamma, dbeta, dx_deferred);
  void *block;
  if (cuda_norm_relu_conv_1x1_backward_fits(dy, x, weight)) {
    DN_TRY(cuda_scratch(cuda_norm_relu_conv_1x1_backward_scratch(dweight, dy, x), &block));
    return cuda_norm_relu_conv_1x1_backward(dx, gradient, dweight, dy, y, deferred, x, weight,
                                            block);
  }
  if (cuda_norm_relu_conv_3x3_backward_fits(dy, x, weight)) {
    DN_TRY(cuda_scratch(cuda_norm_relu_conv_3x3_backward_scratch(dweight, dy, x), &block));
    return cuda_norm_relu_conv_3x3_backward(dx, gradient, dweight, dy, y, deferred, x, weight,
                                            block);
  }
  const cuda_conv2d conv = conv_of(weight);
  layout l;
  DN_TRY(backward_layout(dy, deferred, x, weight, dweight, &conv, &l));
  DN_TRY(cuda_scratch(l.n_bytes, &block));
  char *const scratch = (char *)block;
  double *const sums = (double *)(scratch + l.sums);
  dn_storage wide, grad;
  memset(&wide, 0, sizeof wide);
  memset(&grad, 0, sizeof grad);
  wide.data = scratch + l.wide;
  grad.data = scratch + l.grad;
  int64_t first_pair = 0;
  for (int64_t first = 0; first < x->size[0]; first += l.chunk) {
    const int64_t rest = x->size[0] - first, count = rest < l.chunk ? rest : l.chunk;
    const dn_tensor some_x = part_of(x, first, count);
    dn_tensor some_dx = part_of(dx, first, count), some_dy;
    dn_tensor z = images_at(&wide, &some_x, x->size[1], l.is_side_by_side);
    if (dweight) DN_TRY(cuda_norm_relu_forward(&z, &some_x, norm, 1, 1));
    DN_TRY(gradient_part(&some_dy, &l, &grad, dy, y, deferred, first, count));
    DN_TRY(multiply(dweight, &z, &some_dy, weight, &l, scale, scratch + l.conv));
    DN_TRY(cuda_norm_relu_backward(&some_dx, sums, first_pair, l.n_pairs, &z, &some_x, norm, 1, 1,
                                   accumulate));
    first_pair += cuda_segments(cuda_planes_of(&some_x));
  }
  return cuda_norm_relu_backward_join(gradient, sums, l.n_pairs);
}
