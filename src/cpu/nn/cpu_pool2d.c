/*
** Pooling over windows of a plane; planes are independent and shared among threads. Each loop is
** written once for both dtypes and called with a constant one, from which the compiler makes two.
*/
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../../dn_pool2d.h"
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "cpu_max_pool_plane.h"
#include "../cpu_parallel.h"
#include "../cpu_planes.h"

#define SPECIALIZED static inline __attribute__((always_inline))

typedef struct geometry {
  dn_pool_axis height, width;
  bool counts_padding;
} geometry;

static geometry geometry_of(const dn_tensor *x, const dn_tensor *y, dn_pool2d options) {
  const geometry g = {dn_pool_height(x->size[2], y->size[2], options),
                      dn_pool_width(x->size[3], y->size[3], options), options.count_padding};
  return g;
}

/* The window of output position (p, q) within the input plane, and what an average divides by. */
typedef struct window {
  dn_pool_span lines, columns;
  double divisor;
} window;

static window window_at(const geometry *g, int64_t p, int64_t q) {
  const dn_pool_span tall = dn_pool_window(&g->height, p), wide = dn_pool_window(&g->width, q);
  window w = {dn_pool_inside(&g->height, tall), dn_pool_inside(&g->width, wide), 0};
  const dn_pool_span lines = g->counts_padding ? tall : w.lines;
  const dn_pool_span columns = g->counts_padding ? wide : w.columns;
  w.divisor = (double)((lines.end - lines.begin) * (columns.end - columns.begin));
  return w;
}

static void max_reference(dn_dtype dtype, void *y, int64_t *indices, const void *x,
                          const geometry *g) {
  for (int64_t p = 0; p < g->height.n_out; p++)
    for (int64_t q = 0; q < g->width.n_out; q++) {
      const window w = window_at(g, p, q);
      int64_t where = w.lines.begin * g->width.n_in + w.columns.begin;
      double best = cpu_load(x, dtype, where);
      for (int64_t i = w.lines.begin; i < w.lines.end; i++)
        for (int64_t j = w.columns.begin; j < w.columns.end; j++) {
          const double value = cpu_load(x, dtype, i * g->width.n_in + j);
          const bool wins = value > best || (isnan(value) && !isnan(best));
          best = wins ? value : best;
          where = wins ? i * g->width.n_in + j : where;
        }
      cpu_store(y, dtype, p * g->width.n_out + q, best);
      indices[p * g->width.n_out + q] = where + 1;
    }
}

SPECIALIZED void avg_forward(dn_dtype dtype, void *y, const void *x, const geometry *g) {
  for (int64_t p = 0; p < g->height.n_out; p++)
    for (int64_t q = 0; q < g->width.n_out; q++) {
      const window w = window_at(g, p, q);
      double sum = 0;
      for (int64_t i = w.lines.begin; i < w.lines.end; i++)
        for (int64_t j = w.columns.begin; j < w.columns.end; j++)
          sum += cpu_load(x, dtype, i * g->width.n_in + j);
      cpu_store(y, dtype, p * g->width.n_out + q, sum / w.divisor);
    }
}

SPECIALIZED void avg_backward(dn_dtype dtype, void *dx, const void *dy, const geometry *g) {
  memset(dx, 0, (size_t)(g->height.n_in * g->width.n_in) * dn_dtype_size(dtype));
  for (int64_t p = 0; p < g->height.n_out; p++)
    for (int64_t q = 0; q < g->width.n_out; q++) {
      const window w = window_at(g, p, q);
      const double share = cpu_load(dy, dtype, p * g->width.n_out + q) / w.divisor;
      for (int64_t i = w.lines.begin; i < w.lines.end; i++)
        for (int64_t j = w.columns.begin; j < w.columns.end; j++) {
          const int64_t at = i * g->width.n_in + j;
          cpu_store(dx, dtype, at, cpu_load(dx, dtype, at) + share);
        }
    }
}

/* Plane `plane` of an N,C,H,W tensor, planes counted row-major. */
static void *plane_of(const dn_tensor *x, int64_t plane) {
  const int64_t at = plane / x->size[1] * x->stride[0] + plane % x->size[1] * x->stride[1];
  return (char *)dn_tensor_data(x) + at * (int64_t)dn_dtype_size(x->dtype);
}

static int team(const dn_tensor *x, const dn_tensor *y, const dn_pool2d *options) {
  const int64_t reads = dn_tensor_count(y) * options->kernel_h * options->kernel_w;
  const int64_t count = dn_tensor_count(x);
  return cpu_team(count > reads ? count : reads);
}

