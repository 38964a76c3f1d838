/*
** The numbers in 16 bytes of a plane, 4 floats or 8 of 16 bits, and in words of 4 bytes: in and out of
** registers, with conversions that a GPU has instructions for.
*/
#ifndef CUDA_VECTOR_H
#define CUDA_VECTOR_H

#include "cuda_dtype.h"
#include "cuda_load16.h"

/* VECTOR elements are 16 bytes, PER_WORD of them 4. */
template <typename T>
struct cuda_packed {
  enum { VECTOR = 16 / sizeof(T), PER_WORD = 4 / sizeof(T) };
};

#ifdef __CUDACC__
/* Two numbers in a word, the first in its lower half; rounded to nearest even. */
__device__ static inline uint32_t cuda_pair(float low, float high, cuda_half) {
  uint32_t word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
__device__ static inline uint32_t cuda_pair(float low, float high, cuda_bfloat16) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
__device__ static inline void cuda_unpair(uint32_t word, float *low, float *high, cuda_half) {
  asm("{.reg .f16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}"
      : "=f"(*low), "=f"(*high)
      : "r"(word));
}

/* What other blocks of the launch write and read: past the multiprocessor's own cache. */
__device__ static inline void cuda_publish(float4 *to, const float4 &numbers) {
  __stcg(to, numbers);
}
__device__ static inline float4 cuda_look(const float4 *from) { return __ldcg(from); }
#else
template <typename T>
static inline uint32_t cuda_pair(float low, float high, T) {
  T numbers[2];
  cuda_store(&numbers[0], low);
  cuda_store(&numbers[1], high);
  return numbers[0].bits | (uint32_t)numbers[1].bits << 16;
}
static inline void cuda_unpair(uint32_t word, float *low, float *high, cuda_half) {
  *low = dn_half_to_float((uint16_t)word);
  *high = dn_half_to_float((uint16_t)(word >> 16));
}
/* Volatile: accesses that the emulation takes for ordered by the atomic operations around them. */
static inline void cuda_publish(float4 *to, const float4 &numbers) {
  if (!emulation_is_aligned(to, 16)) return;
  volatile float *const at = (volatile float *)to;
  at[0] = numbers.x;
  at[1] = numbers.y;
  at[2] = numbers.z;
  at[3] = numbers.w;
}
static inline float4 cuda_look(const float4 *from) {
  const volatile float *const at = (const volatile float *)from;
  const float4 numbers = {at[0], at[1], at[2], at[3]};
  return numbers;
}
#endif

__device__ static inline float cuda_float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

__device__ static inline uint32_t cuda_bits_of(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

template <typename T>
__device__ static inline uint32_t cuda_bits_of(T x) {
  return x.bits;
}

__device__ static inline void cuda_unpair(uint32_t word, float *low, float *high, cuda_bfloat16) {
  *low = cuda_float_of(word << 16);
  *high = cuda_float_of(word & 0xFFFF0000u);
}

/* A word's numbers as floats: one of float, two of 16 bits. */
__device__ static inline void cuda_unpack_word(float *numbers, uint32_t word, float) {
  numbers[0] = cuda_float_of(word);
}
template <typename T>
__device__ static inline void cuda_unpack_word(float *numbers, uint32_t word, T like) {
  cuda_unpair(word, &numbers[0], &numbers[1], like);
}

template <typename T>
__device__ static inline void cuda_unpack(float *numbers, const uint4 &words) {
  const int step = cuda_packed<T>::PER_WORD;
  cuda_unpack_word(numbers, words.x, T());
  cuda_unpack_word(numbers + step, words.y, T());
  cuda_unpack_word(numbers + 2 * step, words.z, T());
  cuda_unpack_word(numbers + 3 * step, words.w, T());
}

/*
** Planes whose every 16 bytes can be read at once, or WHOLE false: any planes, of which some end within
** 16 bytes, or begin (7x7, 14x14) where no vector, or no pair, can.
**
** 16 bytes, of which the first n elements are there and the others count as 0; n may be 0 or less.
*/
template <bool WHOLE, typename T>
__device__ static inline uint4 cuda_load16_part(const T *from, int n) {
  enum { VECTOR = cuda_packed<T>::VECTOR, PER_WORD = cuda_packed<T>::PER_WORD };
  const uint4 zeros = {0, 0, 0, 0};
  if (WHOLE) return n > 0 ? cuda_load16(from) : zeros;
  if (n >= VECTOR && (uintptr_t)from % 16 == 0) return cuda_load16(from);
  if (n >= VECTOR && (uintptr_t)from % 8 == 0) {
    const uint2 low = *(const uint2 *)from, high = *(const uint2 *)(from + VECTOR / 2);
    const uint4 words = {low.x, low.y, high.x, high.y};
    return words;
  }
  uint32_t bits[4] = {0, 0, 0, 0};
  CUDA_UNROLL
  for (int i = 0; i < VECTOR; i++) {
    const uint32_t element = i < n ? cuda_bits_of(from[i]) : 0;
    bits[i / PER_WORD] |= element << (8 * sizeof(T) * (i % PER_WORD));
  }
  const uint4 words = {bits[0], bits[1], bits[2], bits[3]};
  return words;
}

/* Whether two elements can be read or written as one. */
template <bool WHOLE, typename T>
__device__ static inline bool cuda_is_pair(const T *first, const T *second) {
  return WHOLE || (second == first + 1 && (uintptr_t)first % (2 * sizeof(T)) == 0);
}

/*
** Two pixels, neighbours as a rule, of which n are there: they are rounded to T as they are stored, `low`
** and `high` become what is then there.
*/
template <bool WHOLE, typename T>
__device__ static inline void cuda_store_two(T *first, T *second, float *low, float *high, int n) {
  const uint32_t word = cuda_pair(*low, *high, T());
  cuda_unpair(word, low, high, T());
  if (n >= 2 && cuda_is_pair<WHOLE>(first, second)) {
    *(uint32_t *)first = word;
    return;
  }
  if (!WHOLE && n >= 1) first->bits = (uint16_t)word;
  if (!WHOLE && n >= 2) second->bits = (uint16_t)(word >> 16);
}
template <bool WHOLE>
__device__ static inline void cuda_store_two(float *first, float *second, float *low, float *high,
                                             int n) {
  if (n >= 2 && cuda_is_pair<WHOLE>(first, second)) {
    const float2 pair = {*low, *high};
    *(float2 *)first = pair;
    return;
  }
  if (!WHOLE && n >= 1) *first = *low;
  if (!WHOLE && n >= 2) *second = *high;
}

/* The two as they are read, of which n are there; the others are 0. */
template <typename T>
struct cuda_two {
  typedef uint32_t loaded;
};
template <>
struct cuda_two<float> {
  typedef float2 loaded;
};

template <bool WHOLE, typename T>
__device__ static inline uint32_t cuda_load_two(const T *first, const T *second, int n) {
  if (n >= 2 && cuda_is_pair<WHOLE>(first, second)) return *(const uint32_t *)first;
  uint32_t word = 0;
  if (!WHOLE && n >= 1) word = first->bits;
  if (!WHOLE && n >= 2) word |= (uint32_t)second->bits << 16;
  return word;
}
template <bool WHOLE>
__device__ static inline float2 cuda_load_two(const float *first, const float *second, int n) {
  float2 pair = {0, 0};
  if (n >= 2 && cuda_is_pair<WHOLE>(first, second)) return *(const float2 *)first;
  if (!WHOLE && n >= 1) pair.x = *first;
  if (!WHOLE && n >= 2) pair.y = *second;
  return pair;
}

/* As numbers. */
template <typename T>
__device__ static inline void cuda_unpack_two(uint32_t word, float *low, float *high, T like) {
  cuda_unpair(word, low, high, like);
}
__device__ static inline void cuda_unpack_two(float2 pair, float *low, float *high, float) {
  *low = pair.x;
  *high = pair.y;
}

#endif
