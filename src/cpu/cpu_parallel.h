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
#ifdef _OPENMP
#include <omp.h>
#endif

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

/*
** Work of which the threads take shares as they get free, so that one that is held up does not hold
** up all: every sum over shares is taken in their order, whoever made them. A single thread has one.
**
**   #pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
**   for (int s = 0; s < cpu_shares(n_threads); s++) ... own memory of cpu_thread() ...
*/
enum { CPU_SHARES_PER_THREAD = 4 };

static inline int cpu_shares(int n_threads) {
  return n_threads > 1 ? n_threads * CPU_SHARES_PER_THREAD : 1;
}

/* The calling thread's number in its team, from 0. */
static inline int cpu_thread(void) {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/* The part [*begin, *end) of n items that is share `index` of n_shares, in pieces of equal size. */
static inline void cpu_share(int64_t n, int n_shares, int index, int64_t *begin, int64_t *end) {
  *begin = n * index / n_shares;
  *end = n * (index + 1) / n_shares;
}

#endif
