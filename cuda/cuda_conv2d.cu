#include "cuda_conv2d.h"

#include "cuda_conv2d_1x1.h"
#include "cuda_conv2d_3x3.h"
#include "cuda_conv2d_direct.h"
#include "cuda_cudnn.h"
#include "cuda_narrow.h"
#include "cuda_parameters.h"

/* Room for 16-bit images widened to float, for gradients of weights. */
#ifndef CUDA_WIDE_BYTES
#define CUDA_WIDE_BYTES (16 << 20)
#endif

/* What lies where in the scratch of a convolution by cuDNN. */
typedef struct layout {
  int64_t n_bytes, workspace, weight, x, y;
  int64_t n_images;        /* at a time, at most */
  int64_t workspace_bytes; /* none where cuDNN refuses */
} layout;

/* The same images in float, without gaps. */
static cuda_images widened(const cuda_images *x, void *data) {
  cuda_images wide = *x;
  wide.data = data;
  wide.dtype = DN_FLOAT;
  wide.channel_stride = x->h * x->w;
  wide.image_stride = x->c * wide.channel_stride;
  return wide;
}

/* Images that lie on one another, which cuDNN refuses, get the workspace of others: a plan has their sizes. */
static cuda_images apart(const cuda_images *x) {
  cuda_images images = *x;
  if (cuda_images_lie_apart(x)) return images;
  images.channel_stride = x->h * x->w;
  images.image_stride = x->c * images.channel_stride;
  return images;
}

/*
** The workspace for `count` images; in 16 bits gradients of weights are made of wide copies, which lie in
** scratch. What is in scratch is aligned, wherever it will be.
*/
static dn_status ask(cuda_conv2d_direction direction, const cuda_images *x, const cuda_images *y,
                     const void *weight, const cuda_conv2d *conv, int64_t count, int64_t *n_bytes,
                     cuda_cudnn_outcome *outcome) {
  const bool widens = direction == CUDA_CONV2D_BACKWARD_WEIGHT && cuda_is_narrow(x->dtype);
  const bool narrows = direction != CUDA_CONV2D_BACKWARD_WEIGHT && cuda_is_narrow(x->dtype);
  cuda_images some_x = widens ? widened(x, NULL) : apart(x);
  cuda_images some_y = widens ? widened(y, NULL) : apart(y);
  some_x.n = some_y.n = count;
  const cuda_cudnn_call call = {
      direction, &some_x, &some_y, narrows ? NULL : const_cast<void *>(weight), conv, 1, widens};
  return cuda_cudnn_workspace(&call, n_bytes, outcome);
}

/* As many images at a time as cuDNN takes, and the workspace for those and for the rest. */
static dn_status fit(layout *l, cuda_conv2d_direction direction, const cuda_images *x,
                     const cuda_images *y, const void *weight, const cuda_conv2d *conv) {
  cuda_cudnn_outcome outcome = CUDA_CUDNN_REFUSED;
  for (;;) {
    DN_TRY(ask(direction, x, y, weight, conv, l->n_images, &l->workspace_bytes, &outcome));
    if (outcome != CUDA_CUDNN_TOO_LARGE || l->n_images == 1) break;
    l->n_images = (l->n_images + 1) / 2;
  }
  const int64_t rest = x->n % l->n_images;
  int64_t n_bytes = 0;
  if (outcome == CUDA_CUDNN_DONE && rest > 0)
    DN_TRY(ask(direction, x, y, weight, conv, rest, &n_bytes, &outcome));
  if (n_bytes > l->workspace_bytes) l->workspace_bytes = n_bytes;
  return DN_OK;
}

static dn_status layout_of(cuda_conv2d_direction direction, const cuda_images *x,
                           const cuda_images *y, const void *weight, const cuda_conv2d *conv,
                           layout *l) {
  memset(l, 0, sizeof *l);
  l->n_images = x->n;
  const int64_t x_size = x->c * x->h * x->w, y_size = y->c * y->h * y->w, size = sizeof(float);
  const bool widens = direction == CUDA_CONV2D_BACKWARD_WEIGHT && cuda_is_narrow(x->dtype);
  if (widens) {
    const int64_t n_images = CUDA_WIDE_BYTES / ((x_size + y_size) * size);
    l->n_images = n_images < 1 ? 1 : n_images < x->n ? n_images : x->n;
  }
  DN_TRY(fit(l, direction, x, y, weight, conv));
  l->workspace = cuda_scratch_place(&l->n_bytes, l->workspace_bytes, 1);
  if (widens) {
    l->x = cuda_scratch_place(&l->n_bytes, l->n_images * x_size, size);
    l->y = cuda_scratch_place(&l->n_bytes, l->n_images * y_size, size);
  } else if (cuda_is_narrow(x->dtype)) {
    const int64_t n_weights = y->c * (x->c / conv->options.groups) * conv->r * conv->s;
    l->weight = cuda_scratch_place(&l->n_bytes, n_weights, 2);
  }
  return DN_OK;
}

