/*
** Batch normalization, a channel at a time: a thread reads a channel's planes for the sums and
** reads them again for the result while they are still in its cache, so a tensor crosses the memory
** bus once each way.
** Sums are kept in real lanes within a run and in double across runs. Values are summed as
** distances from a guess of the mean (that of the first image's plane), so a large mean costs no
** digits: the guess is an average of a 1/N part of the data, hence its squared distance from the
** mean is at most N variances.
** Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
*/
#include <math.h>

#include "../../dn_batchnorm.h"
#include "cpu_batchnorm_fast.h"
#include "../cpu_parallel.h"
#include "../cpu_planes.h"
#include "../../dn_wide.h"

enum { RUN = 1024 }; /* elements summed in `real` before double takes over */

typedef struct moments {
  double sum, product;
} moments;

/* Sum of x - shift and of its square. */
DN_WIDE static moments moments_of_squares(const real *x, int64_t n, real shift) {
  moments total = {0, 0};
  for (int64_t start = 0; start < n; start += RUN) {
    const int64_t end = start + RUN < n ? start + RUN : n;
    real sum = 0, square = 0;
#pragma omp simd reduction(+ : sum, square)
    for (int64_t i = start; i < end; i++) {
      const real off = x[i] - shift;
      sum += off;
      square += off * off;
    }
    total.sum += (double)sum;
    total.product += (double)square;
  }
  return total;
}

/* Sum of dy and of dy * (x - mean). */
DN_WIDE static moments moments_of_gradient(const real *dy, const real *x, int64_t n, real mean) {
  moments total = {0, 0};
  for (int64_t start = 0; start < n; start += RUN) {
    const int64_t end = start + RUN < n ? start + RUN : n;
    real sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
    for (int64_t i = start; i < end; i++) {
      sum += dy[i];
      product += dy[i] * (x[i] - mean);
    }
    total.sum += (double)sum;
    total.product += (double)product;
  }
  return total;
}

typedef struct affine {
  real shift, scale, offset; /* y = (x - shift) * scale + offset */
} affine;

DN_WIDE static void apply_affine(real *y, const real *x, int64_t n, affine map) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = (x[i] - map.shift) * map.scale + map.offset;
}

/* The map for statistics in double; what rounding the shift to real loses goes to the offset. */
static affine affine_of(double mean, double scale, double beta) {
  const real shift = (real)mean;
  const affine map = {shift, (real)scale, (real)dn_norm_offset(mean, (double)shift, scale, beta)};
  return map;
}

static real parameter(const dn_tensor *vector, int64_t c, real without) {
  return vector ? ((const real *)dn_tensor_data(vector))[c] : without;
}

void CPU_REAL(cpu_batchnorm_forward_fast)(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                          dn_tensor *running_mean, dn_tensor *running_var,
                                          const dn_tensor *x, const dn_tensor *gamma,
                                          const dn_tensor *beta, double momentum, double epsilon) {
  const cpu_planes in = cpu_planes_of(x), out = cpu_planes_of(y);
  const real *const x_data = dn_tensor_data(x);
  real *const y_data = dn_tensor_data(y);
  real *const means = dn_tensor_data(mean), *const inv_stds = dn_tensor_data(inv_std);
  real *const running_means = running_mean ? dn_tensor_data(running_mean) : NULL;
  real *const running_vars = running_var ? dn_tensor_data(running_var) : NULL;
  const double count = (double)(in.n * in.size);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < in.c; c++) {
    const real *const from = x_data + c * in.stride_c;
    const double guess = moments_of_squares(from, in.size, from[0]).sum / (double)in.size;
    const real shift = from[0] + (real)guess;
    moments total = {0, 0};
    for (int64_t n = 0; n < in.n; n++) {
      const moments part = moments_of_squares(from + n * in.stride_n, in.size, shift);
      total.sum += part.sum;
      total.product += part.product;
    }
    const dn_moments found = dn_moments_of((double)shift, total.sum, total.product, count);
    const double channel_inv_std = dn_inv_std(found.variance, epsilon);
    means[c] = (real)found.mean;
    inv_stds[c] = (real)channel_inv_std;
    if (running_means) {
      running_means[c] = (real)dn_running_mean((double)running_means[c], found.mean, momentum);
      running_vars[c] =
          (real)dn_running_var((double)running_vars[c], found.variance, count, momentum);
    }
    const affine map = affine_of(found.mean, (double)parameter(gamma, c, 1) * channel_inv_std,
                                 (double)parameter(beta, c, 0));
    real *const to = y_data + c * out.stride_c;
    for (int64_t n = 0; n < in.n; n++)
      apply_affine(to + n * out.stride_n, from + n * in.stride_n, in.size, map);
  }
}

