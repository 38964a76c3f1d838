/*
** Private to what varies images: single random numbers as random.lua's generators draw them, from the
** same positions, so that an image made in C and one made by transforms in Lua are the same.
*/
#ifndef DN_IMAGE_DRAW_H
#define DN_IMAGE_DRAW_H

#include "dn_random.h"

/* generator:uniform(low, high) */
static inline double dn_image_draw_uniform(dn_rng *rng, double low, double high) {
  const dn_philox_words words = dn_philox(*rng, 0);
  rng->position++;
  return low + (high - low) * dn_uniform_double(words.word[0], words.word[1]);
}

/* generator:integer(n) - 1: uniform in 0..n-1; moves rng past what it used. */
static inline int64_t dn_image_draw_integer(dn_rng *rng, int64_t n) {
  const uint64_t range = UINT64_C(1) << 53;
  const uint64_t fair = range - range % (uint64_t)n; /* from here on small results are favoured */
  uint64_t bits;
  do {
    const dn_philox_words words = dn_philox(*rng, 0);
    bits = ((uint64_t)words.word[0] << 32 | words.word[1]) >> 11;
    rng->position++;
  } while (bits >= fair);
  return (int64_t)(bits % (uint64_t)n);
}

/* generator:normal(0, deviation) */
static inline double dn_image_draw_normal(dn_rng *rng, double deviation) {
  const dn_pair uniform = dn_uniform_pair(*rng, 0);
  rng->position++;
  const double radius = sqrt(-2 * log(1 - uniform.number[0]));
  return deviation * radius * cos(6.283185307179586476925 * uniform.number[1]);
}

#endif
