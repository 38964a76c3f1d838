/*
** The six dtypes as C types, the type in which each is computed, and the way between the two.
**
**   stored     float   double   half, bfloat16             long      byte
**   in C       float   double   cuda_half, cuda_bfloat16   int64_t   uint8_t
**   computed   float   double   float                      int64_t   int64_t
**
** cuda_load(element) is the number to compute with, cuda_store(&element, number) rounds it back to
** nearest even; bytes wrap around modulo 256, as arithmetic does. cuda_convert<To>(element) is
** dn_copy's rule instead: cut towards zero and held at the ends.
*/
#ifndef CUDA_DTYPE_H
#define CUDA_DTYPE_H

#include "cuda_backend.h"

typedef struct cuda_half {
  uint16_t bits;
} cuda_half;

typedef struct cuda_bfloat16 {
  uint16_t bits;
} cuda_bfloat16;

/*
** CUDA_FOR_ANY(dtype, T, statements) runs the statements with T as the C type of a dtype; the others
** are for dtypes of which the front door lets only some pass.
*/
#define CUDA_CASE(word, type, T, ...) \
  case word: {                        \
    typedef type T;                   \
    __VA_ARGS__;                      \
  } break
#define CUDA_FOR_COMPUTE(dtype, T, ...)             \
  switch (dtype) {                                  \
    CUDA_CASE(DN_FLOAT, float, T, __VA_ARGS__);     \
    default:                                        \
      CUDA_CASE(DN_DOUBLE, double, T, __VA_ARGS__); \
  }
#define CUDA_FOR_REAL(dtype, T, ...)                         \
  switch (dtype) {                                           \
    CUDA_CASE(DN_FLOAT, float, T, __VA_ARGS__);              \
    CUDA_CASE(DN_DOUBLE, double, T, __VA_ARGS__);            \
    CUDA_CASE(DN_HALF, cuda_half, T, __VA_ARGS__);           \
    default:                                                 \
      CUDA_CASE(DN_BFLOAT16, cuda_bfloat16, T, __VA_ARGS__); \
  }
#define CUDA_FOR_WHOLE(dtype, T, ...)              \
  switch (dtype) {                                 \
    CUDA_CASE(DN_LONG, int64_t, T, __VA_ARGS__);   \
    default:                                       \
      CUDA_CASE(DN_BYTE, uint8_t, T, __VA_ARGS__); \
  }
#define CUDA_FOR_ANY(dtype, T, ...)                        \
  switch (dtype) {                                         \
    CUDA_CASE(DN_FLOAT, float, T, __VA_ARGS__);            \
    CUDA_CASE(DN_DOUBLE, double, T, __VA_ARGS__);          \
    CUDA_CASE(DN_HALF, cuda_half, T, __VA_ARGS__);         \
    CUDA_CASE(DN_BFLOAT16, cuda_bfloat16, T, __VA_ARGS__); \
    CUDA_CASE(DN_LONG, int64_t, T, __VA_ARGS__);           \
    default:                                               \
      CUDA_CASE(DN_BYTE, uint8_t, T, __VA_ARGS__);         \
  }

/* cuda_types<T>::computed, and ::is_real. */
template <typename T>
struct cuda_types {
  typedef float computed;
  static const bool is_real = true;
};
template <>
struct cuda_types<double> {
  typedef double computed;
  static const bool is_real = true;
};
template <>
struct cuda_types<int64_t> {
  typedef int64_t computed;
  static const bool is_real = false;
};
template <>
struct cuda_types<uint8_t> {
  typedef int64_t computed;
  static const bool is_real = false;
};

#define CUDA_INLINE __host__ __device__ static inline

