#include "cpu_shares.h"

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
  for (int s = 1; s < n_shares; s++) {
    const real *share = shares + s * share_stride;
    for (int64_t i = 0; i < n; i++) shares[i] += share[i];
  }
  return shares;
}

void cpu_sums_write(dn_tensor *dnorm, const real *sums, int64_t share_stride, int n_shares,
                    cpu_norm norm) {
  real *dbeta = dn_tensor_data(dnorm), *dgamma = dbeta + dnorm->stride[0];
  for (int64_t c = 0; c < dnorm->size[1]; c++) {
    double total[2] = {0, 0};
    for (int which = 0; which < 2; which++)
      for (int s = 0; s < n_shares; s++) {
        const real *lanes = sums + s * share_stride + (2 * c + which) * CPU_SUM_LANES;
        for (int l = 0; l < CPU_SUM_LANES; l++) total[which] += (double)lanes[l];
      }
    dbeta[c] = (real)total[0];
    dgamma[c] = (real)(total[1] * (double)norm.inv_std[c]);
  }
}
