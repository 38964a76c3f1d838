/*
** Philox4x32-10: a random number is a function of (seed, stream, position), with no state behind
** it. So a tensor is filled by any number of threads, on any device, with the same numbers, and a
** dropout mask is recomputed from its position instead of being stored.
** Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
** Shared by every backend; checked against the known answers published with Random123.
*/
#ifndef DN_PHILOX_H
#define DN_PHILOX_H

#include <stdint.h>

#include "dn_shared.h"

/* Which numbers: the key, and where the 128-bit counter starts. One position is four 32-bit words.
 */
typedef struct dn_rng {
  uint64_t seed;
  uint64_t stream;
  uint64_t position;
} dn_rng;

typedef struct dn_philox_words {
  uint32_t word[4];
} dn_philox_words;

/* The four words at rng.position + index. */
DN_SHARED_INLINE dn_philox_words dn_philox(dn_rng rng, uint64_t index) {
  const uint64_t position = rng.position + index;
  uint32_t key0 = (uint32_t)rng.seed, key1 = (uint32_t)(rng.seed >> 32);
  uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32);
  uint32_t c2 = (uint32_t)rng.stream, c3 = (uint32_t)(rng.stream >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = UINT64_C(0xD2511F53) * c0;
    const uint64_t product1 = UINT64_C(0xCD9E8D57) * c2;
    c0 = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
    c1 = (uint32_t)product1;
    c2 = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
    c3 = (uint32_t)product0;
    key0 += UINT32_C(0x9E3779B9);
    key1 += UINT32_C(0xBB67AE85);
  }
  const dn_philox_words words = {{c0, c1, c2, c3}};
  return words;
}

/* [0, 1) with 53 bits, from two words. */
DN_SHARED_INLINE double dn_uniform_double(uint32_t high, uint32_t low) {
  const uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
  return (double)bits * (1.0 / 9007199254740992.0);
}

/* p * 2^32 rounded up, for 0 <= p < 1: what dn_dropout_keeps compares with. */
DN_SHARED_INLINE uint32_t dn_dropout_threshold(double p) {
  const double scaled = p * 4294967296.0;
  const uint32_t below = (uint32_t)scaled;
  return (double)below < scaled && below < UINT32_MAX ? below + 1 : below;
}

/*
** Dropout keeps element i when its word (i mod 4 of position i/4) is at least p * 2^32.
** Needs ceil(n/4) positions for n elements.
*/
DN_SHARED_INLINE int dn_dropout_keeps(dn_rng rng, uint64_t i, uint32_t threshold) {
  return dn_philox(rng, i / 4).word[i % 4] >= threshold;
}

#endif
