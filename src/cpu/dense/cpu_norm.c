/*
** Batch norms as tables, and the terms of their gradients that wait: statistics of a channel are
** taken once, when it is born, and the part of a batch norm's gradient that is the same for a whole
** channel is added once, when the channel's gradient is read. All but channel_stats and
** deferred_apply is only as long as the number of channels.
*/
#include "../cpu_backend.h"
#include "cpu_norm_fast.h"
#include "cpu_norm_table.h"
#include "../cpu_parallel.h"

static void channel_stats_reference(dn_tensor *stats, const dn_tensor *x) {
  const int64_t size = x->size[2] * x->size[3];
  const double count = (double)(x->size[0] * size);
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t c = 0; c < x->size[1]; c++) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < x->size[0]; n++)
      for (int64_t p = 0; p < size; p++) sum += cpu_plane_load(x, n, c, p);
    for (int64_t n = 0; n < x->size[0]; n++)
      for (int64_t p = 0; p < size; p++) {
        const double off = cpu_plane_load(x, n, c, p) - sum / count;
        squares += off * off;
      }
    cpu_table_store(stats, DN_STATS_MEAN, c, sum / count);
    cpu_table_store(stats, DN_STATS_VAR, c, squares / count);
  }
}

dn_status cpu_channel_stats(dn_tensor *stats, const dn_tensor *x) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    channel_stats_reference(stats, x);
  else
    CPU_REAL_OF(x->dtype, cpu_channel_stats_fast)(stats, x);
  return DN_OK;
}

dn_status cpu_norm_table(dn_tensor *norm, dn_tensor *running_mean, dn_tensor *running_var,
                         const dn_tensor *stats, const dn_tensor *gamma, const dn_tensor *beta,
                         int64_t n_values, double momentum, double epsilon) {
  for (int64_t c = 0; c < norm->size[1]; c++) {
    const double mean = cpu_table_load(stats, DN_STATS_MEAN, c);
    const double var = cpu_table_load(stats, DN_STATS_VAR, c);
    const dn_norm_vectors own =
        dn_norm_of_stats(mean, var, cpu_load(dn_tensor_data(gamma), gamma->dtype, c),
                         cpu_load(dn_tensor_data(beta), beta->dtype, c), epsilon);
    cpu_table_store(norm, DN_NORM_MEAN, c, own.mean);
    cpu_table_store(norm, DN_NORM_INV_STD, c, own.inv_std);
    cpu_table_store(norm, DN_NORM_SCALE, c, own.scale);
    cpu_table_store(norm, DN_NORM_SHIFT, c, own.shift);
    if (!running_mean) continue;
    void *const means = dn_tensor_data(running_mean), *const vars = dn_tensor_data(running_var);
    const dn_dtype dtype = running_mean->dtype;
    cpu_store(means, dtype, c, dn_running_mean(cpu_load(means, dtype, c), mean, momentum));
    cpu_store(vars, dtype, c,
              dn_running_var(cpu_load(vars, dtype, c), var, (double)n_values, momentum));
  }
  return DN_OK;
}

dn_status cpu_deferred_update(dn_tensor *deferred, const dn_tensor *dnorm, const dn_tensor *norm,
                              int64_t n_values, bool accumulate) {
  for (int64_t c = 0; c < norm->size[1]; c++) {
    const double scale = cpu_table_load(norm, DN_NORM_SCALE, c);
    const double inv_std = cpu_table_load(norm, DN_NORM_INV_STD, c);
    const double offset =
        dn_deferred_offset(scale, cpu_table_load(dnorm, DN_DNORM_BETA, c), n_values);
    const double slope =
        dn_deferred_slope(scale, inv_std, cpu_table_load(dnorm, DN_DNORM_GAMMA, c), n_values);
    const double offset_before = accumulate ? cpu_table_load(deferred, DN_DEFERRED_OFFSET, c) : 0;
    const double slope_before = accumulate ? cpu_table_load(deferred, DN_DEFERRED_SLOPE, c) : 0;
    cpu_table_store(deferred, DN_DEFERRED_OFFSET, c, offset_before + offset);
    cpu_table_store(deferred, DN_DEFERRED_SLOPE, c, slope_before + slope);
    cpu_table_store(deferred, DN_DEFERRED_MEAN, c, cpu_table_load(norm, DN_NORM_MEAN, c));
  }
  return DN_OK;
}

static void deferred_apply_reference(dn_tensor *dx, const dn_tensor *x, const dn_tensor *deferred) {
  const int64_t size = x->size[2] * x->size[3];
  const int n_threads = cpu_team(dn_tensor_count(x));
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t c = 0; c < x->size[1]; c++) {
      const double offset = cpu_table_load(deferred, DN_DEFERRED_OFFSET, c);
      const double slope = cpu_table_load(deferred, DN_DEFERRED_SLOPE, c);
      const double mean = cpu_table_load(deferred, DN_DEFERRED_MEAN, c);
      for (int64_t p = 0; p < size; p++)
        cpu_plane_store(dx, n, c, p,
                        dn_deferred_add_double(cpu_plane_load(dx, n, c, p),
                                               cpu_plane_load(x, n, c, p), offset, slope, mean));
    }
}

dn_status cpu_deferred_apply(dn_tensor *dx, const dn_tensor *x, const dn_tensor *deferred) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    deferred_apply_reference(dx, x, deferred);
  else
    CPU_REAL_OF(x->dtype, cpu_deferred_apply_fast)(dx, x, deferred);
  return DN_OK;
}
