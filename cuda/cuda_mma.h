/*
** Products of a warp by tensor cores (compute capability 8.0 on): 16x8 sums in float, of factors in
** 16 bits or of floats rounded to TF32. On a GPU an instruction; in the emulation the same sums by plain
** loops over what the lanes exchange.
**
** The depth of one product is 32 bytes, 8 words: DEPTH = 8 floats or 16 numbers of 16 bits. Said in words,
** all dtypes have one layout. With lane = 4 g + t:
**   A, 16 rows      a[0..3]  rows g, g + 8, g, g + 8, words t, t, t + 4, t + 4 of the depth
**   B, 8 columns    b[0..1]  column g, words t, t + 4 of the depth
**   sums            d[0..3]  (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
** Source: PTX ISA, "Matrix fragments for mma.m16n8k8" and "...m16n8k16".
**
** Factors lie in shared memory as rows of words, `pitch` words apart, that begin at multiples of 16
** bytes: either with the depth along the row (load_a, load_b), or with B's columns along the row, a row
** for each step of the depth (load_b_turned). A load meets each of the 32 banks once where the pitch is an
** odd multiple of 4 words; and of floats read across their rows, where it is 8 more than a multiple of 32.
*/
#ifndef CUDA_MMA_H
#define CUDA_MMA_H

#include "cuda_vector.h"

template <typename T>
struct cuda_factor {
  enum { DEPTH = 8 * cuda_packed<T>::PER_WORD };
};

#ifdef __CUDACC__
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define CUDA_MMA(shape_and_types)                               \
  asm volatile("mma.sync.aligned." shape_and_types              \
               " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "       \
               "{%0,%1,%2,%3};"                                 \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#else /* never launched there (cuda_fused.h) */
#define CUDA_MMA(shape_and_types) __trap()
#endif
__device__ static inline void cuda_mma(float *d, const uint32_t *a, const uint32_t *b, float) {
  CUDA_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
}
__device__ static inline void cuda_mma(float *d, const uint32_t *a, const uint32_t *b, cuda_half) {
  CUDA_MMA("m16n8k16.row.col.f32.f16.f16.f32");
}
__device__ static inline void cuda_mma(float *d, const uint32_t *a, const uint32_t *b,
                                       cuda_bfloat16) {
  CUDA_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
}

/* To 10 bits behind the point, to nearest, halves away from zero. */
__device__ static inline uint32_t cuda_tf32(float x) {
  uint32_t bits;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
#else
  bits = cuda_bits_of(x);
#endif
  return bits;
}

/* Two 8x8 matrices of 16-bit numbers, turned: lane l < 16 gives the address of row l % 8 of matrix l / 8. */
__device__ static inline void cuda_load_turned(uint32_t *r, const void *row) {
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(at)
               : "memory");
}

__device__ static inline int cuda_lane(void) { return (int)threadIdx.x % CUDA_WARP; }
#else
static inline uint32_t cuda_tf32(float x) {
  return x != x ? cuda_bits_of(x) : (cuda_bits_of(x) + 0x1000u) & 0xFFFFE000u;
}

static inline int cuda_lane(void) { return emulation_lane(); }

/* Word i of what a lane gave. */
static inline uint32_t emulated_word(const char *lanes, int lane, int i) {
  uint32_t word;
  memcpy(&word, lanes + (size_t)lane * EMULATION_LANE_BYTES + 4 * i, sizeof word);
  return word;
}

