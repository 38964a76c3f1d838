#include "cpu_norm_relu_conv.h"

#include <string.h>

cpu_map cpu_map_of(const dn_tensor *tensor) {
  if (!tensor) return (cpu_map){0};
  return (cpu_map){.data = dn_tensor_data(tensor),
                   .planes = cpu_planes_of(tensor),
                   .height = tensor->size[2],
                   .width = tensor->size[3]};
}

cpu_norm cpu_norm_of(const dn_tensor *norm) {
  const float *data = dn_tensor_data(norm);
  const int64_t row = norm->stride[0];
  return (cpu_norm){
      .mean = data, .inv_std = data + row, .scale = data + 2 * row, .shift = data + 3 * row};
}

cpu_deferred cpu_deferred_of(const dn_tensor *deferred) {
  if (!deferred) return (cpu_deferred){0};
  const float *data = dn_tensor_data(deferred);
  const int64_t row = deferred->stride[0];
  return (cpu_deferred){.offset = data, .slope = data + row, .mean = data + 2 * row};
}

cpu_gradient cpu_gradient_of(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred) {
  return (cpu_gradient){
      .dy = cpu_map_of(dy), .y = cpu_map_of(y), .terms = cpu_deferred_of(deferred)};
}

void cpu_gradient_pack(const cpu_tiles *tiles, cpu_gradient gradient, int64_t n, int64_t first,
                       int64_t n_pixels, float *packed, cpu_layout layout) {
  const cpu_planes planes = gradient.dy.planes;
  const float *dy = cpu_map_at(gradient.dy, n, 0) + first;
  if (gradient.terms.offset) {
    tiles->deferred(packed, layout, dy, planes.stride_c, cpu_map_at(gradient.y, n, 0) + first,
                    gradient.y.planes.stride_c, planes.c, n_pixels, gradient.terms);
    return;
  }
  for (int64_t k = 0; k < planes.c; k++)
    for (int64_t p = 0; p < n_pixels; p += CPU_BLOCK) {
      const int64_t n_here = n_pixels - p < CPU_BLOCK ? n_pixels - p : CPU_BLOCK;
      float *to = packed + k * layout.row + p / CPU_BLOCK * layout.block;
      memcpy(to, dy + k * planes.stride_c + p, (size_t)n_here * sizeof *to);
      memset(to + n_here, 0, (size_t)(CPU_BLOCK - n_here) * sizeof *to);
    }
}

cpu_far cpu_map_far(cpu_map map, int64_t n, int64_t first, int64_t n_pixels) {
  if (!map.data) return (cpu_far){0};
  return (cpu_far){.at = cpu_map_at(map, n, 0) + first,
                   .n_rows = map.planes.c,
                   .n_pixels = n_pixels,
                   .stride = map.planes.stride_c};
}

void cpu_moments_write(dn_tensor *stats, const cpu_moments *moments, const int64_t *n_values,
                       int n_shares) {
  float *stats_mean = dn_tensor_data(stats), *variance = stats_mean + stats->stride[0];
  const int64_t n_channels = stats->size[1];
  for (int64_t k = 0; k < n_channels; k++) {
    double count = 0, mean = 0, m2 = 0;
    for (int s = 0; s < n_shares; s++) {
      if (n_values[s] == 0) continue;
      const double n = (double)n_values[s], total = count + n;
      double part_mean, part_m2;
      cpu_moments_result(&moments[s * n_channels + k], n, &part_mean, &part_m2);
      const double distance = part_mean - mean;
      mean += distance * (n / total);
      m2 += part_m2 + distance * distance * (count * n / total);
      count = total;
    }
    stats_mean[k] = (float)mean;
    variance[k] = (float)(m2 / count);
  }
}

const float *cpu_shares_join(float *shares, int64_t share_stride, int64_t n, int n_shares) {
  for (int s = 1; s < n_shares; s++) {
    const float *share = shares + s * share_stride;
    for (int64_t i = 0; i < n; i++) shares[i] += share[i];
  }
  return shares;
}

void cpu_sums_write(dn_tensor *dnorm, const float *sums, int64_t share_stride, int n_shares,
                    cpu_norm norm) {
  float *dbeta = dn_tensor_data(dnorm), *dgamma = dbeta + dnorm->stride[0];
  for (int64_t c = 0; c < dnorm->size[1]; c++) {
    double total[2] = {0, 0};
    for (int which = 0; which < 2; which++)
      for (int s = 0; s < n_shares; s++) {
        const float *lanes = sums + s * share_stride + (2 * c + which) * CPU_SUM_LANES;
        for (int l = 0; l < CPU_SUM_LANES; l++) total[which] += (double)lanes[l];
      }
    dbeta[c] = (float)total[0];
    dgamma[c] = (float)(total[1] * (double)norm.inv_std[c]);
  }
}
