#include "cpu_norm_relu_pool_fast.h"

#include <string.h>

#include "../conv/cpu_map.h"
#include "../conv/cpu_shares.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "../../dn_wide.h"

/* Sums of a line's windows; a window of any width, the usual 2 and the whole line unrolled. */
DN_WIDE static void pool_plane(real *y, const real *x, cpu_windows w, real scale, real shift) {
  const real share = (real)1 / (real)(w.lines * w.columns);
  for (int64_t p = 0; p < w.height; p++) {
    real *line = y + p * w.width;
    memset(line, 0, (size_t)w.width * sizeof *line);
    for (int64_t i = 0; i < w.lines; i++) {
      const real *from = x + (p * w.lines + i) * w.stride;
      if (w.columns == 2) {
        for (int64_t q = 0; q < w.width; q++) {
          const real a = scale * from[2 * q] + shift, b = scale * from[2 * q + 1] + shift;
          line[q] += (a > 0 ? a : 0) + (b > 0 ? b : 0);
        }
        continue;
      }
      for (int64_t q = 0; q < w.width; q++) {
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < w.columns; j++) {
          const real v = scale * from[q * w.columns + j] + shift;
          sum += v > 0 ? v : 0;
        }
        line[q] += sum;
      }
    }
    for (int64_t q = 0; q < w.width; q++) line[q] *= share;
  }
}

void CPU_REAL(cpu_norm_relu_pool_forward_fast)(dn_tensor *y, const dn_tensor *x,
                                               const dn_tensor *norm, cpu_windows w) {
  const cpu_map in = cpu_map_of(x), out = cpu_map_of(y);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < in.planes.n; n++)
    for (int64_t c = 0; c < in.planes.c; c++)
      pool_plane(cpu_map_at(out, n, c), cpu_map_at(in, n, c), w, vectors.scale[c],
                 vectors.shift[c]);
}

/* The gradient of a pooled plane, spread over the windows; elements left out stay as they are. */
DN_WIDE static void spread_plane(real *d, const real *dy, cpu_windows w) {
  const real share = (real)1 / (real)(w.lines * w.columns);
  for (int64_t p = 0; p < w.height * w.lines; p++) {
    const real *from = dy + p / w.lines * w.width;
    real *line = d + p * w.stride;
    if (w.columns == 2) {
      for (int64_t q = 0; q < w.width; q++) line[2 * q] = line[2 * q + 1] = from[q] * share;
      continue;
    }
    for (int64_t q = 0; q < w.width; q++)
      for (int64_t j = 0; j < w.columns; j++) line[q * w.columns + j] = from[q] * share;
  }
}

dn_status CPU_REAL(cpu_norm_relu_pool_backward_fast)(dn_tensor *dx, dn_tensor *dnorm,
                                                     const dn_tensor *dy, const dn_tensor *x,
                                                     const dn_tensor *norm, cpu_windows w,
                                                     bool accumulate) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), din = cpu_map_of(dx), pooled = cpu_map_of(dy);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int n_threads = cpu_team(dn_tensor_count(x));
  const int64_t n_plane = cpu_whole_lines(in.planes.size), n_sums = 2 * CPU_SUM_LANES * in.planes.c;
  void *scratch;
  DN_TRY(cpu_scratch((n_threads * n_plane + n_sums) * (int64_t)sizeof(real), &scratch));
  real *planes = scratch, *all_sums = planes + n_threads * n_plane;
  memset(scratch, 0, (size_t)(n_threads * n_plane + n_sums) * sizeof *planes);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    real *d = planes + t * n_plane;
    int64_t c, end;
    cpu_share(in.planes.c, n_threads, t, &c, &end);
    for (; c < end; c++) {
      const cpu_norm own = {vectors.mean + c, vectors.inv_std + c, vectors.scale + c,
                            vectors.shift + c};
      for (int64_t n = 0; n < in.planes.n; n++) {
        spread_plane(d, cpu_map_at(pooled, n, c), w);
        tiles->norm_relu_backward(cpu_map_at(din, n, c), 0, d, 0, cpu_map_at(in, n, c), 0, 1,
                                  in.planes.size, own, all_sums + 2 * CPU_SUM_LANES * c,
                                  accumulate);
      }
    }
  }
  cpu_sums_write(dnorm, all_sums, 0, 1, vectors);
  return DN_OK;
}
