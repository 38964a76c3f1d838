/*
** How work is cut for threads. Chunks depend on the number of threads and nothing else, so results
** are the same, bit for bit, for a fixed number. Small work stays on the calling thread.
**
**   const int n_threads = cpu_team(n_elements);
**   #pragma omp parallel for schedule(static) num_threads(n_threads)
*/
#ifndef CPU_PARALLEL_H
#define CPU_PARALLEL_H

#include <stdatomic.h>
#include <stdint.h>

#include "../dn_threads.h"

/* What gcc calls is in cpu_parallel.c; clang's programs need clang's library. */
#if defined(_OPENMP) && !defined(__clang__)
#define CPU_OWN_THREADS
#elif defined(_OPENMP)
#include <omp.h>
#endif

enum { CPU_ELEMENTS_PER_THREAD = 1 << 15 }; /* 5 us and more; waking a thread takes as long */

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
**   cpu_queue queue = {0};
**   #pragma omp parallel num_threads(n_threads)
**   for (int s; (s = cpu_next(&queue)) < n_shares;) ... own memory of cpu_thread() ...
*/
enum { CPU_SHARES_PER_THREAD = 4 };

static inline int cpu_shares(int n_threads) {
  return n_threads > 1 ? n_threads * CPU_SHARES_PER_THREAD : 1;
}

typedef struct cpu_queue {
  atomic_int n_taken;
} cpu_queue;

/* The next share that nobody has taken, from 0. */
static inline int cpu_next(cpu_queue *queue) { return atomic_fetch_add(&queue->n_taken, 1); }

/* The number of the calling member of a team, from 0. */
int cpu_thread(void);

/* The part [*begin, *end) of n items that is share `index` of n_shares, in pieces of equal size. */
static inline void cpu_share(int64_t n, int n_shares, int index, int64_t *begin, int64_t *end) {
  *begin = n * index / n_shares;
  *end = n * (index + 1) / n_shares;
}

#endif
