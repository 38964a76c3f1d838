#include "cpu_batchnorm_reference.h"

#include <math.h>

#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../cpu_planes.h"

/* Element c of a vector, or `without` where the argument was left out. */
static double parameter(const dn_tensor *vector, int64_t c, double without) {
  return vector ? cpu_load(dn_tensor_data(vector), vector->dtype, c) : without;
}

static void add_to(dn_tensor *vector, int64_t c, double value) {
  void *const data = dn_tensor_data(vector);
  cpu_store(data, vector->dtype, c, cpu_load(data, vector->dtype, c) + value);
}

/* Element i of plane (n, c). */
static int64_t place(const cpu_planes *planes, int64_t n, int64_t c, int64_t i) {
  return n * planes->stride_n + c * planes->stride_c + i;
}

static void normalize(dn_tensor *y, const dn_tensor *x, int64_t c, double mean, double scale,
                      double offset) {
  const cpu_planes in = cpu_planes_of(x), out = cpu_planes_of(y);
  const void *const from = dn_tensor_data(x);
  void *const to = dn_tensor_data(y);
  for (int64_t n = 0; n < in.n; n++)
    for (int64_t i = 0; i < in.size; i++) {
      const double value = cpu_load(from, x->dtype, place(&in, n, c, i));
      cpu_store(to, y->dtype, place(&out, n, c, i), (value - mean) * scale + offset);
    }
}

void cpu_batchnorm_forward_reference(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                     dn_tensor *running_mean, dn_tensor *running_var,
                                     const dn_tensor *x, const dn_tensor *gamma,
                                     const dn_tensor *beta, double momentum, double epsilon) {
  const cpu_planes in = cpu_planes_of(x);
  const void *const from = dn_tensor_data(x);
  const double count = (double)(in.n * in.size);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < in.c; c++) {
    double sum = 0;
    for (int64_t n = 0; n < in.n; n++)
      for (int64_t i = 0; i < in.size; i++) sum += cpu_load(from, x->dtype, place(&in, n, c, i));
    const double center = sum / count;
    double square = 0;
    for (int64_t n = 0; n < in.n; n++)
      for (int64_t i = 0; i < in.size; i++) {
        const double off = cpu_load(from, x->dtype, place(&in, n, c, i)) - center;
        square += off * off;
      }
    const double scale = 1 / sqrt(square / count + epsilon);
    cpu_store(dn_tensor_data(mean), mean->dtype, c, center);
    cpu_store(dn_tensor_data(inv_std), inv_std->dtype, c, scale);
    if (running_mean) {
      add_to(running_mean, c, momentum * (center - parameter(running_mean, c, 0)));
      add_to(running_var, c, momentum * (square / (count - 1) - parameter(running_var, c, 0)));
    }
    normalize(y, x, c, center, parameter(gamma, c, 1) * scale, parameter(beta, c, 0));
  }
}

void cpu_batchnorm_inference_forward_reference(dn_tensor *y, const dn_tensor *x,
                                               const dn_tensor *running_mean,
                                               const dn_tensor *running_var, const dn_tensor *gamma,
                                               const dn_tensor *beta, double epsilon) {
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++) {
    const double inv_std = 1 / sqrt(parameter(running_var, c, 1) + epsilon);
    normalize(y, x, c, parameter(running_mean, c, 0), parameter(gamma, c, 1) * inv_std,
              parameter(beta, c, 0));
  }
}

/* The chain rule for one channel; `of_batch`: the statistics depend on x. */
static void backward_channel(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                             const dn_tensor *dy, const dn_tensor *x, int64_t c, double mean,
                             double inv_std, double gamma, bool of_batch, double scale) {
  const cpu_planes in = cpu_planes_of(x), from = cpu_planes_of(dy), to = cpu_planes_of(dx);
  const void *const x_data = dn_tensor_data(x), *const dy_data = dn_tensor_data(dy);
  const double count = (double)(in.n * in.size);
  double gamma_slope = 0, beta_slope = 0;
  for (int64_t n = 0; n < in.n; n++)
    for (int64_t i = 0; i < in.size; i++) {
      const double xhat = (cpu_load(x_data, x->dtype, place(&in, n, c, i)) - mean) * inv_std;
      const double slope = cpu_load(dy_data, dy->dtype, place(&from, n, c, i));
      gamma_slope += slope * xhat;
      beta_slope += slope;
    }
  for (int64_t n = 0; n < in.n; n++)
    for (int64_t i = 0; i < in.size; i++) {
      const double xhat = (cpu_load(x_data, x->dtype, place(&in, n, c, i)) - mean) * inv_std;
      const double slope = cpu_load(dy_data, dy->dtype, place(&from, n, c, i));
      const double common = of_batch ? (beta_slope + xhat * gamma_slope) / count : 0;
      cpu_store(dn_tensor_data(dx), dx->dtype, place(&to, n, c, i),
                gamma * inv_std * (slope - common));
    }
  if (dgamma) {
    add_to(dgamma, c, scale * gamma_slope);
    add_to(dbeta, c, scale * beta_slope);
  }
}

void cpu_batchnorm_backward_reference(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                      const dn_tensor *dy, const dn_tensor *x,
                                      const dn_tensor *mean, const dn_tensor *inv_std,
                                      const dn_tensor *gamma, double scale) {
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++)
    backward_channel(dx, dgamma, dbeta, dy, x, c, parameter(mean, c, 0), parameter(inv_std, c, 1),
                     parameter(gamma, c, 1), true, scale);
}

void cpu_batchnorm_inference_backward_reference(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                                const dn_tensor *dy, const dn_tensor *x,
                                                const dn_tensor *running_mean,
                                                const dn_tensor *running_var,
                                                const dn_tensor *gamma, double epsilon,
                                                double scale) {
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++)
    backward_channel(dx, dgamma, dbeta, dy, x, c, parameter(running_mean, c, 0),
                     1 / sqrt(parameter(running_var, c, 1) + epsilon), parameter(gamma, c, 1),
                     false, scale);
}
