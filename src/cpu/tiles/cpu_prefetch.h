/*
** Prefetch cursors: what the next step of a kernel will read is brought towards the cache while this one
** computes, line after line in the order of memory, so that the processor's own prefetcher follows.
** Tiles (cpu_tiles.h) take one line of a cursor every few steps.
*/
#ifndef CPU_PREFETCH_H
#define CPU_PREFETCH_H

#include <stdint.h>

#include "cpu_real.h"

enum { CPU_PREFETCH_SETS = 3 };

/* Rows that will be read: n_rows of n_pixels values, stride apart. None where n_rows is 0. */
typedef struct cpu_prefetch_rows {
  const real *at;
  int64_t n_rows, n_pixels, stride;
} cpu_prefetch_rows;

/* A cursor over up to three sets of rows. */
typedef struct cpu_prefetch {
  const real *at;
  int64_t left, length, gap; /* lines left in this row, in every row; values from row to row */
  int64_t n_lines;           /* left in this set of rows */
  cpu_prefetch_rows next[CPU_PREFETCH_SETS];
} cpu_prefetch;

#define cpu_prefetch_of CPU_REAL(cpu_prefetch_of)
#define cpu_prefetch_next CPU_REAL(cpu_prefetch_next)

/* A cursor at the start of the first set that has rows; the sets follow each other in this order. */
cpu_prefetch cpu_prefetch_of(cpu_prefetch_rows first, cpu_prefetch_rows second,
                             cpu_prefetch_rows third);

/* Moves on to the next set of rows; at the end, repeats one harmless line. */
void cpu_prefetch_next(cpu_prefetch *cursor);

#endif