dn_status cuda_conv2d_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                              const cuda_images *y, const void *weight, const cuda_conv2d *conv,
                              int64_t *n_bytes) {
  if (cuda_conv2d_is_1x1(conv)) {
    *n_bytes = cuda_conv2d_1x1_scratch(direction, x, y);
    return DN_OK;
  }
  layout l;
  DN_TRY(layout_of(direction, x, y, weight, conv, &l));
  *n_bytes = l.n_bytes;
  return DN_OK;
}

/* ---- As many images at a time as cuDNN takes ---- */

/* A direction between images: out is y, dx or dweight. */
typedef struct conv_call {
  cuda_conv2d_direction direction;
  const cuda_conv2d *conv;
  void *weight;     /* as given; dweight in backward_weight */
  const void *near; /* the weight in the images' dtype */
  double scale;
  char *scratch;
  layout l;
} conv_call;

typedef dn_status rest_function(const conv_call *call, const cuda_images *x, const cuda_images *y);

static dn_status run_part(const conv_call *call, const cuda_images *x, const cuda_images *y,
                          bool are_narrow, cuda_cudnn_outcome *outcome) {
  const cuda_cudnn_call made = {
      call->direction, x, y, const_cast<void *>(call->near), call->conv, call->scale, are_narrow};
  return cuda_cudnn_run(&made, call->scratch + call->l.workspace, call->l.workspace_bytes, outcome);
}

static dn_status part(const conv_call *call, const cuda_images *x, const cuda_images *y,
                      cuda_cudnn_outcome *outcome) {
  if (call->direction != CUDA_CONV2D_BACKWARD_WEIGHT || !cuda_is_narrow(x->dtype))
    return run_part(call, x, y, false, outcome);
  const cuda_images wide_x = widened(x, call->scratch + call->l.x);
  const cuda_images wide_y = widened(y, call->scratch + call->l.y);
  DN_TRY(cuda_images_widen((float *)wide_x.data, x));
  DN_TRY(cuda_images_widen((float *)wide_y.data, y));
  return run_part(call, &wide_x, &wide_y, true, outcome);
}

/* In steps; what cuDNN refuses, by `rest`. Which way images go depends on their sizes alone. */
static dn_status in_parts(const conv_call *call, const cuda_images *x, const cuda_images *y,
                          rest_function *rest) {
  int64_t step = call->l.n_images, first = 0;
  while (first < x->n) {
    const int64_t count = step < x->n - first ? step : x->n - first;
    const cuda_images some_x = cuda_images_part(x, first, count);
    const cuda_images some_y = cuda_images_part(y, first, count);
    cuda_cudnn_outcome outcome = CUDA_CUDNN_REFUSED;
    DN_TRY(part(call, &some_x, &some_y, &outcome));
    if (outcome == CUDA_CUDNN_DONE) {
      first += count;
    } else if (outcome == CUDA_CUDNN_TOO_LARGE && count > 1) {
      step = (count + 1) / 2;
    } else {
      const cuda_images rest_x = cuda_images_part(x, first, x->n - first);
      const cuda_images rest_y = cuda_images_part(y, first, y->n - first);
      cuda_current()->n_direct++;
      return rest(call, &rest_x, &rest_y);
    }
  }
  return DN_OK;
}

static dn_status forward_rest(const conv_call *call, const cuda_images *x, const cuda_images *y) {
  return cuda_conv2d_direct_forward(y, x, call->weight, call->conv);
}

static dn_status backward_data_rest(const conv_call *call, const cuda_images *x,
                                    const cuda_images *y) {
  return cuda_conv2d_direct_backward_data(x, y, call->weight, call->conv);
}

static dn_status backward_weight_rest(const conv_call *call, const cuda_images *x,
                                      const cuda_images *y) {
  return cuda_conv2d_direct_backward_weight(call->weight, y, x, call->conv, call->scale);
}

/* ---- Directions ---- */

/* The call, with the weight in the images' dtype: itself, or rounded into the scratch. */
static dn_status prepare(conv_call *call, cuda_conv2d_direction direction, const cuda_images *x,
                         const cuda_images *y, const void *weight, const cuda_conv2d *conv,
                         void *scratch) {
  call->direction = direction;
  call->conv = conv;
  call->weight = const_cast<void *>(weight);
  call->near = weight;
  call->scale = 1;
  call->scratch = (char *)scratch;
  DN_TRY(layout_of(direction, x, y, weight, conv, &call->l));
  if (direction == CUDA_CONV2D_BACKWARD_WEIGHT || !cuda_is_narrow(x->dtype)) return DN_OK;
  void *const room = call->scratch + call->l.weight;
  return cuda_weight_beside(weight, y->c * (x->c / conv->options.groups) * conv->r * conv->s,
                            x->dtype, room, &call->near);
}

