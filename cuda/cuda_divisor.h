/*
** Division by numbers that are known before a launch: a multiplication and a shift, where a GPU takes
** some twenty instructions for a quotient of 32 bits and some seventy for one of 64.
**
** With l = ceil(log2 by) and magic = ceil(2^(b+l) / by), i * magic / 2^(b+l) exceeds i / by by less than
** 1 / by for every i below 2^b, so that the whole part is right: b is 31 or 63.
** Source: Granlund and Montgomery, Division by Invariant Integers using Multiplication, PLDI 1994, theorem 4.2.
*/
#ifndef CUDA_DIVISOR_H
#define CUDA_DIVISOR_H

#include "cuda_backend.h"

typedef struct cuda_divisor {
  uint64_t by, magic;              /* of dividends below 2^63 */
  uint32_t near_magic, near_shift; /* of those below 2^31 */
  uint32_t shift;
} cuda_divisor;

/* by: below 2^63; nothing is ever divided by a size of 0, for which 1 stands. */
static inline cuda_divisor cuda_divisor_of(int64_t by) {
  const unsigned __int128 one = 1;
  cuda_divisor divisor;
  const uint64_t d = by < 1 ? 1 : (uint64_t)by;
  divisor.by = d;
  divisor.shift = 0;
  while (one << divisor.shift < d) divisor.shift++;
  divisor.magic = (uint64_t)(((one << (63 + divisor.shift)) + d - 1) / d);
  /* Beyond 2^31 every quotient of a small dividend is 0. */
  const bool is_near = d < (uint64_t)1 << 31;
  divisor.near_shift = is_near ? 31 + divisor.shift : 0;
  divisor.near_magic = is_near ? (uint32_t)(((one << divisor.near_shift) + d - 1) / d) : 0;
  return divisor;
}

/*
** *quotient = i / by and *rest = i % by, in the two kinds of numbers that kernels count in: uint32_t below
** 2^31, which is enough for nearly all tensors and takes a few instructions, and int64_t from 0 on.
*/
__device__ static inline void cuda_divide(uint32_t i, const cuda_divisor &divisor,
                                          uint32_t *quotient, uint32_t *rest) {
  const uint32_t whole = (uint32_t)((uint64_t)i * divisor.near_magic >> divisor.near_shift);
  *quotient = whole;
  *rest = i - whole * (uint32_t)divisor.by;
}

__device__ static inline void cuda_divide(int64_t i, const cuda_divisor &divisor, int64_t *quotient,
                                          int64_t *rest) {
  const int64_t whole =
      divisor.by == 1 ? i
                      : (int64_t)(__umul64hi((uint64_t)i, divisor.magic) >> (divisor.shift - 1));
  *quotient = whole;
  *rest = i - whole * (int64_t)divisor.by;
}

/* Numbers up to here are counted in uint32_t; the emulation is built with fewer, so that it takes both ways. */
#ifndef CUDA_MOST_NEAR
#define CUDA_MOST_NEAR (1 << 30)
#endif

/* Whether numbers below n may be, also by a step that is as large as all of them. */
__host__ __device__ static inline bool cuda_counts_near(int64_t n) { return n <= CUDA_MOST_NEAR; }

#endif
