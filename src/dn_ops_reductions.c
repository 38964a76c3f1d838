/*
** Front door of the reductions, selections and random fills: any strides; a vector of indices is
** long. The values inside index tensors are checked by the backend while it reads them.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

/* reduce needs x's dimensions, each of them kept or become 1. */
static dn_status check_reduced_shape(const dn_tensor *y, const dn_tensor *x) {
  bool fits = y->n_dim == x->n_dim;
  for (int d = 0; fits && d < x->n_dim; d++) fits = y->size[d] == 1 || y->size[d] == x->size[d];
  if (fits) return DN_OK;
  char got[DN_SHAPE_TEXT], from[DN_SHAPE_TEXT];
  return dn_error_argument(1, "y is %s; expected the sizes of x %s, 1 where it is reduced",
                           dn_tensor_shape_text(y, got), dn_tensor_shape_text(x, from));
}

/* y is of x's dtype, or of one that holds more: double, or long for whole numbers. */
static dn_status check_reduced_dtype(const dn_tensor *y, const dn_tensor *x) {
  const bool is_whole = !dn_dtype_is_real(x->dtype);
  if (y->dtype == x->dtype || y->dtype == DN_DOUBLE || (is_whole && y->dtype == DN_LONG))
    return DN_OK;
  return dn_error_argument(1, "y is %s; expected %s, as x is, or %s", dn_dtype_name(y->dtype),
                           dn_dtype_name(x->dtype), is_whole ? "long or double" : "double");
}

static dn_status check_reduction(const dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind,
                                 double parameter) {
  char got[DN_SHAPE_TEXT];
  switch (kind) {
    case DN_REDUCE_MAX:
    case DN_REDUCE_MIN:
      if (dn_tensor_count(x) > 0) return DN_OK;
      return dn_error_argument(2, "x is %s; expected at least one element for '%s'",
                               dn_tensor_shape_text(x, got), kind == DN_REDUCE_MAX ? "max" : "min");
    case DN_REDUCE_VAR:
      if (parameter >= 0 && isfinite(parameter)) break;
      return dn_error_argument(4, "correction is %g; expected 0 or more", parameter);
    case DN_REDUCE_NORM:
      if (parameter > 0) break;
      return dn_error_argument(4, "p is %g; expected a p-norm with p above 0", parameter);
    default:
      break;
  }
  if (kind == DN_REDUCE_SUM || dn_dtype_is_real(y->dtype)) return DN_OK;
  return dn_error_argument(2, "x is %s; expected a real dtype for '%s', or y in double",
                           dn_dtype_name(x->dtype),
                           kind == DN_REDUCE_MEAN  ? "mean"
                           : kind == DN_REDUCE_VAR ? "var"
                                                   : "norm");
}

dn_status dn_reduce(dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind, double parameter) {
  if ((unsigned)kind >= DN_REDUCE_COUNT)
    return dn_error_argument(3, "kind is %u; expected one of %d", (unsigned)kind, DN_REDUCE_COUNT);
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {2, "x", x, NULL, 0}, {1, "y", y, NULL, DN_OUT | DN_ANY_DTYPE}));
  DN_TRY(check_reduced_dtype(y, x));
  DN_TRY(check_reduced_shape(y, x));
  if (dn_tensor_count(y) == 0) return DN_OK;
  DN_TRY(check_reduction(y, x, kind, parameter));
  return DN_RUN(reduce, y, x, kind, parameter);
}

/* A result has x's shape with `kept` elements along dim. */
static dn_status check_selected(const dn_arg *result, const dn_tensor *x, int dim, int64_t kept) {
  dn_tensor expected = *x;
  expected.size[dim] = kept;
  if (dn_tensor_same_shape(result->tensor, &expected)) return DN_OK;
  char got[DN_SHAPE_TEXT], wanted[DN_SHAPE_TEXT];
  return dn_error_argument(result->number, "%s is %s; expected %s", result->name,
                           dn_tensor_shape_text(result->tensor, got),
                           dn_tensor_shape_text(&expected, wanted));
}

