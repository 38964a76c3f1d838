/* A short line of pixels: a call of memmove costs more than the copy. `to` may lie before `from`. */
#ifndef CPU_LINE_COPY_H
#define CPU_LINE_COPY_H

#include <string.h>

#include "../tiles/cpu_real.h"

static inline void cpu_line_copy(real *to, const real *from, int64_t n) {
  enum { SOME = 8 };
  int64_t i = 0;
  for (; i + SOME <= n; i += SOME) {
    real some[SOME];
    memcpy(some, from + i, sizeof some);
    memcpy(to + i, some, sizeof some);
  }
  for (; i < n; i++) to[i] = from[i];
}

#endif