dn_status cpu_max_pool2d_forward(dn_tensor *y, dn_tensor *indices, const dn_tensor *x,
                                 dn_pool2d options) {
  const geometry g = geometry_of(x, y, options);
  const int64_t n_planes = x->size[0] * x->size[1];
  const int n_threads = team(x, y, &options);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < n_planes; i++) {
    if (dn_reference())
      max_reference(x->dtype, plane_of(y, i), plane_of(indices, i), plane_of(x, i), &g);
    else
      CPU_REAL_OF(x->dtype, cpu_max_pool_plane)
    (plane_of(y, i), plane_of(indices, i), plane_of(x, i), g.height, g.width);
  }
  return DN_OK;
}

/* Indices come from outside, and a wrong one would write outside the plane. */
static dn_status check_indices(const dn_tensor *indices, int64_t n_places) {
  const int64_t n_planes = indices->size[0] * indices->size[1];
  const int64_t size = indices->size[2] * indices->size[3];
  for (int64_t plane = 0; plane < n_planes; plane++) {
    const int64_t *const index = plane_of(indices, plane);
    for (int64_t i = 0; i < size; i++)
      if (index[i] < 1 || index[i] > n_places)
        return dn_error_argument(
            3, "index %" PRId64 " in plane %" PRId64 "; an input plane has places 1 to %" PRId64,
            index[i], plane + 1, n_places);
  }
  return DN_OK;
}

dn_status cpu_max_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *indices) {
  const int64_t size = dx->size[2] * dx->size[3], out_size = dy->size[2] * dy->size[3];
  DN_TRY(check_indices(indices, size));
  const dn_dtype dtype = dx->dtype;
  const int64_t n_planes = dx->size[0] * dx->size[1];
  const int n_threads = cpu_team(dn_tensor_count(dx));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t plane = 0; plane < n_planes; plane++) {
    void *const to = plane_of(dx, plane);
    const void *const from = plane_of(dy, plane);
    const int64_t *const index = plane_of(indices, plane);
    memset(to, 0, (size_t)size * dn_dtype_size(dtype));
    for (int64_t i = 0; i < out_size; i++) {
      const int64_t at = index[i] - 1;
      cpu_store(to, dtype, at, cpu_load(to, dtype, at) + cpu_load(from, dtype, i));
    }
  }
  return DN_OK;
}

dn_status cpu_avg_pool2d_forward(dn_tensor *y, const dn_tensor *x, dn_pool2d options) {
  const geometry g = geometry_of(x, y, options);
  const int64_t n_planes = x->size[0] * x->size[1];
  const int n_threads = team(x, y, &options);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < n_planes; i++) {
    if (x->dtype == DN_FLOAT)
      avg_forward(DN_FLOAT, plane_of(y, i), plane_of(x, i), &g);
    else
      avg_forward(DN_DOUBLE, plane_of(y, i), plane_of(x, i), &g);
  }
  return DN_OK;
}

dn_status cpu_avg_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, dn_pool2d options) {
  const geometry g = geometry_of(dx, dy, options);
  const int64_t n_planes = dx->size[0] * dx->size[1];
  const int n_threads = team(dx, dy, &options);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < n_planes; i++) {
    if (dx->dtype == DN_FLOAT)
      avg_backward(DN_FLOAT, plane_of(dx, i), plane_of(dy, i), &g);
    else
      avg_backward(DN_DOUBLE, plane_of(dx, i), plane_of(dy, i), &g);
  }
  return DN_OK;
}

dn_status cpu_global_avg_pool_forward(dn_tensor *y, const dn_tensor *x) {
  const int64_t n_planes = x->size[0] * x->size[1], size = x->size[2] * x->size[3];
  const dn_dtype dtype = x->dtype;
  void *const to = dn_tensor_data(y);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t plane = 0; plane < n_planes; plane++) {
    const void *const from = plane_of(x, plane);
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += cpu_load(from, dtype, i);
    cpu_store(to, dtype, plane, sum / (double)size);
  }
  return DN_OK;
}

dn_status cpu_global_avg_pool_backward(dn_tensor *dx, const dn_tensor *dy) {
  const int64_t n_planes = dx->size[0] * dx->size[1], size = dx->size[2] * dx->size[3];
  const dn_dtype dtype = dx->dtype;
  const void *const from = dn_tensor_data(dy);
  const int n_threads = cpu_team(dn_tensor_count(dx));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t plane = 0; plane < n_planes; plane++) {
    void *const to = plane_of(dx, plane);
    const double share = cpu_load(from, dtype, plane) / (double)size;
    for (int64_t i = 0; i < size; i++) cpu_store(to, dtype, i, share);
  }
  return DN_OK;
}
