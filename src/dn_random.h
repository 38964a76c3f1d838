/*
** Random numbers made of Philox's words (dn_philox.h): the formulas that every backend shares. They
** are in double, and rounded to the tensor's dtype where they are written.
*/
#ifndef DN_RANDOM_H
#define DN_RANDOM_H

#include <math.h>

#include "dn_philox.h"

typedef struct dn_pair {
  double number[2];
} dn_pair;

/*
** The two uniform numbers of a position, both in [0, 1), of 53 bits each whatever the tensor's dtype, so a
** float tensor is the rounded double one. Elements 2i and 2i + 1 of a tensor are those of position i.
*/
DN_SHARED_INLINE dn_pair dn_uniform_pair(dn_rng rng, uint64_t position) {
  const dn_philox_words words = dn_philox(rng, position);
  const dn_pair pair = {{dn_uniform_double(words.word[0], words.word[1]),
                         dn_uniform_double(words.word[2], words.word[3])}};
  return pair;
}

/* Box-Muller on them; 1 - u lies in (0, 1], so the logarithm is finite. */
DN_SHARED_INLINE dn_pair dn_normal_pair(dn_rng rng, uint64_t position) {
  const dn_pair uniform = dn_uniform_pair(rng, position);
  const double radius = sqrt(-2 * log(1 - uniform.number[0]));
  const double angle = 6.283185307179586476925 * uniform.number[1];
  const dn_pair pair = {{radius * cos(angle), radius * sin(angle)}};
  return pair;
}

/* start + scale x, rounded twice on every device, so that all have the same number. */
DN_SHARED_INLINE double dn_random_scaled(double start, double scale, double x) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(start, __dmul_rn(scale, x));
#else
  return start + scale * x;
#endif
}

/*
** Fisher-Yates from the end: element i, from 0, changes places with this one of 0..i. A number below
** 1 times i + 1 never rounds up to i + 1.
*/
DN_SHARED_INLINE int64_t dn_shuffle_other(dn_rng rng, int64_t i) {
  const dn_philox_words words = dn_philox(rng, (uint64_t)i);
  return (int64_t)(dn_uniform_double(words.word[0], words.word[1]) * (double)(i + 1));
}

/*
** The largest number of a dtype that is below `high`, `rounded` being `high` in that dtype and `round`
** the way to it: what uniform numbers are held at, because rounding may lift one to `high` itself.
** Where there is none from `low` on, `low`.
*/
static inline double dn_random_most(int dtype, double (*round)(int dtype, double), double low,
                                    double high) {
  const double rounded = round(dtype, high);
  if (isinf(rounded)) return rounded;
  double most = rounded;
  for (double gap = rounded - nextafter(rounded, -INFINITY); most >= high; gap *= 2)
    most = round(dtype, rounded - gap);
  return most > low ? most : low;
}

#endif
