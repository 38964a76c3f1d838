/*
** The two 16-bit formats, converted to and from float, rounded to nearest, ties to even.
**
**   half      1 sign, 5 exponent, 10 fraction bits; overflow above 65519.99... becomes infinity
**   bfloat16  1 sign, 8 exponent,  7 fraction bits: the upper half of a float
** NaN stays NaN (quiet, with what fits of its payload). Every function is a chain of selections
** without branches, so that loops over them vectorise. Shared by every backend.
*/
#ifndef DN_FLOAT16_H
#define DN_FLOAT16_H

#include <stdint.h>
#include <string.h>

#include "dn_shared.h"

DN_SHARED_INLINE uint32_t dn_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

DN_SHARED_INLINE float dn_float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

DN_SHARED_INLINE float dn_half_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t rebias = UINT32_C(112) << 23;
  /* Masks, because from ?: the compiler makes branches around the multiplication. */
  const uint32_t is_special = 0u - (uint32_t)(magnitude >= 0x7C00u);
  const uint32_t is_subnormal = 0u - (uint32_t)(magnitude < 0x0400u);
  const uint32_t quiet = (uint32_t)(magnitude > 0x7C00u) << 22;
  const uint32_t normal = (magnitude << 13) + rebias + (rebias & is_special);
  /* Below the normal range the fraction counts units of 2^-24. */
  const uint32_t subnormal = dn_float_bits((float)(int32_t)magnitude * (1.0f / 16777216.0f));
  return dn_float_of_bits(sign | quiet | (subnormal & is_subnormal) | (normal & ~is_subnormal));
}

DN_SHARED_INLINE uint16_t dn_half_from_float(float value) {
  const uint32_t bits = dn_float_bits(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & UINT32_C(0x7FFFFFFF);
  const uint32_t odd = magnitude >> 13 & 1u;
  const uint32_t normal = (magnitude - (UINT32_C(112) << 23) + 0xFFFu + odd) >> 13;
  /* Next to 0.5 a float's last bit is worth 2^-24, so the addition rounds as wanted. */
  const uint32_t subnormal =
      dn_float_bits(dn_float_of_bits(magnitude) + 0.5f) - UINT32_C(0x3F000000);
  const uint32_t nan = 0x7E00u | (magnitude >> 13 & 0x3FFu);
  const uint32_t finite = magnitude < UINT32_C(0x38800000) ? subnormal : normal;
  const uint32_t number = magnitude >= UINT32_C(0x477FF000) ? 0x7C00u : finite;
  return (uint16_t)(sign | (magnitude > UINT32_C(0x7F800000) ? nan : number));
}

DN_SHARED_INLINE float dn_bfloat16_to_float(uint16_t bfloat16) {
  const uint32_t bits = (uint32_t)bfloat16 << 16;
  const uint32_t is_nan = (bits & UINT32_C(0x7FFFFFFF)) > UINT32_C(0x7F800000);
  return dn_float_of_bits(bits | is_nan << 22);
}

DN_SHARED_INLINE uint16_t dn_bfloat16_from_float(float value) {
  const uint32_t bits = dn_float_bits(value);
  const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const uint32_t nan = bits >> 16 | 0x0040u;
  return (uint16_t)((bits & UINT32_C(0x7FFFFFFF)) > UINT32_C(0x7F800000) ? nan : rounded);
}

/*
** A float on the way from double to 16 bits: rounded towards zero, with the last bit set when
** anything was lost. Rounding this one is rounding the double; rounding twice to nearest is not.
*/
DN_SHARED_INLINE float dn_float_sticky(double value) {
  const float nearest = (float)value;
  const double back = (double)nearest;
  const double magnitude = value < 0 ? -value : value;
  const double back_magnitude = back < 0 ? -back : back;
  const uint32_t bits = dn_float_bits(nearest) - (uint32_t)(back_magnitude > magnitude);
  return dn_float_of_bits(bits | (uint32_t)(back < value || back > value));
}

DN_SHARED_INLINE uint16_t dn_half_from_double(double value) {
  return dn_half_from_float(dn_float_sticky(value));
}

DN_SHARED_INLINE uint16_t dn_bfloat16_from_double(double value) {
  return dn_bfloat16_from_float(dn_float_sticky(value));
}

#endif
