/*
** Front door of the element-wise operations: any dtype, any strides, a and b broadcast to y. A
** tensor without elements is a success that does nothing, so the backends never see one.
*/
#include "dn_ops_check.h"

#include <math.h>

#include "dn_ops_transfer.h"

/* What a kind is called, and whether it needs a dtype with fractions. */
typedef struct kind_rule {
  const char *name;
  bool is_real_only;
} kind_rule;

static const kind_rule unary_rules[DN_UNARY_COUNT] = {
    [DN_UNARY_NEG] = {"neg", false},    [DN_UNARY_ABS] = {"abs", false},
    [DN_UNARY_SIGN] = {"sign", false},  [DN_UNARY_SQUARE] = {"square", false},
    [DN_UNARY_SQRT] = {"sqrt", true},   [DN_UNARY_EXP] = {"exp", true},
    [DN_UNARY_LOG] = {"log", true},     [DN_UNARY_FLOOR] = {"floor", true},
    [DN_UNARY_CEIL] = {"ceil", true},   [DN_UNARY_ROUND] = {"round", true},
    [DN_UNARY_TANH] = {"tanh", true},   [DN_UNARY_SIGMOID] = {"sigmoid", true},
    [DN_UNARY_LOG1P] = {"log1p", true},
};

static dn_status check_kind(int number, unsigned kind, unsigned count) {
  if (kind < count) return DN_OK;
  return dn_error_argument(number, "kind is %u; expected one of %u", kind, count);
}

static bool is_empty(const dn_tensor *y) { return dn_tensor_count(y) == 0; }

dn_status dn_fill(dn_tensor *y, dn_number value) {
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {1, "y", y, NULL, DN_OUT}));
  DN_TRY(dn_check_number(2, "value", &value, y));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(fill, y, value);
}

/* On devices where tensors have values, so that they can cross from one to another. */
static bool has_values(const dn_tensor *tensor) {
  return tensor && tensor->storage && tensor->storage->device->has_values;
}

dn_status dn_copy(dn_tensor *y, const dn_tensor *x) {
  const unsigned anywhere = has_values(y) && has_values(x) ? DN_ANY_DEVICE : 0;
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {2, "x", x, "*", DN_IN_PLACE | DN_ANY_DTYPE},
                  {1, "y", y, "*", DN_OUT | DN_ANY_DTYPE | anywhere}));
  if (is_empty(y)) return DN_OK;
  if (y->storage->device != x->storage->device) return dn_transfer(y, x);
  return DN_RUN(copy, y, x);
}

dn_status dn_unary(dn_tensor *y, const dn_tensor *x, dn_unary_kind kind) {
  DN_TRY(check_kind(3, kind, DN_UNARY_COUNT));
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {2, "x", x, "*", DN_IN_PLACE}, {1, "y", y, "*", DN_OUT}));
  if (unary_rules[kind].is_real_only && !dn_dtype_is_real(x->dtype))
    return dn_error_argument(2, "x is %s; expected a real dtype for '%s'", dn_dtype_name(x->dtype),
                             unary_rules[kind].name);
  if (is_empty(y)) return DN_OK;
  return DN_RUN(unary, y, x, kind);
}

/* y, a, b of any one dtype, y of that one or (comparisons) byte. */
static dn_status check_pair(const dn_tensor *y, unsigned y_dtype, const dn_tensor *a,
                            const dn_tensor *b) {
  const dn_arg a_row = {2, "a", a, NULL, DN_IN_PLACE}, b_row = {3, "b", b, NULL, DN_IN_PLACE};
  DN_TRY(DN_CHECK(DN_CLASS_ANY, a_row, b_row, {1, "y", y, NULL, DN_OUT | y_dtype}));
  DN_TRY(dn_check_broadcast(&a_row, y));
  return dn_check_broadcast(&b_row, y);
}

/* The same with a number in place of b. */
static dn_status check_scalar(const dn_tensor *y, unsigned y_dtype, const dn_tensor *a) {
  const dn_arg a_row = {2, "a", a, NULL, DN_IN_PLACE};
  DN_TRY(DN_CHECK(DN_CLASS_ANY, a_row, {1, "y", y, NULL, DN_OUT | y_dtype}));
  return dn_check_broadcast(&a_row, y);
}

/* Integers would silently lose the fraction, or the size, of a number that joins them. */
static dn_status check_whole(int number, const char *name, double value, const dn_tensor *a) {
  const bool is_whole = floor(value) == value && fabs(value) < 9223372036854775808.0;
  if (dn_dtype_is_real(a->dtype) || is_whole) return DN_OK;
  return dn_error_argument(number, "%s is %g; expected a whole number, as a is %s", name, value,
                           dn_dtype_name(a->dtype));
}

dn_status dn_binary(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_binary_kind kind) {
  DN_TRY(check_kind(4, kind, DN_BINARY_COUNT));
  DN_TRY(check_pair(y, 0, a, b));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(binary, y, a, b, kind);
}

dn_status dn_binary_scalar(dn_tensor *y, const dn_tensor *a, dn_number b, dn_binary_kind kind) {
  DN_TRY(check_kind(4, kind, DN_BINARY_COUNT));
  DN_TRY(check_scalar(y, 0, a));
  DN_TRY(dn_check_number(3, "b", &b, a));
  if (!b.at) DN_TRY(check_whole(3, "b", b.value, a));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(binary_scalar, y, a, b, kind);
}

dn_status dn_add_scaled(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_number scale) {
  DN_TRY(check_pair(y, 0, a, b));
  DN_TRY(dn_check_number(4, "scale", &scale, a));
  if (!scale.at) DN_TRY(check_whole(4, "scale", scale.value, a));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(add_scaled, y, a, b, scale);
}

dn_status dn_compare(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_compare_kind kind) {
  DN_TRY(check_kind(4, kind, DN_COMPARE_COUNT));
  DN_TRY(check_pair(y, DN_IS_BYTE, a, b));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(compare, y, a, b, kind);
}

dn_status dn_compare_scalar(dn_tensor *y, const dn_tensor *a, double b, dn_compare_kind kind) {
  DN_TRY(check_kind(4, kind, DN_COMPARE_COUNT));
  DN_TRY(check_scalar(y, DN_IS_BYTE, a));
  if (is_empty(y)) return DN_OK;
  return DN_RUN(compare_scalar, y, a, b, kind);
}
