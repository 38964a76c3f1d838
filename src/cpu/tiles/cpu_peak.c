#include "cpu_peak.h"

#include <time.h>

#include "../cpu_parallel.h"
#include "cpu_tiles.h"

enum { N_TRIES = 10 };

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* n_rounds on each of n_threads; returns operations a second. */
static double rate_of(const cpu_tiles *tiles, int64_t n_rounds, int n_threads) {
  double n_operations = 0;
  const double start = seconds();
#pragma omp parallel for schedule(static) num_threads(n_threads) reduction(+ : n_operations)
  for (int t = 0; t < n_threads; t++) {
    real sink[2 * CPU_BLOCK] = {0};
    n_operations += (double)tiles->multiply_add(n_rounds, sink) * (double)n_rounds;
  }
  return n_operations / (seconds() - start);
}

double CPU_REAL(cpu_peak)(void) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const int n_threads = dn_threads();
  const double least = 0.02; /* seconds of a try */
  int64_t n_rounds = 1 << 12;
  for (double start = seconds(); rate_of(tiles, n_rounds, n_threads), seconds() - start < least;
       start = seconds())
    n_rounds *= 2;
  double best = 0;
  for (int i = 0; i < N_TRIES; i++) {
    const double rate = rate_of(tiles, n_rounds, n_threads);
    if (rate > best) best = rate;
  }
  return best;
}
