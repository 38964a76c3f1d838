#include "cpu_tiles.h"

#include <stddef.h>

#include "../cpu_parallel.h"
#include "cpu_tiles_choice.h"

extern const cpu_tiles CPU_REAL(cpu_tiles_portable);
#if defined(__x86_64__)
extern const cpu_tiles CPU_REAL(cpu_tiles_avx512), CPU_REAL(cpu_tiles_avx2);
#endif

const cpu_tiles *cpu_tiles_best(void) {
  switch (cpu_tiles_chosen()) {
#if defined(__x86_64__)
    case CPU_TILES_SET_AVX512:
      return &CPU_REAL(cpu_tiles_avx512);
    case CPU_TILES_SET_AVX2:
      return &CPU_REAL(cpu_tiles_avx2);
#else
    case CPU_TILES_SET_AVX512:
    case CPU_TILES_SET_AVX2:
#endif
    case CPU_TILES_SET_PORTABLE:
      break;
  }
  return &CPU_REAL(cpu_tiles_portable);
}

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

int64_t cpu_panels_place(const cpu_tiles *tiles, int64_t n_rows, int64_t depth, int64_t m,
                         int64_t k) {
  const int64_t most = tiles->panel_rows, first = m / most * most;
  const int64_t left = padded_rows(tiles, n_rows) - first;
  return first * depth + k * (left < most ? left : most) + (m - first);
}

/* Rows [m, m + rows) as one panel; those beyond n_rows are zero. */
static void pack_panel(real *panel, const real *a, int64_t m, int64_t rows, int64_t n_rows,
                       int64_t row_stride, int64_t depth, const int32_t *column_offset) {
  const int64_t n = n_rows - m < rows ? n_rows - m : rows;
  const real *from = a + m * row_stride;
  for (int64_t k = 0; k < depth; k++, panel += rows) {
    for (int64_t i = 0; i < n; i++) panel[i] = from[i * row_stride + column_offset[k]];
    for (int64_t i = n; i < rows; i++) panel[i] = 0;
  }
}

void cpu_pack_panels(const cpu_tiles *tiles, real *panels, const real *a, int64_t n_rows,
                     int64_t row_stride, int64_t depth, const int32_t *column_offset) {
  const int64_t n_padded = padded_rows(tiles, n_rows), most = tiles->panel_rows;
  const int n_threads = cpu_team(n_padded * depth);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t m = 0; m < n_padded; m += most)
    pack_panel(panels + m * depth, a, m, n_padded - m < most ? n_padded - m : most, n_rows,
               row_stride, depth, column_offset);
}
