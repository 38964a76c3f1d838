#include "cpu_norm_fast.h"

#include "../conv/cpu_map.h"
#include "../cpu_parallel.h"
#include "../../dn_wide.h"
#include "cpu_norm_table.h"

void CPU_REAL(cpu_channel_stats_fast)(dn_tensor *stats, const dn_tensor *x) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < in.planes.c; c++) {
    cpu_moments sums = {0};
    for (int64_t n = 0; n < in.planes.n; n++)
      tiles->moments(&sums, cpu_map_at(in, n, c), in.planes.size, NULL);
    const double count = (double)(in.planes.n * in.planes.size);
    double mean, m2;
    cpu_moments_result(&sums, count, &mean, &m2);
    cpu_table_store(stats, DN_STATS_MEAN, c, mean);
    cpu_table_store(stats, DN_STATS_VAR, c, m2 / count);
  }
}

DN_WIDE static void add_terms(real *gradient, const real *values, int64_t n, cpu_deferred terms) {
  const real offset = *terms.offset, slope = *terms.slope, mean = *terms.mean;
  for (int64_t p = 0; p < n; p++) gradient[p] += slope * (values[p] - mean) + offset;
}

void CPU_REAL(cpu_deferred_apply_fast)(dn_tensor *dx, const dn_tensor *x,
                                       const dn_tensor *deferred) {
  const cpu_map in = cpu_map_of(x), to = cpu_map_of(dx);
  const cpu_deferred terms = cpu_deferred_of(deferred);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < in.planes.n; n++)
    for (int64_t c = 0; c < in.planes.c; c++) {
      const cpu_deferred own = {terms.offset + c, terms.slope + c, terms.mean + c};
      add_terms(cpu_map_at(to, n, c), cpu_map_at(in, n, c), in.planes.size, own);
    }
}
