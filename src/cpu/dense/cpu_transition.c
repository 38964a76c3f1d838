/*
** A transition's two operations as reference loops: what other backends do in one pass. On the CPU the
** pooling and the convolution one after the other are the fast way (dn_takes_transition).
*/
#include "../cpu_backend.h"
#include "cpu_norm_gradient.h"
#include "cpu_norm_table.h"
#include "../cpu_parallel.h"

/* The mean of z over the window of pixel p of y. */
static double mean_at(const dn_tensor *x, const dn_tensor *norm, int64_t n, int64_t c, int64_t p) {
  const int64_t width = x->size[3], columns = width / 2;
  const int64_t first = p / columns * 2 * width + p % columns * 2;
  double sum = 0;
  for (int64_t i = 0; i < 4; i++) {
    const double raw = cpu_plane_load(x, n, c, first + i / 2 * width + i % 2);
    sum += dn_norm_rectify_double(cpu_norm_apply(norm, c, raw));
  }
  return sum / 4;
}

static double weight_at(const dn_tensor *weight, int64_t k, int64_t c) {
  return cpu_load(dn_tensor_data(weight), weight->dtype, k * weight->size[1] + c);
}

dn_status cpu_transition_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                 const dn_tensor *norm, const dn_tensor *weight) {
  const int n_threads = cpu_team(dn_tensor_count(y) * weight->size[1]);
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < y->size[0]; n++)
    for (int64_t k = 0; k < y->size[1]; k++)
      for (int64_t p = 0; p < y->size[2] * y->size[3]; p++) {
        double sum = 0;
        for (int64_t c = 0; c < x->size[1]; c++)
          sum += weight_at(weight, k, c) * mean_at(x, norm, n, c, p);
        cpu_plane_store(y, n, k, p, sum);
      }
  return stats ? cpu_channel_stats(stats, y) : DN_OK;
}

static void add_weight_gradient(dn_tensor *dweight, const dn_tensor *dy, const dn_tensor *x,
                                const dn_tensor *norm, int64_t c, double scale) {
  for (int64_t k = 0; k < dy->size[1]; k++) {
    double sum = 0;
    for (int64_t n = 0; n < dy->size[0]; n++)
      for (int64_t p = 0; p < dy->size[2] * dy->size[3]; p++)
        sum += cpu_plane_load(dy, n, k, p) * mean_at(x, norm, n, c, p);
    void *const total = dn_tensor_data(dweight);
    const int64_t at = k * x->size[1] + c;
    cpu_store(total, dweight->dtype, at, cpu_load(total, dweight->dtype, at) + scale * sum);
  }
}

/* The gradient of z at a pixel of x, which the ReLU lets pass; 0 where no window is. */
static double gradient_at(const dn_tensor *dy, const dn_tensor *weight, int64_t n, int64_t c,
                          int64_t line, int64_t column) {
  if (line / 2 >= dy->size[2] || column / 2 >= dy->size[3]) return 0;
  double sum = 0;
  for (int64_t k = 0; k < dy->size[1]; k++)
    sum +=
        weight_at(weight, k, c) * cpu_plane_load(dy, n, k, line / 2 * dy->size[3] + column / 2) / 4;
  return sum;
}

dn_status cpu_transition_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                  const dn_tensor *weight, bool accumulate, double scale,
                                  dn_tensor *dgamma_sum, dn_tensor *dbeta_sum,
                                  dn_tensor *dx_deferred) {
  const int64_t width = x->size[3];
  const int n_threads = cpu_team(dn_tensor_count(dy) * weight->size[1]);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++) {
    if (dweight) add_weight_gradient(dweight, dy, x, norm, c, scale);
    double dbeta = 0, dgamma = 0;
    for (int64_t n = 0; n < x->size[0]; n++)
      for (int64_t p = 0; p < x->size[2] * width; p++) {
        const double raw = cpu_plane_load(x, n, c, p);
        const double d = cpu_norm_apply(norm, c, raw) > 0
                             ? gradient_at(dy, weight, n, c, p / width, p % width)
                             : 0;
        dbeta += d;
        dgamma += d * cpu_norm_hat(norm, c, raw);
        const double before = accumulate ? cpu_plane_load(dx, n, c, p) : 0;
        cpu_plane_store(dx, n, c, p, before + cpu_table_load(norm, DN_NORM_SCALE, c) * d);
      }
    cpu_table_store(dnorm, DN_DNORM_BETA, c, dbeta);
    cpu_table_store(dnorm, DN_DNORM_GAMMA, c, dgamma);
  }
  return cpu_norm_gradient(dgamma_sum, dbeta_sum, dx_deferred, dnorm, x, norm, accumulate, scale);
}
