#include "cpu_shares.h"

void cpu_shares_work(const void *call, cpu_unit_work *work, int64_t n_units, int n_shares,
                     int n_threads) {
  cpu_queue queue = {0};
  (void)n_threads; /* unused without OpenMP */
#pragma omp parallel num_threads(n_threads)
  for (int s; (s = cpu_next(&queue)) < n_shares;) {
    int64_t unit, end;
    cpu_share(n_units, n_shares, s, &unit, &end);
    for (; unit < end; unit++) work(call, s, unit, unit + 1 < end ? unit + 1 : unit);
  }
}

void cpu_moments_write(dn_tensor *stats, const cpu_moments *moments, const int64_t *n_values,
                       int n_shares) {
  real *stats_mean = dn_tensor_data(stats), *variance = stats_mean + stats->stride[0];
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
    stats_mean[k] = (real)mean;
    variance[k] = (real)(m2 / count);
  }
}

const real *cpu_shares_join(real *shares, int64_t share_stride, int64_t n, int n_shares) {
  const int64_t run =
      1 << 12; /* values that stay in the nearest cache until all shares are in them */
  const int n_threads = cpu_team(n * n_shares);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t begin = 0; begin < n; begin += run) {
    const int64_t end = begin + run < n ? begin + run : n;
    for (int s = 1; s < n_shares; s++) {
      const real *share = shares + s * share_stride;
      for (int64_t i = begin; i < end; i++) shares[i] += share[i];
    }
  }
  return shares;
}

/* The lanes of all shares, added up share by share, then lane by lane. */
static double sum_of_lanes(const real *lanes, int64_t share_stride, int n_shares) {
  double of_lane[CPU_SUM_LANES] = {0}, total = 0;
  for (int s = 0; s < n_shares; s++)
    for (int l = 0; l < CPU_SUM_LANES; l++) of_lane[l] += (double)lanes[s * share_stride + l];
  for (int l = 0; l < CPU_SUM_LANES; l++) total += of_lane[l];
  return total;
}

void cpu_sums_write(dn_tensor *dnorm, const real *sums, int64_t share_stride, int n_shares,
                    cpu_norm norm) {
  real *dbeta = dn_tensor_data(dnorm), *dgamma = dbeta + dnorm->stride[0];
  for (int64_t c = 0; c < dnorm->size[1]; c++) {
    const real *lanes = sums + 2 * c * CPU_SUM_LANES;
    dbeta[c] = (real)sum_of_lanes(lanes, share_stride, n_shares);
    dgamma[c] = (real)(sum_of_lanes(lanes + CPU_SUM_LANES, share_stride, n_shares) *
                       (double)norm.inv_std[c]);
  }
}
