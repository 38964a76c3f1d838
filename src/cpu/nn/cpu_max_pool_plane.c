#include "cpu_max_pool_plane.h"

#include "../../dn_wide.h"

/* The larger of best[q] and from[q * step], and its place; a NaN is the largest, of equal ones the first. */
DN_WIDE static void take_larger(real *best, int64_t *place, const real *from, int64_t step,
                                int64_t first, int64_t n) {
  for (int64_t q = 0; q < n; q++) {
    const real value = from[q * step];
    const bool wins = value > best[q] || (value != value && best[q] == best[q]);
    best[q] = wins ? value : best[q];
    place[q] = wins ? first + q * step : place[q];
  }
}

/* The first element that each window of an output line sees. */
static void begin_line(real *best, int64_t *place, const real *x, int64_t line,
                       dn_pool_axis width) {
  for (int64_t q = 0; q < width.n_out; q++) {
    const int64_t at = line * width.n_in + dn_pool_inside(&width, dn_pool_window(&width, q)).begin;
    best[q] = x[at];
    place[q] = at + 1;
  }
}

/* The element of column j of each window, where that lies inside. */
static void look_at(real *best, int64_t *place, const real *x, int64_t line, int64_t j,
                    dn_pool_axis width) {
  const int64_t shift = j - width.pad, step = width.stride;
  const int64_t q = shift < 0 ? (-shift + step - 1) / step : 0;
  int64_t end = shift < width.n_in ? (width.n_in - 1 - shift) / step + 1 : 0;
  if (end > width.n_out) end = width.n_out;
  if (q >= end) return;
  const int64_t at = line * width.n_in + q * step + shift;
  take_larger(best + q, place + q, x + at, step, at + 1, end - q);
}

void CPU_REAL(cpu_max_pool_plane)(void *y, int64_t *indices, const void *x, dn_pool_axis height,
                                  dn_pool_axis width) {
  for (int64_t p = 0; p < height.n_out; p++) {
    const dn_pool_span lines = dn_pool_inside(&height, dn_pool_window(&height, p));
    real *best = (real *)y + p * width.n_out;
    int64_t *place = indices + p * width.n_out;
    begin_line(best, place, x, lines.begin, width);
    for (int64_t line = lines.begin; line < lines.end; line++)
      for (int64_t j = 0; j < width.kernel; j++) look_at(best, place, x, line, j, width);
  }
}
