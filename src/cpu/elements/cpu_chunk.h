/*
** Numbers are computed in three types, whatever the six dtypes they are stored in:
** float (for float, half, bfloat16), double, and int64 (for long and byte).
**
** A chunk is a short contiguous run in one of these types, small enough to stay in the first-level
** cache. Kernels are loops over chunks; loading and storing convert and gather. Where a tensor
** already holds the computing type without gaps, the tensor itself is the chunk, of any length.
*/
#ifndef CPU_CHUNK_H
#define CPU_CHUNK_H

#include "../../dn_dtype.h"

#include <stdint.h>

enum { CPU_CHUNK = 512 };

typedef union cpu_chunk {
  _Alignas(64) float in_float[CPU_CHUNK];
  double in_double[CPU_CHUNK];
  int64_t in_long[CPU_CHUNK];
} cpu_chunk;

/*
** A loop whose iterations are independent even where the arrays are one and the same, which the
** compiler cannot know.
*/
#define CPU_VECTOR_LOOP(i, n, statement) \
  _Pragma("omp simd") for (int64_t i = 0; i < (n); i++) statement

/* DN_FLOAT, DN_DOUBLE or DN_LONG. */
static inline dn_dtype cpu_computing_dtype(dn_dtype dtype) {
  switch (dtype) {
    case DN_DOUBLE:
      return DN_DOUBLE;
    case DN_LONG:
    case DN_BYTE:
      return DN_LONG;
    default:
      return DN_FLOAT;
  }
}

/*
** to[0..n) = from[0], from[stride], ...; `stride` in elements, 0 or more. float takes all dtypes
** but double and long, double takes all, long takes long and byte.
*/
void cpu_chunk_load(dn_dtype computing, void *to, dn_dtype dtype, const void *from, int64_t stride,
                    int64_t n);

/*
** to[0], to[stride], ... = from[0..n), by dn_copy's rules: rounded to nearest even, or cut towards
** zero and held at the ends of the range. float goes to all dtypes but double and long; double and
** long go to all.
*/
void cpu_chunk_store(dn_dtype dtype, void *to, int64_t stride, dn_dtype computing, const void *from,
                     int64_t n);

/*
** n numbers in the computing type: `from` itself when they already stand there so, otherwise loaded
** into *chunk (n at most CPU_CHUNK).
*/
const void *cpu_chunk_read(dn_dtype computing, dn_dtype dtype, const void *from, int64_t stride,
                           int64_t n, cpu_chunk *chunk);

/* Every number of the chunk becomes `real`, or `whole` when the computing type is DN_LONG. */
void cpu_chunk_repeat(dn_dtype computing, cpu_chunk *chunk, double real, int64_t whole);

#endif
