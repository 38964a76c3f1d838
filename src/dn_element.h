/*
** Arithmetic on one element, the formulas that every backend shares: whole numbers that wrap around,
** real ones in double and in float, and the way from one kind to the other.
*/
#ifndef DN_ELEMENT_H
#define DN_ELEMENT_H

#include <math.h>
#include <stdint.h>

#include "dn_ops.h"
#include "dn_shared.h"

/*
** Real numbers as integers: cut towards zero, held at the ends of the range; NaN is 0.
** All three are chains of selections, so that loops over them vectorise.
*/
DN_SHARED_INLINE int64_t dn_long_from_double(double value) {
  if (value != value) return 0;
  if (value >= 9223372036854775808.0) return INT64_MAX;
  return value < -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

DN_SHARED_INLINE uint8_t dn_byte_from_double(double value) {
  const double from_zero = value > 0 ? value : 0;
  return (uint8_t)(int32_t)(from_zero < 255 ? from_zero : 255);
}

DN_SHARED_INLINE uint8_t dn_byte_from_float(float value) {
  const float from_zero = value > 0 ? value : 0;
  return (uint8_t)(int32_t)(from_zero < 255 ? from_zero : 255);
}

DN_SHARED_INLINE uint8_t dn_byte_from_long(int64_t value) {
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* ---- Whole numbers; they wrap around, which C only allows for unsigned ones ---- */

DN_SHARED_INLINE int64_t dn_add_long(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a + (uint64_t)b);
}

DN_SHARED_INLINE int64_t dn_sub_long(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a - (uint64_t)b);
}

DN_SHARED_INLINE int64_t dn_mul_long(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a * (uint64_t)b);
}

DN_SHARED_INLINE int64_t dn_neg_long(int64_t a) { return dn_sub_long(0, a); }

/* Towards minus infinity; b is not 0. */
DN_SHARED_INLINE int64_t dn_div_long(int64_t a, int64_t b) {
  if (b == -1) return dn_neg_long(a); /* the one quotient that can overflow */
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/* A negative exponent gives the true power cut towards zero, and 0 for base 0. */
DN_SHARED_INLINE int64_t dn_pow_long(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  }
  int64_t power = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) power = dn_mul_long(power, base);
    base = dn_mul_long(base, base);
  }
  return power;
}

DN_SHARED_INLINE int64_t dn_unary_long(int kind, int64_t x) {
  switch (kind) {
    case DN_UNARY_NEG:
      return dn_neg_long(x);
    case DN_UNARY_ABS:
      return x < 0 ? dn_neg_long(x) : x;
    case DN_UNARY_SIGN:
      return (x > 0) - (x < 0);
    default:
      return dn_mul_long(x, x);
  }
}

DN_SHARED_INLINE int64_t dn_binary_long(int kind, int64_t a, int64_t b) {
  switch (kind) {
    case DN_BINARY_ADD:
      return dn_add_long(a, b);
    case DN_BINARY_SUB:
      return dn_sub_long(a, b);
    case DN_BINARY_MUL:
      return dn_mul_long(a, b);
    case DN_BINARY_DIV:
      return dn_div_long(a, b);
    case DN_BINARY_POW:
      return dn_pow_long(a, b);
    case DN_BINARY_MIN:
      return a < b ? a : b;
    default:
      return a > b ? a : b;
  }
}

/* ---- Real numbers, with the functions of their type; NaN wins in min and max ---- */

