/*
** Scale-shift-ReLU and the mean over windows: a transition's pooling (windows of 2x2, taken before
** its 1x1 convolution, with which it commutes) and the network's last (one window, the plane).
** Windows do not overlap; lines and columns that fill none are left out.
*/
#include <string.h>

#include "../cpu_backend.h"
#include "cpu_map.h"
#include "cpu_norm_table.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_shares.h"

/* Where the windows of a plane lie. */
typedef struct windows {
  int64_t height, width, lines, columns; /* of the output; of a window */
  int64_t stride;                        /* width of the input plane */
} windows;

static windows windows_of(const dn_tensor *pooled, const dn_tensor *x, int64_t lines,
                          int64_t columns) {
  return (windows){pooled->size[2], pooled->size[3], lines, columns, x->size[3]};
}

static void pool_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm, windows w,
                           int64_t n, int64_t c) {
  for (int64_t p = 0; p < w.height; p++)
    for (int64_t q = 0; q < w.width; q++) {
      double sum = 0;
      for (int64_t i = 0; i < w.lines; i++)
        for (int64_t j = 0; j < w.columns; j++) {
          const int64_t at = (p * w.lines + i) * w.stride + q * w.columns + j;
          sum += dn_norm_rectify_double(cpu_norm_apply(norm, c, cpu_plane_load(x, n, c, at)));
        }
      cpu_plane_store(y, n, c, p * w.width + q, sum / (double)(w.lines * w.columns));
    }
}

/* Sums of a line's windows; a window of any width, the usual 2 and the whole line unrolled. */
static void pool_plane(float *y, const float *x, windows w, float scale, float shift) {
  const float share = 1.0f / (float)(w.lines * w.columns);
  for (int64_t p = 0; p < w.height; p++) {
    float *line = y + p * w.width;
    memset(line, 0, (size_t)w.width * sizeof *line);
    for (int64_t i = 0; i < w.lines; i++) {
      const float *from = x + (p * w.lines + i) * w.stride;
      if (w.columns == 2) {
        for (int64_t q = 0; q < w.width; q++) {
          const float a = scale * from[2 * q] + shift, b = scale * from[2 * q + 1] + shift;
          line[q] += (a > 0 ? a : 0) + (b > 0 ? b : 0);
        }
        continue;
      }
      for (int64_t q = 0; q < w.width; q++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < w.columns; j++) {
          const float v = scale * from[q * w.columns + j] + shift;
          sum += v > 0 ? v : 0;
        }
        line[q] += sum;
      }
    }
    for (int64_t q = 0; q < w.width; q++) line[q] *= share;
  }
}

dn_status cpu_norm_relu_pool_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                     int64_t window_h, int64_t window_w) {
  const windows w = windows_of(y, x, window_h, window_w);
  const bool fast = x->dtype == DN_FLOAT && !dn_reference();
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t c = 0; c < x->size[1]; c++) {
      if (!fast) {
        pool_reference(y, x, norm, w, n, c);
        continue;
      }
      const cpu_norm vectors = cpu_norm_of(norm);
      pool_plane(cpu_map_at(cpu_map_of(y), n, c), cpu_map_at(cpu_map_of(x), n, c), w,
                 vectors.scale[c], vectors.shift[c]);
    }
  return DN_OK;
}

typedef struct sums {
  double beta, gamma;
} sums;

static sums unpool_reference(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *x,
                             const dn_tensor *norm, windows w, int64_t n, int64_t c) {
  sums total = {0, 0};
  for (int64_t p = 0; p < w.height * w.lines; p++)
    for (int64_t q = 0; q < w.width * w.columns; q++) {
      const int64_t at = p * w.stride + q;
      const double raw = cpu_plane_load(x, n, c, at);
      if (!(cpu_norm_apply(norm, c, raw) > 0)) continue;
      const double d = cpu_plane_load(dy, n, c, p / w.lines * w.width + q / w.columns) /
                       (double)(w.lines * w.columns);
      total.beta += d;
      total.gamma += d * cpu_norm_hat(norm, c, raw);
      cpu_plane_store(dx, n, c, at,
                      cpu_plane_load(dx, n, c, at) + cpu_table_load(norm, DN_NORM_SCALE, c) * d);
    }
  return total;
}

/* The gradient of a pooled plane, spread over the windows; elements left out stay as they are. */
static void spread_plane(float *d, const float *dy, windows w) {
  const float share = 1.0f / (float)(w.lines * w.columns);
  for (int64_t p = 0; p < w.height * w.lines; p++) {
    const float *from = dy + p / w.lines * w.width;
    float *line = d + p * w.stride;
    if (w.columns == 2) {
      for (int64_t q = 0; q < w.width; q++) line[2 * q] = line[2 * q + 1] = from[q] * share;
      continue;
    }
    for (int64_t q = 0; q < w.width; q++)
      for (int64_t j = 0; j < w.columns; j++) line[q * w.columns + j] = from[q] * share;
  }
}

static void clear_plane(dn_tensor *x, int64_t n, int64_t c) {
  const int64_t size = (int64_t)dn_dtype_size(x->dtype);
  memset((char *)dn_tensor_data(x) + (n * x->stride[0] + c * x->stride[1]) * size, 0,
         (size_t)(x->size[2] * x->size[3] * size));
}

static void backward_reference(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                               const dn_tensor *x, const dn_tensor *norm, windows w,
                               bool accumulate) {
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++) {
    sums total = {0, 0};
    for (int64_t n = 0; n < x->size[0]; n++) {
      if (!accumulate) clear_plane(dx, n, c);
      const sums plane = unpool_reference(dx, dy, x, norm, w, n, c);
      total.beta += plane.beta;
      total.gamma += plane.gamma;
    }
    cpu_table_store(dnorm, DN_DNORM_BETA, c, total.beta);
    cpu_table_store(dnorm, DN_DNORM_GAMMA, c, total.gamma);
  }
}

dn_status cpu_norm_relu_pool_backward(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                                      const dn_tensor *x, const dn_tensor *norm, int64_t window_h,
                                      int64_t window_w, bool accumulate) {
  const windows w = windows_of(dy, x, window_h, window_w);
  if (x->dtype != DN_FLOAT || dn_reference()) {
    DN_TRY(cpu_scratch_none());
    backward_reference(dx, dnorm, dy, x, norm, w, accumulate);
    return DN_OK;
  }
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), din = cpu_map_of(dx), pooled = cpu_map_of(dy);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int n_threads = cpu_team(dn_tensor_count(x));
  const int64_t n_plane = cpu_whole_lines(in.planes.size), n_sums = 2 * CPU_SUM_LANES * in.planes.c;
  void *scratch;
  DN_TRY(cpu_scratch((n_threads * n_plane + n_sums) * 4, &scratch));
  float *planes = scratch, *all_sums = planes + n_threads * n_plane;
  memset(scratch, 0, (size_t)(n_threads * n_plane + n_sums) * sizeof *planes);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *d = planes + t * n_plane;
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
