/*
** Front door of relu, dropout, pooling and concatenation. relu and dropout take
** any shape and strides; pooling takes planes.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_empty(const dn_tensor *y) { return dn_tensor_count(y) == 0; }

dn_status dn_relu_forward(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "*", DN_IN_PLACE}, {1, "y", y, "*", DN_OUT}));
  if (is_empty(y)) return DN_OK;
  return dn_backend_of(y)->relu_forward(y, x);
}

dn_status dn_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {3, "y", y, "*", DN_IN_PLACE}, {2, "dy", dy, "*", DN_IN_PLACE},
                  {1, "dx", dx, "*", DN_OUT}));
  if (is_empty(dx)) return DN_OK;
  return dn_backend_of(dx)->relu_backward(dx, dy, y);
}

static dn_status check_probability(double probability) {
  if (probability >= 0 && probability < 1) return DN_OK;
  return dn_error_argument(3, "probability is %g; expected 0 or more and less than 1", probability);
}

dn_status dn_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "*", DN_IN_PLACE}, {1, "y", y, "*", DN_OUT}));
  DN_TRY(check_probability(probability));
  if (is_empty(y)) return DN_OK;
  return dn_backend_of(y)->dropout_forward(y, x, probability, rng);
}

dn_status dn_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "*", DN_IN_PLACE}, {1, "dx", dx, "*", DN_OUT}));
  DN_TRY(check_probability(probability));
  if (is_empty(dx)) return DN_OK;
  return dn_backend_of(dx)->dropout_backward(dx, dy, probability, rng);
}

/* The pooled tensor's planes are what the options make of the input's. */
static dn_status check_pooled(const dn_arg *pooled, const dn_arg *input, dn_pool2d options,
                              int options_number) {
  int64_t plane[2];
  DN_TRY(dn_check_pool2d_size(input->tensor->size + 2, options, options_number, plane));
  if (pooled->tensor->size[2] == plane[0] && pooled->tensor->size[3] == plane[1]) return DN_OK;
  char came[DN_SHAPE_TEXT], from[DN_SHAPE_TEXT];
  return dn_error_argument(
      pooled->number, "%s is %s; expected planes of %" PRId64 "x%" PRId64 ", which %s %s gives",
      pooled->name, dn_tensor_shape_text(pooled->tensor, came), plane[0], plane[1], input->name,
      dn_tensor_shape_text(input->tensor, from));
}

dn_status dn_max_pool2d_forward(dn_tensor *y, dn_tensor *indices, const dn_tensor *x,
                                dn_pool2d options) {
  const dn_arg input = {3, "x", x, "NCHW", DN_PLANES | DN_FILLED},
               pooled = {1, "y", y, "NCPQ", DN_OUT | DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled,
                  {2, "indices", indices, "NCPQ", DN_OUT | DN_PLANES | DN_IS_LONG}));
  DN_TRY(check_pooled(&pooled, &input, options, 4));
  return dn_backend_of(y)->max_pool2d_forward(y, indices, x, options);
}

dn_status dn_max_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *indices) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "NCPQ", DN_PLANES | DN_FILLED},
                  {3, "indices", indices, "NCPQ", DN_PLANES | DN_IS_LONG},
                  {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED}));
  return dn_backend_of(dx)->max_pool2d_backward(dx, dy, indices);
}

dn_status dn_avg_pool2d_forward(dn_tensor *y, const dn_tensor *x, dn_pool2d options) {
  const dn_arg input = {2, "x", x, "NCHW", DN_PLANES | DN_FILLED},
               pooled = {1, "y", y, "NCPQ", DN_OUT | DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled));
  DN_TRY(check_pooled(&pooled, &input, options, 3));
  return dn_backend_of(y)->avg_pool2d_forward(y, x, options);
}

dn_status dn_avg_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, dn_pool2d options) {
  const dn_arg input = {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED},
               pooled = {2, "dy", dy, "NCPQ", DN_PLANES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, pooled));
  DN_TRY(check_pooled(&pooled, &input, options, 3));
  return dn_backend_of(dx)->avg_pool2d_backward(dx, dy, options);
}

dn_status dn_global_avg_pool_forward(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "NCHW", DN_PLANES | DN_FILLED},
                  {1, "y", y, "NC", DN_OUT | DN_CONTIGUOUS}));
  return dn_backend_of(y)->global_avg_pool_forward(y, x);
}