#define DN_DEFINE_REAL(type, f)                                      \
  DN_SHARED_INLINE type dn_unary_##type(int kind, type x) {          \
    switch (kind) {                                                  \
      case DN_UNARY_NEG:                                             \
        return -x;                                                   \
      case DN_UNARY_ABS:                                             \
        return fabs##f(x);                                           \
      case DN_UNARY_SIGN:                                            \
        return x > 0 ? 1 : x < 0 ? -1 : x;                           \
      case DN_UNARY_SQUARE:                                          \
        return x * x;                                                \
      case DN_UNARY_SQRT:                                            \
        return sqrt##f(x);                                           \
      case DN_UNARY_EXP:                                             \
        return exp##f(x);                                            \
      case DN_UNARY_LOG:                                             \
        return log##f(x);                                            \
      case DN_UNARY_FLOOR:                                           \
        return floor##f(x);                                          \
      case DN_UNARY_CEIL:                                            \
        return ceil##f(x);                                           \
      case DN_UNARY_ROUND:                                           \
        return round##f(x);                                          \
      case DN_UNARY_TANH:                                            \
        return tanh##f(x);                                           \
      case DN_UNARY_SIGMOID:                                         \
        return 1 / (1 + exp##f(-x));                                 \
      default:                                                       \
        return log1p##f(x);                                          \
    }                                                                \
  }                                                                  \
                                                                     \
  DN_SHARED_INLINE type dn_binary_##type(int kind, type a, type b) { \
    switch (kind) {                                                  \
      case DN_BINARY_ADD:                                            \
        return a + b;                                                \
      case DN_BINARY_SUB:                                            \
        return a - b;                                                \
      case DN_BINARY_MUL:                                            \
        return a * b;                                                \
      case DN_BINARY_DIV:                                            \
        return a / b;                                                \
      case DN_BINARY_POW:                                            \
        return pow##f(a, b);                                         \
      case DN_BINARY_MIN:                                            \
        return a != a || a < b ? a : b;                              \
      default:                                                       \
        return a != a || a > b ? a : b;                              \
    }                                                                \
  }

DN_DEFINE_REAL(double, )
DN_DEFINE_REAL(float, f)

/* ---- Comparisons; NaN is unequal to everything ---- */

#define DN_DEFINE_COMPARE(name, type)                                \
  DN_SHARED_INLINE int dn_compare_##name(int kind, type a, type b) { \
    switch (kind) {                                                  \
      case DN_COMPARE_EQ:                                            \
        return a == b;                                               \
      case DN_COMPARE_NE:                                            \
        return a != b;                                               \
      case DN_COMPARE_LT:                                            \
        return a < b;                                                \
      case DN_COMPARE_LE:                                            \
        return a <= b;                                               \
      case DN_COMPARE_GT:                                            \
        return a > b;                                                \
      default:                                                       \
        return a >= b;                                               \
    }                                                                \
  }

DN_DEFINE_COMPARE(double, double)
DN_DEFINE_COMPARE(float, float)
DN_DEFINE_COMPARE(long, int64_t)

/* Every int64 is INT64_MIN or more, and none is less. */
DN_SHARED_INLINE void dn_compare_always(dn_compare_kind *kind, int64_t *whole, int result) {
  *kind = result ? DN_COMPARE_GE : DN_COMPARE_LT;
  *whole = INT64_MIN;
}

/*
** Integers against a real number, exactly: the number moves to the whole one next to it on the side
** where the answer stays the same, or beyond the range, where the answer is the same for all.
*/
DN_SHARED_INLINE void dn_compare_whole(dn_compare_kind *kind, double number, int64_t *whole) {
  const dn_compare_kind k = *kind;
  const int rounds_up = k == DN_COMPARE_LT || k == DN_COMPARE_GE;
  const double near = rounds_up ? ceil(number) : floor(number);
  const int is_equality = k == DN_COMPARE_EQ || k == DN_COMPARE_NE;
  if (number != number || (is_equality && near != number))
    dn_compare_always(kind, whole, k == DN_COMPARE_NE);
  else if (near >= 9223372036854775808.0)
    dn_compare_always(kind, whole, k == DN_COMPARE_NE || k == DN_COMPARE_LT || k == DN_COMPARE_LE);
  else if (near < -9223372036854775808.0)
    dn_compare_always(kind, whole, k == DN_COMPARE_NE || k == DN_COMPARE_GT || k == DN_COMPARE_GE);
  else
    *whole = (int64_t)near;
}

#endif
