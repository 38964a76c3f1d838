#include "cpu_norm_relu_conv_reference.h"

#include "cpu_norm_table.h"
#include "../cpu_parallel.h"

/* relu(scale x + shift) at (h, w), 0 outside the image. */
static double rectified(const dn_tensor *x, const dn_tensor *norm, int64_t n, int64_t c, int64_t h,
                        int64_t w) {
  if (h < 0 || w < 0 || h >= x->size[2] || w >= x->size[3]) return 0;
  const double v = cpu_norm_apply(norm, c, cpu_plane_load(x, n, c, h * x->size[3] + w));
  return dn_norm_rectify_double(v);
}

static double weight_at(const dn_tensor *weight, int64_t k, int64_t c, int64_t r, int64_t s) {
  const int64_t side = weight->size[2];
  return cpu_load(dn_tensor_data(weight), weight->dtype,
                  ((k * weight->size[1] + c) * side + r) * side + s);
}

void cpu_norm_relu_conv_forward_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                          const dn_tensor *weight) {
  const int64_t side = weight->size[2], border = side / 2, width = x->size[3];
  const int n_threads = cpu_team(dn_tensor_count(y) * weight->size[1]);
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < y->size[0]; n++)
    for (int64_t k = 0; k < y->size[1]; k++)
      for (int64_t p = 0; p < y->size[2] * width; p++) {
        double sum = 0;
        for (int64_t c = 0; c < x->size[1]; c++)
          for (int64_t r = 0; r < side; r++)
            for (int64_t s = 0; s < side; s++)
              sum += weight_at(weight, k, c, r, s) *
                     rectified(x, norm, n, c, p / width + r - border, p % width + s - border);
        cpu_plane_store(y, n, k, p, sum);
      }
}

/* dy with its deferred terms at (h, w), 0 outside the image. */
static double gradient_at(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred,
                          int64_t n, int64_t k, int64_t h, int64_t w) {
  if (h < 0 || w < 0 || h >= dy->size[2] || w >= dy->size[3]) return 0;
  const int64_t p = h * dy->size[3] + w;
  const double value = cpu_plane_load(dy, n, k, p);
  if (!deferred) return value;
  return dn_deferred_add_double(value, cpu_plane_load(y, n, k, p),
                                cpu_table_load(deferred, DN_DEFERRED_OFFSET, k),
                                cpu_table_load(deferred, DN_DEFERRED_SLOPE, k),
                                cpu_table_load(deferred, DN_DEFERRED_MEAN, k));
}

static double weight_gradient(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred,
                              const dn_tensor *x, const dn_tensor *norm, int64_t side, int64_t k,
                              int64_t c, int64_t r, int64_t s) {
  const int64_t width = x->size[3], border = side / 2;
  double sum = 0;
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t p = 0; p < x->size[2] * width; p++)
      sum += gradient_at(dy, y, deferred, n, k, p / width, p % width) *
             rectified(x, norm, n, c, p / width + r - border, p % width + s - border);
  return sum;
}

void cpu_norm_relu_conv_backward_reference(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                           const dn_tensor *dy, const dn_tensor *y,
                                           const dn_tensor *deferred, const dn_tensor *x,
                                           const dn_tensor *norm, const dn_tensor *weight,
                                           bool accumulate, double scale) {
  const int64_t side = weight->size[2], border = side / 2, width = x->size[3];
  const int n_threads = cpu_team(dn_tensor_count(dy) * weight->size[1]);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++) {
    for (int64_t k = 0; dweight && k < dy->size[1]; k++)
      for (int64_t r = 0; r < side; r++)
        for (int64_t s = 0; s < side; s++) {
          const int64_t at = ((k * x->size[1] + c) * side + r) * side + s;
          void *total = dn_tensor_data(dweight);
          const double sum = weight_gradient(dy, y, deferred, x, norm, side, k, c, r, s);
          cpu_store(total, dweight->dtype, at, cpu_load(total, dweight->dtype, at) + scale * sum);
        }
    double dbeta = 0, dgamma = 0;
    for (int64_t n = 0; n < x->size[0]; n++)
      for (int64_t p = 0; p < x->size[2] * width; p++) {
        const double raw = cpu_plane_load(x, n, c, p);
        double d = 0;
        if (cpu_norm_apply(norm, c, raw) > 0)
          for (int64_t k = 0; k < dy->size[1]; k++)
            for (int64_t r = 0; r < side; r++)
              for (int64_t s = 0; s < side; s++)
                d += weight_at(weight, k, c, r, s) * gradient_at(dy, y, deferred, n, k,
                                                                 p / width - r + border,
                                                                 p % width - s + border);
        dbeta += d;
        dgamma += d * cpu_norm_hat(norm, c, raw);
        const double before = accumulate ? cpu_plane_load(dx, n, c, p) : 0;
        cpu_plane_store(dx, n, c, p, before + cpu_table_load(norm, DN_NORM_SCALE, c) * d);
      }
    cpu_table_store(dnorm, DN_DNORM_BETA, c, dbeta);
    cpu_table_store(dnorm, DN_DNORM_GAMMA, c, dgamma);
  }
}