/*
** A lane gives its part of A, copies what all gave, and gives its part of B; it copies A first because
** a lane that is ahead writes over the exchange before the last.
*/
template <typename T>
static inline void cuda_mma(float *d, const uint32_t *a, const uint32_t *b, T like) {
  enum { DEPTH = cuda_factor<T>::DEPTH, PER_WORD = cuda_packed<T>::PER_WORD };
  const int g = cuda_lane() / 4, t = cuda_lane() % 4;
  float rows[2][DEPTH], columns[2][DEPTH];
  const char *lanes = emulation_exchange(0xFFFFFFFFu, a, 16);
  for (int h = 0; h < 2; h++)
    for (int w = 0; w < 8; w++)
      cuda_unpack_word(&rows[h][w * PER_WORD], emulated_word(lanes, 4 * g + w % 4, h + w / 4 * 2),
                       like);
  lanes = emulation_exchange(0xFFFFFFFFu, b, 8);
  for (int h = 0; h < 2; h++)
    for (int w = 0; w < 8; w++)
      cuda_unpack_word(&columns[h][w * PER_WORD],
                       emulated_word(lanes, 4 * (2 * t + h) + w % 4, w / 4), like);
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < DEPTH; k++) d[i] += rows[i / 2][k] * columns[i % 2][k];
}

static inline void cuda_load_turned(uint32_t *r, const void *row) {
  const int g = cuda_lane() / 4, t = cuda_lane() % 4;
  if (cuda_lane() < 16 && !emulation_is_aligned(row, 16)) return;
  const char *lanes = emulation_exchange(0xFFFFFFFFu, &row, sizeof row);
  for (int m = 0; m < 2; m++) {
    uint16_t pair[2];
    for (int h = 0; h < 2; h++) {
      const uint16_t *from;
      memcpy(&from, lanes + (size_t)(8 * m + 2 * t + h) * EMULATION_LANE_BYTES, sizeof from);
      pair[h] = from[g];
    }
    r[m] = pair[0] | (uint32_t)pair[1] << 16;
  }
}
#endif

/* A word of factors: numbers, PER_WORD of them, as products take them. */
__device__ static inline uint32_t cuda_factor_word(const float *numbers, float) {
  return cuda_tf32(numbers[0]);
}
template <typename T>
__device__ static inline uint32_t cuda_factor_word(const float *numbers, T like) {
  return cuda_pair(numbers[0], numbers[1], like);
}

/* The 16 rows that begin at `rows`, from word `at` of their depth on. */
__device__ static inline void cuda_load_a(uint32_t *a, const uint32_t *rows, int pitch, int at) {
  const uint32_t *const own = rows + cuda_lane() / 4 * pitch + at + cuda_lane() % 4;
  a[0] = own[0];
  a[1] = own[8 * pitch];
  a[2] = own[4];
  a[3] = own[8 * pitch + 4];
}

/* A column of B, the lane's own (lane / 4), whose depth lies along it, from word `at` on. */
__device__ static inline void cuda_load_b(uint32_t *b, const uint32_t *own, int at) {
  b[0] = own[at + cuda_lane() % 4];
  b[1] = own[at + cuda_lane() % 4 + 4];
}

/*
** The same of rows that lie anywhere: cuda_depth_of(i) says which steps of the depth a lane has to give the
** rows of, i = 0 and 1.
*/
__device__ static inline int cuda_depth_of(int i, float) { return cuda_lane() % 4 + 4 * i; }
template <typename T>
__device__ static inline int cuda_depth_of(int, T) {
  return cuda_lane() % 16;
}
__device__ static inline void cuda_load_b_rows(uint32_t *b, const uint32_t *first,
                                               const uint32_t *second, int column, float) {
  b[0] = first[column + cuda_lane() / 4];
  b[1] = second[column + cuda_lane() / 4];
}
template <typename T>
__device__ static inline void cuda_load_b_rows(uint32_t *b, const uint32_t *first, const uint32_t *,
                                               int column, T) {
  cuda_load_turned(b, first + column / 2);
}

/* The 8 columns from `column` on of the DEPTH rows that begin at `rows`. */
__device__ static inline void cuda_load_b_turned(uint32_t *b, const uint32_t *rows, int pitch,
                                                 int column, float) {
  const uint32_t *const own = rows + cuda_lane() % 4 * pitch + column + cuda_lane() / 4;
  b[0] = own[0];
  b[1] = own[4 * pitch];
}
template <typename T>
__device__ static inline void cuda_load_b_turned(uint32_t *b, const uint32_t *rows, int pitch,
                                                 int column, T) {
  cuda_load_turned(b, rows + cuda_lane() % 16 * pitch + column / 2);
}

#endif
