/*
** How work is cut for threads. Chunks depend on the number of threads and nothing else, so results
** are the same, bit for bit, for a fixed number. Small work stays on the calling thread.
**
**   const int n_threads = cpu_team(n_elements);
**   #pragma omp parallel for schedule(static) num_threads(n_threads)
*/
#ifndef CPU_PARALLEL_H
#define CPU_PARALLEL_H

#include <stdint.h>

#include "../dn_device.h"

enum {
  CPU_ELEMENTS_PER_THREAD = 1 << 14
}; /* below about 10 us a thread costs more than it gives */

/* Threads worth using for that many elementary steps. */
static inline int cpu_team(int64_t n_steps) {
  const int64_t useful = n_steps / CPU_ELEMENTS_PER_THREAD;
  const int most = dn_threads();
  return useful < 1 ? 1 : useful < most ? (int)useful : most;
}

/* The part [*begin, *end) of n items that is thread `index`'s, in pieces of equal size. */
static inline void cpu_share(int64_t n, int n_threads, int index, int64_t *begin, int64_t *end) {
  *begin = n * index / n_threads;
  *end = n * (index + 1) / n_threads;
}

#endif
