/*
** Symmetric quantisation to a few bits, the formula that every backend shares, in float and in double:
** what a trained number x of a tensor becomes when a weight is made from it.
**   t = tanh(x);  r = max |t| over the tensor, its scale;  n = 2^bits - 1
**   code = rint((t / (2 r) + 1/2) n), 0..n, halves to even;  value = code / n * (2 r) - r
** The levels are +-r/n, +-3r/n ... +-r, so 0 is not among them. The gradient goes straight through the
** rounding, r being a constant, and is held where it is above 1 / (2 r):
**   dx = clamp(2 r dvalue, -1, 1) / (2 r) (1 - t^2)
** An infinite gradient and NaN stay, so that an overflow shows.
** r = 0 gives codes of 0 and values of 0, and lets the gradient pass. NaN is never lost: a tensor with one
** has a scale of NaN.
**
** A value depends on code, n and r alone and is rounded after each step, never by a fused multiply-add, so
** that a file of codes and scales gives the very numbers that were trained with.
** Source: Zhou et al. 2016 (arXiv:1606.06160), made symmetric as Gu et al. 2021 (arXiv:2108.11430) use it.
*/
#ifndef DN_QUANTIZE_H
#define DN_QUANTIZE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "dn_shared.h"

/* Numbers of bits: from the first to the second, or the third, which leaves numbers as they are. */
enum { DN_QUANTIZE_LEAST = 2, DN_QUANTIZE_MOST = 16, DN_QUANTIZE_NOT = 32 };

static inline bool dn_quantize_is(int64_t bits) { return bits != DN_QUANTIZE_NOT; }

/* The largest code, an odd number. */
static inline int64_t dn_quantize_last(int64_t bits) { return ((int64_t)1 << bits) - 1; }

/* a b + c, the product rounded. */
DN_SHARED_INLINE float dn_quantize_float_sum(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(__fmul_rn(a, b), c);
#else
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
  const float product = a * b;
  return product + c;
#endif
}

DN_SHARED_INLINE double dn_quantize_double_sum(double a, double b, double c) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(__dmul_rn(a, b), c);
#else
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
  const double product = a * b;
  return product + c;
#endif
}

DN_SHARED_INLINE float dn_quantize_float_tanh(float x) { return tanhf(x); }
DN_SHARED_INLINE double dn_quantize_double_tanh(double x) { return tanh(x); }
DN_SHARED_INLINE float dn_quantize_float_rint(float x) { return rintf(x); }
DN_SHARED_INLINE double dn_quantize_double_rint(double x) { return rint(x); }

#define DN_QUANTIZE_FORMULA(real, name)                                                \
  /* The larger absolute value; NaN wins. */                                           \
  DN_SHARED_INLINE real dn_quantize_##name##_larger(real most, real t) {               \
    const real size = t < 0 ? -t : t;                                                  \
    return size > most || size != size ? size : most;                                  \
  }                                                                                    \
                                                                                       \
  /* A whole number, or NaN. last: dn_quantize_last. */                                \
  DN_SHARED_INLINE real dn_quantize_##name##_code(real t, real scale, real last) {     \
    if (scale == 0) return 0;                                                          \
    const real share = t / (2 * scale) + (real)0.5;                                    \
    return dn_quantize_##name##_rint(share * last);                                    \
  }                                                                                    \
                                                                                       \
  DN_SHARED_INLINE real dn_quantize_##name##_value(real code, real scale, real last) { \
    return dn_quantize_##name##_sum(code / last, 2 * scale, -scale);                   \
  }                                                                                    \
                                                                                       \
  DN_SHARED_INLINE real dn_quantize_##name##_slope(real dvalue, real t, real scale) {  \
    if (scale == 0) return dvalue;                                                     \
    const real reach = 2 * scale * dvalue;                                             \
    if (!isfinite(reach)) return reach; /* an overflow has to show */                  \
    const real held = reach > 1 ? 1 : reach < -1 ? -1 : reach;                         \
    return held / (2 * scale) * dn_quantize_##name##_sum(-t, t, 1);                    \
  }

DN_QUANTIZE_FORMULA(float, float)
DN_QUANTIZE_FORMULA(double, double)

#endif