dn_status cuda_conv2d_images_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                     const cuda_conv2d *conv, void *scratch) {
  if (cuda_conv2d_is_1x1(conv)) return cuda_conv2d_1x1_forward(y, x, weight, scratch);
  conv_call call;
  DN_TRY(prepare(&call, CUDA_CONV2D_FORWARD, x, y, weight, conv, scratch));
  return in_parts(&call, x, y, forward_rest);
}

dn_status cuda_conv2d_images_backward_data(const cuda_images *dx, const cuda_images *dy,
                                           const void *weight, const cuda_conv2d *conv,
                                           void *scratch) {
  if (cuda_conv2d_is_1x1(conv)) return cuda_conv2d_1x1_backward_data(dx, dy, weight, scratch);
  conv_call call;
  DN_TRY(prepare(&call, CUDA_CONV2D_BACKWARD_DATA, dx, dy, weight, conv, scratch));
  return in_parts(&call, dx, dy, backward_data_rest);
}

dn_status cuda_conv2d_images_backward_weight(void *dweight, const cuda_images *dy,
                                             const cuda_images *x, const cuda_conv2d *conv,
                                             double scale, void *scratch) {
  if (cuda_conv2d_is_1x1(conv))
    return cuda_conv2d_1x1_backward_weight(dweight, dy, x, scale, scratch);
  conv_call call;
  DN_TRY(prepare(&call, CUDA_CONV2D_BACKWARD_WEIGHT, x, dy, dweight, conv, scratch));
  call.scale = scale;
  return in_parts(&call, x, dy, backward_weight_rest);
}

/* ---- Operations ---- */

static cuda_conv2d conv_of(const dn_tensor *weight, dn_conv2d options) {
  const cuda_conv2d conv = {weight->size[2], weight->size[3], options};
  return conv;
}

static dn_status take_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                              const cuda_images *y, const dn_tensor *weight,
                              const cuda_conv2d *conv, void **scratch) {
  int64_t n_bytes = 0;
  DN_TRY(cuda_conv2d_scratch(direction, x, y, dn_tensor_data(weight), conv, &n_bytes));
  return cuda_scratch(n_bytes, scratch);
}

dn_status cuda_conv2d_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                              const dn_tensor *bias, dn_conv2d options) {
  const cuda_images out = cuda_images_of(y), in = cuda_images_of(x);
  if (cuda_conv2d_3x3_fits(y, x, weight, options)) {
    DN_TRY(cuda_scratch_none());
    DN_TRY(cuda_conv2d_3x3_forward(y, x, weight));
  } else {
    const cuda_conv2d conv = conv_of(weight, options);
    void *scratch;
    DN_TRY(take_scratch(CUDA_CONV2D_FORWARD, &in, &out, weight, &conv, &scratch));
    DN_TRY(cuda_conv2d_images_forward(&out, &in, dn_tensor_data(weight), &conv, scratch));
  }
  return bias ? cuda_bias_add(&out, dn_tensor_data(bias)) : DN_OK;
}

dn_status cuda_conv2d_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                    dn_conv2d options) {
  if (cuda_conv2d_3x3_fits(dx, dy, weight, options)) {
    DN_TRY(cuda_scratch_none());
    return cuda_conv2d_3x3_backward_data(dx, dy, weight);
  }
  const cuda_images in = cuda_images_of(dx), out = cuda_images_of(dy);
  const cuda_conv2d conv = conv_of(weight, options);
  void *scratch;
  DN_TRY(take_scratch(CUDA_CONV2D_BACKWARD_DATA, &in, &out, weight, &conv, &scratch));
  return cuda_conv2d_images_backward_data(&in, &out, dn_tensor_data(weight), &conv, scratch);
}

dn_status cuda_conv2d_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                      const dn_tensor *x, dn_conv2d options, double scale) {
  const cuda_images out = cuda_images_of(dy), in = cuda_images_of(x);
  void *scratch;
  if (cuda_conv2d_3x3_backward_weight_fits(dy, x, dweight, options)) {
    DN_TRY(cuda_scratch(cuda_conv2d_3x3_backward_weight_scratch(dy, x), &scratch));
    DN_TRY(cuda_conv2d_3x3_backward_weight(dweight, dy, x, scale, scratch));
  } else {
    const cuda_conv2d conv = conv_of(dweight, options);
    DN_TRY(take_scratch(CUDA_CONV2D_BACKWARD_WEIGHT, &in, &out, dweight, &conv, &scratch));
    DN_TRY(cuda_conv2d_images_backward_weight(dn_tensor_data(dweight), &out, &in, &conv, scale,
                                              scratch));
  }
  return dbias ? cuda_bias_backward(dn_tensor_data(dbias), &out, scale) : DN_OK;
}