dn_status dn_global_avg_pool_backward(dn_tensor *dx, const dn_tensor *dy) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "dy", dy, "NC", DN_CONTIGUOUS | DN_FILLED},
                  {1, "dx", dx, "NCHW", DN_OUT | DN_PLANES | DN_FILLED}));
  return dn_backend_of(dx)->global_avg_pool_backward(dx, dy);
}

/*
** The parts, one after the other along dim, make up the whole. `part` is the row of one of them,
** without its tensor and name; which of whole and parts is written is up to the rows' traits.
*/
static dn_status check_concat(const dn_arg *whole, dn_arg part, int n_parts,
                              const dn_tensor *const *parts, int dim, int dim_number) {
  char name[32], came[DN_SHAPE_TEXT], all[DN_SHAPE_TEXT];
  DN_TRY(dn_check(DN_CLASS_REAL, 1, whole));
  if (n_parts < 1) return dn_error_argument(part.number, "no tensors; expected one or more");
  const dn_tensor *w = whole->tensor;
  if (dim < 0 || dim >= w->n_dim)
    return dn_error_argument(dim_number, "dimension is %d; expected 1 to %d, as %s is %s", dim + 1,
                             w->n_dim, whole->name, dn_tensor_shape_text(w, all));
  int64_t room = w->size[dim];
  for (int i = 0; i < n_parts; i++) {
    snprintf(name, sizeof name, "tensor %d", i + 1);
    part.name = name;
    part.tensor = parts ? parts[i] : NULL;
    DN_TRY(DN_CHECK(DN_CLASS_REAL, *whole, part));
    dn_tensor expected = *w;
    if (part.tensor->n_dim == w->n_dim) expected.size[dim] = part.tensor->size[dim];
    if (!dn_tensor_same_shape(part.tensor, &expected))
      return dn_error_argument(part.number, "%s is %s; expected %s %s except along dimension %d",
                               name, dn_tensor_shape_text(part.tensor, came), whole->name,
                               dn_tensor_shape_text(w, all), dim + 1);
    if (part.tensor->size[dim] > room)
      return dn_error_argument(part.number,
                               "%s is %s; expected at most %" PRId64
                               " along dimension %d, as the rest of %s %s",
                               name, dn_tensor_shape_text(part.tensor, came), room, dim + 1,
                               whole->name, dn_tensor_shape_text(w, all));
    room -= part.tensor->size[dim];
  }
  if (room == 0) return DN_OK;
  return dn_error_argument(
      whole->number, "%s is %s; expected %" PRId64 " along dimension %d, the sum of its parts",
      whole->name, dn_tensor_shape_text(w, all), w->size[dim] - room, dim + 1);
}

dn_status dn_concat_forward(dn_tensor *y, int n_inputs, const dn_tensor *const *xs, int dim) {
  const dn_arg whole = {1, "y", y, NULL, DN_OUT}, part = {2, NULL, NULL, NULL, 0};
  DN_TRY(check_concat(&whole, part, n_inputs, xs, dim, 3));
  if (is_empty(y)) return DN_OK;
  return dn_backend_of(y)->concat_forward(y, n_inputs, xs, dim);
}

dn_status dn_concat_backward(int n_outputs, dn_tensor *const *dxs, const dn_tensor *dy, int dim) {
  const dn_arg whole = {2, "dy", dy, NULL, 0}, part = {1, NULL, NULL, NULL, DN_OUT};
  DN_TRY(check_concat(&whole, part, n_outputs, (const dn_tensor *const *)dxs, dim, 3));
  for (int i = 1; i < n_outputs; i++)
    for (int j = 0; j < i; j++) {
      char name[32], other[32];
      snprintf(name, sizeof name, "tensor %d", i + 1);
      snprintf(other, sizeof other, "tensor %d", j + 1);
      DN_TRY(dn_check_overlap(&(dn_arg){1, name, dxs[i], NULL, DN_OUT},
                              &(dn_arg){1, other, dxs[j], NULL, DN_OUT}));
    }
  if (is_empty(dy)) return DN_OK;
  return dn_backend_of(dy)->concat_backward(n_outputs, dxs, dy, dim);
}