dn_status dn_arg_reduce(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, int dim,
                        bool largest) {
  const dn_arg value_row = {1, "values", values, NULL, DN_OUT},
               index_row = {2, "indices", indices, NULL, DN_OUT | DN_IS_LONG};
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {3, "x", x, NULL, 0}, value_row, index_row));
  char got[DN_SHAPE_TEXT];
  if (dim < 0 || dim >= x->n_dim)
    return dn_error_argument(4, "dimension is %d; expected 1 to %d, as x is %s", dim + 1, x->n_dim,
                             dn_tensor_shape_text(x, got));
  DN_TRY(check_selected(&value_row, x, dim, 1));
  DN_TRY(check_selected(&index_row, x, dim, 1));
  if (dn_tensor_count(values) == 0) return DN_OK;
  if (x->size[dim] == 0)
    return dn_error_argument(3, "x is %s; expected at least one element along dimension %d",
                             dn_tensor_shape_text(x, got), dim + 1);
  return DN_RUN(arg_reduce, values, indices, x, dim, largest);
}

dn_status dn_topk(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, bool largest) {
  const dn_arg value_row = {1, "values", values, NULL, DN_OUT},
               index_row = {2, "indices", indices, NULL, DN_OUT | DN_IS_LONG};
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {3, "x", x, NULL, 0}, value_row, index_row));
  if (x->n_dim == 0) return dn_error_argument(3, "x is scalar; expected at least one dimension");
  const int last = x->n_dim - 1;
  const int64_t k = values->n_dim == x->n_dim ? values->size[last] : 1;
  if (k < 1 || k > x->size[last])
    return dn_error_argument(1,
                             "values has room for %" PRId64 "; expected 1 to %" PRId64
                             ", the size of x's last dimension",
                             k, x->size[last]);
  DN_TRY(check_selected(&value_row, x, last, k));
  DN_TRY(check_selected(&index_row, x, last, k));
  if (dn_tensor_count(values) == 0) return DN_OK;
  return DN_RUN(topk, values, indices, x, largest);
}

dn_status dn_index_select(dn_tensor *y, const dn_tensor *x, const dn_tensor *index) {
  const dn_arg result = {1, "y", y, NULL, DN_OUT};
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {2, "x", x, NULL, 0},
                  {3, "index", index, "M", DN_IS_LONG | DN_CONTIGUOUS}, result));
  if (x->n_dim == 0) return dn_error_argument(2, "x is scalar; expected at least one dimension");
  DN_TRY(check_selected(&result, x, 0, index->size[0]));
  if (dn_tensor_count(y) == 0) return DN_OK;
  return DN_RUN(index_select, y, x, index);
}

dn_status dn_random_uniform(dn_tensor *y, double low, double high, dn_rng rng) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {1, "y", y, NULL, DN_OUT}));
  DN_TRY(dn_check_finite(2, "low", low, -INFINITY));
  DN_TRY(dn_check_finite(3, "high", high, low));
  if (dn_tensor_count(y) == 0) return DN_OK;
  return DN_RUN(random_uniform, y, low, high, rng);
}

dn_status dn_random_normal(dn_tensor *y, double mean, double deviation, dn_rng rng) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {1, "y", y, NULL, DN_OUT}));
  DN_TRY(dn_check_finite(2, "mean", mean, -INFINITY));
  DN_TRY(dn_check_finite(3, "deviation", deviation, 0));
  if (dn_tensor_count(y) == 0) return DN_OK;
  return DN_RUN(random_normal, y, mean, deviation, rng);
}

dn_status dn_random_permutation(dn_tensor *y, dn_rng rng) {
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {1, "y", y, "N", DN_OUT | DN_IS_LONG | DN_CONTIGUOUS}));
  if (dn_tensor_count(y) == 0) return DN_OK;
  return DN_RUN(random_permutation, y, rng);
}
