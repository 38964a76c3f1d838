/*
** Sixteen bytes at once, the widest access that a thread has: four floats, eight numbers of 16 bits. The
** address is a multiple of 16; a GPU fails where it is not, and the emulation tells so.
**
** Their memory is read as words whatever it holds, so the bytes of a few numbers go to and from words by
** cuda_words_of and cuda_numbers_of, which the compiler turns into nothing.
*/
#ifndef CUDA_LOAD16_H
#define CUDA_LOAD16_H

#include "cuda_backend.h"

#ifdef __CUDACC__

__device__ static inline uint4 cuda_load16(const void *from) { return *(const uint4 *)from; }
__device__ static inline void cuda_store16(void *to, uint4 words) { *(uint4 *)to = words; }

#else

typedef unsigned __attribute__((may_alias)) cuda_aliased_word;

static inline uint4 cuda_load16(const void *from) {
  if (!emulation_is_aligned(from, 16)) return uint4();
  const cuda_aliased_word *const word = (const cuda_aliased_word *)from;
  return {word[0], word[1], word[2], word[3]};
}

static inline void cuda_store16(void *to, uint4 words) {
  if (!emulation_is_aligned(to, 16)) return;
  cuda_aliased_word *const word = (cuda_aliased_word *)to;
  word[0] = words.x, word[1] = words.y, word[2] = words.z, word[3] = words.w;
}

#endif

/* numbers: an array of 16 bytes, which lies in registers where its indices are known. */
template <typename T, int n>
__device__ static inline uint4 cuda_words_of(const T (&numbers)[n]) {
  static_assert(sizeof numbers == 16, "16 bytes of numbers");
  uint4 words;
  memcpy(&words, numbers, 16);
  return words;
}

template <typename T, int n>
__device__ static inline void cuda_numbers_of(T (&numbers)[n], uint4 words) {
  static_assert(sizeof numbers == 16, "16 bytes of numbers");
  memcpy(numbers, &words, 16);
}

#endif
