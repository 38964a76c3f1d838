#include "cpu_tiles.h"

#include <stdatomic.h>
#include <stddef.h>

extern const cpu_tiles cpu_tiles_portable;
#if defined(__x86_64__)
extern const cpu_tiles cpu_tiles_avx512, cpu_tiles_avx2;
#endif

int cpu_tiles_all(const cpu_tiles *tables[3]) {
  int n_tables = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    tables[n_tables++] = &cpu_tiles_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    tables[n_tables++] = &cpu_tiles_avx2;
#endif
  tables[n_tables++] = &cpu_tiles_portable;
  return n_tables;
}

static const cpu_tiles *_Atomic chosen; /* NULL until first asked for */

const cpu_tiles *cpu_tiles_best(void) {
  const cpu_tiles *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (table) return table;
  const cpu_tiles *tables[3];
  cpu_tiles_all(tables);
  cpu_tiles_select(tables[0]);
  return tables[0];
}

void cpu_tiles_select(const cpu_tiles *table) { atomic_store(&chosen, table); }

void cpu_moments_result(const cpu_moments *sums, double n, double *mean, double *m2) {
  double sum = 0, squares = 0;
  for (int l = 0; l < CPU_SUM_LANES; l++) {
    sum += sums->sum[l];
    squares += sums->squares[l];
  }
  *mean = (double)sums->pivot + sum / n;
  *m2 = squares - sum * sum / n;
  if (*m2 < 0) *m2 = 0;
}

static int64_t padded_rows(const cpu_tiles *tiles, int64_t n_rows) {
  const int64_t full = n_rows / tiles->panel_rows * tiles->panel_rows, rest = n_rows - full;
  return full + (rest + tiles->panel_step - 1) / tiles->panel_step * tiles->panel_step;
}

int64_t cpu_panels_count(const cpu_tiles *tiles, int64_t n_rows, int64_t depth) {
  return padded_rows(tiles, n_rows) * depth;
}

void cpu_pack_panels(const cpu_tiles *tiles, float *panels, const float *a, int64_t n_rows,
                     int64_t row_stride, int64_t depth, const int32_t *column_offset) {
  const int64_t n_padded = padded_rows(tiles, n_rows);
  for (int64_t m = 0; m < n_padded; m += tiles->panel_rows) {
    const int64_t rows = n_padded - m < tiles->panel_rows ? n_padded - m : tiles->panel_rows;
    for (int64_t k = 0; k < depth; k++)
      for (int64_t i = 0; i < rows; i++)
        *panels++ = m + i < n_rows ? a[(m + i) * row_stride + column_offset[k]] : 0;
  }
}
