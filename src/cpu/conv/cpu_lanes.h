/*
** One vector register of floats, as wide as the target has them, in the compilers' vector
** extension: the same source is AVX-512, AVX, SSE or NEON.
*/
#ifndef CPU_LANES_H
#define CPU_LANES_H

#include <string.h>

#if defined(__AVX512F__)
enum { CPU_LANES = 16 };
#elif defined(__AVX__)
enum { CPU_LANES = 8 };
#else
enum { CPU_LANES = 4 };
#endif

typedef float cpu_lanes __attribute__((vector_size(CPU_LANES * sizeof(float))));

/* No alignment is asked for. */
static inline cpu_lanes cpu_lanes_load(const float *from) {
  cpu_lanes lanes;
  memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

static inline void cpu_lanes_store(float *to, cpu_lanes lanes) { memcpy(to, &lanes, sizeof lanes); }

static inline cpu_lanes cpu_lanes_all(float value) { return value - (cpu_lanes){0}; }

#endif