void CPU_REAL(cpu_batchnorm_inference_forward_fast)(dn_tensor *y, const dn_tensor *x,
                                                    const dn_tensor *running_mean,
                                                    const dn_tensor *running_var,
                                                    const dn_tensor *gamma, const dn_tensor *beta,
                                                    double epsilon) {
  const cpu_planes in = cpu_planes_of(x), out = cpu_planes_of(y);
  const real *const x_data = dn_tensor_data(x);
  real *const y_data = dn_tensor_data(y);
  const real *const means = dn_tensor_data(running_mean);
  const real *const variances = dn_tensor_data(running_var);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for collapse(2) schedule(static) num_threads(n_threads)
  for (int64_t n = 0; n < in.n; n++)
    for (int64_t c = 0; c < in.c; c++) {
      const double scale = (double)parameter(gamma, c, 1) / sqrt((double)variances[c] + epsilon);
      apply_affine(y_data + n * out.stride_n + c * out.stride_c,
                   x_data + n * in.stride_n + c * in.stride_c, in.size,
                   affine_of((double)means[c], scale, (double)parameter(beta, c, 0)));
    }
}

DN_WIDE static void apply_slopes(real *dx, const real *dy, const real *x, int64_t n, real mean,
                                 dn_norm_slopes slopes) {
  const real direct = (real)slopes.direct, slope = (real)slopes.slope;
  const real offset = (real)slopes.offset;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) dx[i] = direct * dy[i] + (slope * (x[i] - mean) + offset);
}

/* Gradients of one channel (dn_batchnorm.h). */
static void backward_channel(real *dx, const real *dy, const real *x, cpu_planes dx_planes,
                             cpu_planes dy_planes, cpu_planes x_planes, real mean, double inv_std,
                             double gamma, bool of_batch, double *dgamma, double *dbeta) {
  moments total = {0, 0};
  for (int64_t n = 0; n < x_planes.n; n++) {
    const moments part = moments_of_gradient(dy + n * dy_planes.stride_n, x + n * x_planes.stride_n,
                                             x_planes.size, mean);
    total.sum += part.sum;
    total.product += part.product;
  }
  *dbeta = total.sum;
  *dgamma = total.product * inv_std;
  const double count = (double)(x_planes.n * x_planes.size);
  const dn_norm_slopes slopes =
      of_batch ? dn_norm_slopes_of_batch(gamma, inv_std, total.sum, total.product, count)
               : dn_norm_slopes_of_constants(gamma, inv_std);
  for (int64_t n = 0; n < x_planes.n; n++)
    apply_slopes(dx + n * dx_planes.stride_n, dy + n * dy_planes.stride_n,
                 x + n * x_planes.stride_n, x_planes.size, mean, slopes);
}

void CPU_REAL(cpu_batchnorm_backward_fast)(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                           const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *mean, const dn_tensor *inv_std,
                                           const dn_tensor *gamma, double scale) {
  const cpu_planes to = cpu_planes_of(dx), gradient = cpu_planes_of(dy), in = cpu_planes_of(x);
  real *const dx_data = dn_tensor_data(dx);
  const real *const dy_data = dn_tensor_data(dy), *const x_data = dn_tensor_data(x);
  const real *const means = dn_tensor_data(mean), *const inv_stds = dn_tensor_data(inv_std);
  real *const dgammas = dgamma ? dn_tensor_data(dgamma) : NULL;
  real *const dbetas = dbeta ? dn_tensor_data(dbeta) : NULL;
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < in.c; c++) {
    double gamma_slope, beta_slope;
    backward_channel(dx_data + c * to.stride_c, dy_data + c * gradient.stride_c,
                     x_data + c * in.stride_c, to, gradient, in, means[c], (double)inv_stds[c],
                     (double)parameter(gamma, c, 1), true, &gamma_slope, &beta_slope);
    if (dgammas) {
      dgammas[c] += (real)(scale * gamma_slope);
      dbetas[c] += (real)(scale * beta_slope);
    }
  }
}

void CPU_REAL(cpu_batchnorm_inference_backward_fast)(
    dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta, const dn_tensor *dy, const dn_tensor *x,
    const dn_tensor *running_mean, const dn_tensor *running_var, const dn_tensor *gamma,
    double epsilon, double scale) {
  const cpu_planes to = cpu_planes_of(dx), gradient = cpu_planes_of(dy), in = cpu_planes_of(x);
  real *const dx_data = dn_tensor_data(dx);
  const real *const dy_data = dn_tensor_data(dy), *const x_data = dn_tensor_data(x);
  const real *const means = dn_tensor_data(running_mean);
  const real *const variances = dn_tensor_data(running_var);
  real *const dgammas = dgamma ? dn_tensor_data(dgamma) : NULL;
  real *const dbetas = dbeta ? dn_tensor_data(dbeta) : NULL;
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < in.c; c++) {
    double gamma_slope, beta_slope;
    backward_channel(dx_data + c * to.stride_c, dy_data + c * gradient.stride_c,
                     x_data + c * in.stride_c, to, gradient, in, means[c],
                     dn_inv_std((double)variances[c], epsilon), (double)parameter(gamma, c, 1),
                     false, &gamma_slope, &beta_slope);
    if (dgammas) {
      dgammas[c] += (real)(scale * gamma_slope);
      dbetas[c] += (real)(scale * beta_slope);
    }
  }
}
