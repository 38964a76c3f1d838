/*
** Front door of the matrix products and convolutions.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

enum { PARAMETER = DN_PARAMETER | DN_CONTIGUOUS };

/* As a BLAS reads a matrix: one stride is 1, the other steps over a whole row or column. */
static dn_status check_matrix(int number, const char *name, const dn_tensor *m) {
  for (int unit = 0; unit < 2; unit++) {
    const int other = 1 - unit;
    const bool is_dense = m->size[unit] <= 1 || m->stride[unit] == 1;
    const bool is_apart = m->size[other] <= 1 || m->stride[other] >= m->size[unit];
    if (is_dense && is_apart) return DN_OK;
  }
  char got[DN_SHAPE_TEXT];
  return dn_error_argument(number,
                           "%s is a view of %s with strides %" PRId64 ", %" PRId64
                           "; expected one unit stride and rows that lie apart",
                           name, dn_tensor_shape_text(m, got), m->stride[0], m->stride[1]);
}

dn_status dn_gemm(dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha, double beta) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "a", a, "MK", 0}, {3, "b", b, "KN", 0},
                  {1, "c", c, "MN", DN_OUT}));
  DN_TRY(check_matrix(1, "c", c));
  DN_TRY(check_matrix(2, "a", a));
  DN_TRY(check_matrix(3, "b", b));
  if (dn_tensor_count(c) == 0) return DN_OK;
  return DN_RUN(gemm, c, a, b, alpha, beta);
}

dn_status dn_linear_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                            const dn_tensor *bias) {
  DN_TRY(DN_CHECK(
      DN_CLASS_REAL, {2, "x", x, "NC", DN_CONTIGUOUS}, {3, "weight", weight, "KC", PARAMETER},
      {4, "bias", bias, "K", DN_OPTIONAL | PARAMETER}, {1, "y", y, "NK", DN_OUT | DN_CONTIGUOUS}));
  if (dn_tensor_count(y) == 0) return DN_OK;
  return DN_RUN(linear_forward, y, x, weight, bias);
}

dn_status dn_linear_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "NK", DN_CONTIGUOUS},
                  {3, "weight", weight, "KC", PARAMETER},
                  {1, "dx", dx, "NC", DN_OUT | DN_CONTIGUOUS}));
  if (dn_tensor_count(dx) == 0) return DN_OK;
  return DN_RUN(linear_backward_data, dx, dy, weight);
}

dn_status dn_linear_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                    const dn_tensor *x, double scale) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {3, "dy", dy, "NK", DN_CONTIGUOUS},
                  {4, "x", x, "NC", DN_CONTIGUOUS},
                  {1, "dweight", dweight, "KC", DN_OUT | PARAMETER},
                  {2, "dbias", dbias, "K", DN_OUT | DN_OPTIONAL | PARAMETER}));
  DN_TRY(dn_check_finite(5, "scale", scale, -INFINITY));
  if (dn_tensor_count(dy) == 0) return DN_OK; /* nothing to add */
  return DN_RUN(linear_backward_weight, dweight, dbias, dy, x, scale);
}

/* A convolution's planes x and y around its weight, and where the caller's list has each of them. */
typedef struct conv2d_call {
  dn_arg x, weight, y;
  dn_conv2d options;
  int options_number;
} conv2d_call;

/* Channels and output planes; the shapes' letters have been checked. */
static dn_status check_conv2d(const conv2d_call *call) {
  const int64_t *x = call->x.tensor->size, *weight = call->weight.tensor->size,
                *y = call->y.tensor->size;
  const int64_t groups = call->options.groups;
  const int groups_number = call->options_number + 4;
  char got[DN_SHAPE_TEXT], other[DN_SHAPE_TEXT];
  if (groups < 1 || x[1] % groups != 0 || weight[0] % groups != 0)
    return dn_error_argument(groups_number,
                             "groups is %" PRId64 "; expected a divisor of %" PRId64
                             " input and %" PRId64 " output channels",
                             groups, x[1], weight[0]);
  if (weight[1] != x[1] / groups)
    return dn_error_argument(call->weight.number,
                             "%s %s takes %" PRId64 " input channels%s, %s %s has %" PRId64,
                             call->weight.name, dn_tensor_shape_text(call->weight.tensor, got),
                             weight[1], groups > 1 ? " a group" : "", call->x.name,
                             dn_tensor_shape_text(call->x.tensor, other), x[1] / groups);
  int64_t plane[2];
  DN_TRY(dn_check_conv2d_size(x + 2, weight + 2, call->options,
                              (const int[2]){call->weight.number, call->weight.number},
                              call->options_number, plane));
  if (y[2] == plane[0] && y[3] == plane[1]) return DN_OK;
  return dn_error_argument(
      call->y.number, "%s is %s; expected planes of %" PRId64 "x%" PRId64 ", which %s %s gives",
      call->y.name, dn_tensor_shape_text(call->y.tensor, got), plane[0], plane[1], call->x.name,
      dn_tensor_shape_text(call->x.tensor, other));
}

dn_status dn_conv2d_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                            const dn_tensor *bias, dn_conv2d options) {
  const conv2d_call call = {{2, "input", x, "NCHW", DN_PLANES | DN_FILLED},
                            {3, "weight", weight, "KDRS", PARAMETER | DN_FILLED},
                            {1, "output", y, "NKPQ", DN_OUT | DN_PLANES},
                            options,
                            5};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, call.x, call.weight,
                  {4, "bias", bias, "K", DN_OPTIONAL | PARAMETER}, call.y));
  DN_TRY(check_conv2d(&call));
  return DN_RUN(conv2d_forward, y, x, weight, bias, options);
}

dn_status dn_conv2d_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                  dn_conv2d options) {
  const conv2d_call call = {{1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED},
                            {3, "weight", weight, "KDRS", PARAMETER | DN_FILLED},
                            {2, "dy", dy, "NKPQ", DN_PLANES},
                            options,
                            4};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, call.x, call.weight, call.y));
  DN_TRY(check_conv2d(&call));
  return DN_RUN(conv2d_backward_data, dx, dy, weight, options);
}

dn_status dn_conv2d_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                    const dn_tensor *x, dn_conv2d options, double scale) {
  const conv2d_call call = {{4, "x", x, "NCHW", DN_PLANES | DN_FILLED},
                            {1, "dweight", dweight, "KDRS", DN_OUT | PARAMETER | DN_FILLED},
                            {3, "dy", dy, "NKPQ", DN_PLANES},
                            options,
                            5};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, call.x, call.weight,
                  {2, "dbias", dbias, "K", DN_OUT | DN_OPTIONAL | PARAMETER}, call.y));
  DN_TRY(check_conv2d(&call));
  DN_TRY(dn_check_finite(10, "scale", scale, -INFINITY));
  return DN_RUN(conv2d_backward_weight, dweight, dbias, dy, x, options, scale);
}
