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

void cpu_gradient_rows(const cpu_tiles *tiles, cpu_gradient gradient, int64_t n, int64_t first,
                       int64_t n_pixels, float *rows, int64_t stride) {
  const cpu_planes planes = gradient.dy.planes;
  const float *dy = cpu_map_at(gradient.dy, n, 0) + first;
  if (gradient.terms.offset) {
    tiles->deferred(rows, stride, dy, planes.stride_c, cpu_map_at(gradient.y, n, 0) + first,
                    gradient.y.planes.stride_c, planes.c, n_pixels, gradient.terms);
    return;
  }
  const int64_t n_end = (n_pixels + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
  for (int64_t k = 0; k < planes.c; k++) {
    memcpy(rows + k * stride, dy + k * planes.stride_c, (size_t)n_pixels * sizeof *rows);
    memset(rows + k * stride + n_pixels, 0, (size_t)(n_end - n_pixels) * sizeof *rows);
  }
}

void cpu_moment_join(cpu_moment *into, double count, double mean, double m2) {
  if (count == 0) return;
  const double total = into->count + count, distance = mean - into->mean;
  into->mean += distance * (count / total);
  into->m2 += m2 + distance * distance * (into->count * count / total);
  into->count = total;
}

void cpu_moments_write(dn_tensor *stats, const cpu_moment *moments, int n_threads) {
  float *mean = dn_tensor_data(stats), *variance = mean + stats->stride[0];
  const int64_t n_channels = stats->size[1];
  for (int64_t k = 0; k < n_channels; k++) {
    cpu_moment all = {0};
    for (int t = 0; t < n_threads; t++) {
      const cpu_moment *part = &moments[t * n_channels + k];
      cpu_moment_join(&all, part->count, part->mean, part->m2);
    }
    mean[k] = (float)all.mean;
    variance[k] = (float)(all.m2 / all.count);
  }
}

void cpu_sums_write(dn_tensor *dnorm, const float *sums, int64_t thread_stride, int n_threads) {
  float *out = dn_tensor_data(dnorm);
  for (int64_t c = 0; c < dnorm->size[1]; c++)
    for (int which = 0; which < 2; which++) {
      double total = 0;
      for (int t = 0; t < n_threads; t++) {
        const float *lanes = sums + t * thread_stride + (2 * c + which) * CPU_SUM_LANES;
        for (int l = 0; l < CPU_SUM_LANES; l++) total += (double)lanes[l];
      }
      out[which * dnorm->stride[0] + c] = (float)total;
    }
}
