/*
** Dispatch of the convolutions.
**   the engine           (cpu_conv_engine.h), and for the input's gradient with other strides than 1 products
**                        that are folded back into the image (cpu_conv_patches.h)
**   reference            the definition's loops (cpu_conv2d_reference.h), also for what the loops' 32-bit
**                        steps cannot span
** Groups are convolutions of their own, over slices.
*/
#include "../cpu_backend.h"
#include "cpu_conv2d_reference.h"
#include "cpu_conv_engine.h"
#include "cpu_conv_patches.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"

/* A border is twice its padding wide, and a band at least as high as the kernel. */
static bool steps_fit(const dn_tensor *x, const dn_tensor *weight, dn_conv2d options) {
  const int64_t channels =
      (weight->size[0] > weight->size[1] ? weight->size[0] : weight->size[1]) + 16;
  const int64_t line = x->size[3] + 2 * (int64_t)options.pad_w + weight->size[3];
  const int64_t lines = weight->size[2] + 1;
  return dn_tensor_count(weight) <= INT32_MAX / 2 && line <= (INT32_MAX / channels - 128) / lines;
}

static bool is_reference(const dn_tensor *x, const dn_tensor *y, const dn_tensor *weight,
                         dn_conv2d options) {
  return !cpu_is_real(weight->dtype) || dn_reference() || dn_tensor_count(weight) == 0 ||
         dn_tensor_count(x) == 0 || dn_tensor_count(y) == 0 || !steps_fit(x, weight, options);
}

/* Group g of n along a dimension: a view of it in *view. NULL stays NULL. */
static dn_tensor *slice(dn_tensor *view, const dn_tensor *whole, int dim, int64_t g, int64_t n) {
  if (!whole) return NULL;
  *view = *whole;
  view->size[dim] = whole->size[dim] / n;
  view->offset += g * view->size[dim] * whole->stride[dim];
  return view;
}

dn_status cpu_conv2d_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                             const dn_tensor *bias, dn_conv2d options) {
  if (is_reference(x, y, weight, options)) {
    DN_TRY(cpu_scratch_none());
    if (dn_tensor_count(y) > 0) cpu_conv2d_forward_reference(y, x, weight, bias, options);
    return DN_OK;
  }
  dn_tensor views[4];
  const int64_t n = options.groups;
  for (int64_t g = 0; g < n; g++) {
    const cpu_conv_forward call = {.y = slice(&views[0], y, 1, g, n),
                                   .x = slice(&views[1], x, 1, g, n),
                                   .weight = slice(&views[2], weight, 0, g, n),
                                   .bias = slice(&views[3], bias, 0, g, n),
                                   .options = options};
    DN_TRY(cpu_conv_engine_forward(&call));
  }
  return DN_OK;
}

static dn_status backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                               dn_conv2d options) {
  if (!cpu_conv_is_shifted(weight, options))
    return CPU_REAL_OF(dx->dtype, cpu_conv_patches_backward_data)(dx, dy, weight, options);
  const cpu_conv_forward call = {
      .y = dx, .x = dy, .weight = weight, .options = options, .transposed = true};
  return cpu_conv_engine_forward(&call);
}

dn_status cpu_conv2d_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                   dn_conv2d options) {
  if (is_reference(dx, dy, weight, options)) {
    DN_TRY(cpu_scratch_none());
    if (dn_tensor_count(dx) > 0) cpu_conv2d_backward_data_reference(dx, dy, weight, options);
    return DN_OK;
  }
  dn_tensor views[3];
  const int64_t n = options.groups;
  for (int64_t g = 0; g < n; g++)
    DN_TRY(backward_data(slice(&views[0], dx, 1, g, n), slice(&views[1], dy, 1, g, n),
                         slice(&views[2], weight, 0, g, n), options));
  return DN_OK;
}

static void backward_bias(dn_tensor *dbias, const dn_tensor *dy, double scale) {
  const int64_t size = dy->size[2] * dy->size[3];
  void *const out = dn_tensor_data(dbias);
  const void *const gradient = dn_tensor_data(dy);
  const int n_threads = cpu_team(dn_tensor_count(dy));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t k = 0; k < dy->size[1]; k++) {
    double sum = 0;
    for (int64_t n = 0; n < dy->size[0]; n++)
      for (int64_t i = 0; i < size; i++)
        sum += cpu_load(gradient, dy->dtype, n * dy->stride[0] + k * dy->stride[1] + i);
    cpu_store(out, dbias->dtype, k, cpu_load(out, dbias->dtype, k) + scale * sum);
  }
}

static dn_status backward_weight(dn_tensor *dweight, const dn_tensor *dy, const dn_tensor *x,
                                 dn_conv2d options, double scale) {
  dn_tensor views[3];
  const int64_t n = options.groups;
  for (int64_t g = 0; g < n; g++) {
    const cpu_conv_backward call = {.dweight = slice(&views[0], dweight, 0, g, n),
                                    .dy = slice(&views[1], dy, 1, g, n),
                                    .x = slice(&views[2], x, 1, g, n),
                                    .options = options,
                                    .scale = scale};
    DN_TRY(cpu_conv_engine_backward(&call));
  }
  return DN_OK;
}

dn_status cpu_conv2d_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                     const dn_tensor *x, dn_conv2d options, double scale) {
  if (is_reference(x, dy, dweight, options)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_backward_weight_reference(dweight, dy, x, options, scale);
  } else {
    DN_TRY(backward_weight(dweight, dy, x, options, scale));
  }
  /* Last: a call that ran out of memory is repeated, and must not have added anything yet. */
  if (dbias) backward_bias(dbias, dy, scale);
  return DN_OK;
}
