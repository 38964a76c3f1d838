/*
** Scale-shift-ReLU and the mean over windows: a transition's pooling (windows of 2x2, taken before
** its 1x1 convolution, with which it commutes) and the network's last (one window, the plane).
** Windows do not overlap; lines and columns that fill none are left out.
*/
#include <string.h>

#include "../cpu_backend.h"
#include "cpu_norm_gradient.h"
#include "cpu_norm_relu_pool_fast.h"
#include "cpu_norm_table.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"

static void pool_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm, cpu_windows w,
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

static void forward_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                              cpu_windows w) {
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t c = 0; c < x->size[1]; c++) pool_reference(y, x, norm, w, n, c);
}

dn_status cpu_norm_relu_pool_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                     int64_t window_h, int64_t window_w) {
  const cpu_windows w = cpu_windows_of(y, x, window_h, window_w);
  if (!cpu_is_real(x->dtype) || dn_reference())
    forward_reference(y, x, norm, w);
  else
    CPU_REAL_OF(x->dtype, cpu_norm_relu_pool_forward_fast)(y, x, norm, w);
  return DN_OK;
}

typedef struct sums {
  double beta, gamma;
} sums;

static sums unpool_reference(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *x,
                             const dn_tensor *norm, cpu_windows w, int64_t n, int64_t c) {
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

static void clear_plane(dn_tensor *x, int64_t n, int64_t c) {
  const int64_t size = (int64_t)dn_dtype_size(x->dtype);
  memset((char *)dn_tensor_data(x) + (n * x->stride[0] + c * x->stride[1]) * size, 0,
         (size_t)(x->size[2] * x->size[3] * size));
}

static void backward_reference(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                               const dn_tensor *x, const dn_tensor *norm, cpu_windows w,
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
                                      int64_t window_w, bool accumulate, double scale,
                                      dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const cpu_windows w = cpu_windows_of(dy, x, window_h, window_w);
  if (cpu_is_real(x->dtype) && !dn_reference()) {
    DN_TRY(CPU_REAL_OF(x->dtype, cpu_norm_relu_pool_backward_fast)(dx, dnorm, dy, x, norm, w,
                                                                   accumulate));
  } else {
    DN_TRY(cpu_scratch_none());
    backward_reference(dx, dnorm, dy, x, norm, w, accumulate);
  }
  return cpu_norm_gradient(dgamma, dbeta, dx_deferred, dnorm, x, norm, accumulate, scale);
}
