/*
** Results from the sums of each share of the work. Shares are joined in their order,
** so a fixed number of threads gives fixed bits (cpu_parallel.h).
*/
#ifndef CPU_SHARES_H
#define CPU_SHARES_H

#include "../../dn_tensor.h"
#include "../cpu_parallel.h"
#include "../tiles/cpu_tiles.h"

/* Shares of a sum of n values each: fewer where many would take more memory than their balance is worth. */
static inline int cpu_shares_of_sums(int n_threads, int64_t n) {
  const int64_t many = 1 << 15;
  return n > many ? n_threads : cpu_shares(n_threads);
}

/* What a share does with a unit; `next` is the one behind it in the share, or itself at the end. */
typedef void cpu_unit_work(const void *call, int share, int64_t unit, int64_t next);

/* All units, share by share, as the threads get free. */
#define cpu_shares_work CPU_REAL(cpu_shares_work)
void cpu_shares_work(const void *call, cpu_unit_work *work, int64_t n_units, int n_shares,
                     int n_threads);

#define cpu_moments_write CPU_REAL(cpu_moments_write)
#define cpu_shares_join CPU_REAL(cpu_shares_join)
#define cpu_sums_write CPU_REAL(cpu_sums_write)

/*
** stats 2,K: mean and biased variance of channel k from moments[share * n_channels + k], of
** n_values[share] values each.
** Source: Chan, Golub & LeVeque 1983.
*/
void cpu_moments_write(dn_tensor *stats, const cpu_moments *moments, const int64_t *n_values,
                       int n_shares);

/* The first n values of all shares, added up into the first share's; returns them. */
const real *cpu_shares_join(real *shares, int64_t share_stride, int64_t n, int n_shares);

/*
** dnorm 2,C: dbeta and dgamma from the sums of each share, laid out as cpu_tiles.norm_relu_backward has
** them.
*/
void cpu_sums_write(dn_tensor *dnorm, const real *sums, int64_t share_stride, int n_shares,
                    cpu_norm norm);

#endif