/*
** The 16-bit formats by a GPU's own instructions: the numbers of dn_float16.h, whose chains of selections
** would take longer than memory; only what a NaN holds besides may differ.
*/
#ifdef __CUDA_ARCH__
__device__ static inline float cuda_half_to_float(uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ static inline uint16_t cuda_half_from_float(float x) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
__device__ static inline float cuda_bfloat16_to_float(uint16_t bits) {
  return __uint_as_float((uint32_t)bits << 16);
}
__device__ static inline uint16_t cuda_bfloat16_from_float(float x) {
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
#else
#define cuda_half_to_float dn_half_to_float
#define cuda_half_from_float dn_half_from_float
#define cuda_bfloat16_to_float dn_bfloat16_to_float
#define cuda_bfloat16_from_float dn_bfloat16_from_float
#endif

CUDA_INLINE float cuda_load(float x) { return x; }
CUDA_INLINE double cuda_load(double x) { return x; }
CUDA_INLINE float cuda_load(cuda_half x) { return cuda_half_to_float(x.bits); }
CUDA_INLINE float cuda_load(cuda_bfloat16 x) { return cuda_bfloat16_to_float(x.bits); }
CUDA_INLINE int64_t cuda_load(int64_t x) { return x; }
CUDA_INLINE int64_t cuda_load(uint8_t x) { return x; }

CUDA_INLINE void cuda_store(float *to, float x) { *to = x; }
CUDA_INLINE void cuda_store(double *to, double x) { *to = x; }
CUDA_INLINE void cuda_store(cuda_half *to, float x) { to->bits = cuda_half_from_float(x); }
CUDA_INLINE void cuda_store(cuda_bfloat16 *to, float x) { to->bits = cuda_bfloat16_from_float(x); }
CUDA_INLINE void cuda_store(int64_t *to, int64_t x) { *to = x; }
CUDA_INLINE void cuda_store(uint8_t *to, int64_t x) { *to = (uint8_t)((uint64_t)x & 255u); }

/* From a computed number of any kind to an element. */
CUDA_INLINE void cuda_round(float *to, float x) { *to = x; }
CUDA_INLINE void cuda_round(float *to, double x) { *to = (float)x; }
CUDA_INLINE void cuda_round(float *to, int64_t x) { *to = (float)x; }
CUDA_INLINE void cuda_round(double *to, float x) { *to = (double)x; }
CUDA_INLINE void cuda_round(double *to, double x) { *to = x; }
CUDA_INLINE void cuda_round(double *to, int64_t x) { *to = (double)x; }
CUDA_INLINE void cuda_round(cuda_half *to, float x) { to->bits = dn_half_from_float(x); }
CUDA_INLINE void cuda_round(cuda_half *to, double x) { to->bits = dn_half_from_double(x); }
CUDA_INLINE void cuda_round(cuda_half *to, int64_t x) { to->bits = dn_half_from_double((double)x); }
CUDA_INLINE void cuda_round(cuda_bfloat16 *to, float x) { to->bits = dn_bfloat16_from_float(x); }
CUDA_INLINE void cuda_round(cuda_bfloat16 *to, double x) { to->bits = dn_bfloat16_from_double(x); }
CUDA_INLINE void cuda_round(cuda_bfloat16 *to, int64_t x) {
  to->bits = dn_bfloat16_from_double((double)x);
}
CUDA_INLINE void cuda_round(int64_t *to, float x) { *to = dn_long_from_double((double)x); }
CUDA_INLINE void cuda_round(int64_t *to, double x) { *to = dn_long_from_double(x); }
CUDA_INLINE void cuda_round(int64_t *to, int64_t x) { *to = x; }
CUDA_INLINE void cuda_round(uint8_t *to, float x) { *to = dn_byte_from_float(x); }
CUDA_INLINE void cuda_round(uint8_t *to, double x) { *to = dn_byte_from_double(x); }
CUDA_INLINE void cuda_round(uint8_t *to, int64_t x) { *to = dn_byte_from_long(x); }

template <typename To, typename From>
CUDA_INLINE To cuda_convert(From from) {
  To to;
  cuda_round(&to, cuda_load(from));
  return to;
}

#endif
