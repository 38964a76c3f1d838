/*
** Front door of relu, dropout and pooling. relu and dropout take any shape and strides; pooling takes
** planes.
*/
#include "dn_ops_check.h"

#include <inttypes.h>

static bool is_empty(const dn_tensor *y) { return dn_tensor_count(y) == 0; }

dn_status dn_relu_forward(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "*", DN_IN_PLACE}, {1, "y", y, "*", DN_OUT}));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(relu_forward, y, x);
}

dn_status dn_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {3, "y", y, "*", DN_IN_PLACE}, {2, "dy", dy, "*", DN_IN_PLACE},
                  {1, "dx", dx, "*", DN_OUT}));
  if (is_empty(dx)) return DN_OK;
  return DN_RUN(relu_backward, dx, dy, y);
}

static dn_status check_probability(double probability) {
  if (probability >= 0 && probability < 1) return DN_OK;
  return dn_error_argument(3, "probability is %g; expected 0 or more and less than 1", probability);
}

dn_status dn_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                             dn_number base) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "*", DN_IN_PLACE}, {1, "y", y, "*", DN_OUT}));
  DN_TRY(check_probability(probability));
  DN_TRY(dn_check_number(7, "base", &base, y));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(dropout_forward, y, x, probability, rng, base);
}

dn_status dn_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng,
                              dn_number base) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "*", DN_IN_PLACE}, {1, "dx", dx, "*", DN_OUT}));
  DN_TRY(check_probability(probability));
  DN_TRY(dn_check_number(7, "base", &base, dx));
  if (is_empty(dx)) return DN_OK;
  return DN_RUN(dropout_backward, dx, dy, probability, rng, base);
}

/* The pooled tensor's planes are what the options make of the input's. */
static dn_status check_pooled(const dn_arg *pooled, const dn_arg *input, dn_pool2d options,
                              int options_number) {
  int64_t plane[2];
  DN_TRY(dn_check_pool2d_size(input->tensor->size + 2, options, options_number, plane));
  if (pooled->tensor->size[2] == plane[0] && pooled->tensor->size[3] == plane[1]) return DN_OK;
  char got[DN_SHAPE_TEXT], from[DN_SHAPE_TEXT];
  return dn_error_argument(
      pooled->number, "%s is %s; expected planes of %" PRId64 "x%" PRId64 ", which %s %s gives",
      pooled->name, dn_tensor_shape_text(pooled->tensor, got), plane[0], plane[1], input->name,
      dn_tensor_shape_text(input->tensor, from));
}

dn_status dn_max_pool2d_forward(dn_tensor *y, dn_tensor *indices, const dn_tensor *x,
                                dn_pool2d options) {
  const dn_arg input = {3, "x", x, "NCHW", DN_PLANES | DN_FILLED},
               pooled = {1, "y", y, "NCPQ", DN_OUT | DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled,
                  {2, "indices", indices, "NCPQ", DN_OUT | DN_PLANES | DN_IS_LONG}));
  DN_TRY(check_pooled(&pooled, &input, options, 4));
  return DN_RUN(max_pool2d_forward, y, indices, x, options);
}

dn_status dn_max_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *indices) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "NCPQ", DN_PLANES | DN_FILLED},
                  {3, "indices", indices, "NCPQ", DN_PLANES | DN_IS_LONG},
                  {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED}));
  return DN_RUN(max_pool2d_backward, dx, dy, indices);
}

dn_status dn_avg_pool2d_forward(dn_tensor *y, const dn_tensor *x, dn_pool2d options) {
  const dn_arg input = {2, "x", x, "NCHW", DN_PLANES | DN_FILLED},
               pooled = {1, "y", y, "NCPQ", DN_OUT | DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled));
  DN_TRY(check_pooled(&pooled, &input, options, 3));
  return DN_RUN(avg_pool2d_forward, y, x, options);
}

dn_status dn_avg_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, dn_pool2d options) {
  const dn_arg input = {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED},
               pooled = {2, "dy", dy, "NCPQ", DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled));
  DN_TRY(check_pooled(&pooled, &input, options, 3));
  return DN_RUN(avg_pool2d_backward, dx, dy, options);
}

dn_status dn_global_avg_pool_forward(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "NCHW", DN_PLANES | DN_FILLED},
                  {1, "y", y, "NC", DN_OUT | DN_CONTIGUOUS}));
  return DN_RUN(global_avg_pool_forward, y, x);
}

dn_status dn_global_avg_pool_backward(dn_tensor *dx, const dn_tensor *dy) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "NC", DN_CONTIGUOUS | DN_FILLED},
                  {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED}));
  return DN_RUN(global_avg_pool_backward, dx, dy);
}
