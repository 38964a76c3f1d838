/*
** Batch normalization of one channel: the formulas that every backend shares. Numbers of a channel
** are computed in double; what is done with every element is up to the backends.
** Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
*/
#ifndef DN_BATCHNORM_H
#define DN_BATCHNORM_H

#include <math.h>

#include "dn_shared.h"

/*
** Mean and biased variance from the sums of x - center and of its square over `count` elements. The
** closer the center is to the mean, the fewer digits are lost.
*/
typedef struct dn_moments {
  double mean, variance;
} dn_moments;

DN_SHARED_INLINE dn_moments dn_moments_of(double center, double sum, double squares, double count) {
  const double off = sum / count, variance = squares / count - off * off;
  /* rounding makes less than 0; NaN stays */
  const dn_moments moments = {center + off, variance < 0 ? 0 : variance};
  return moments;
}

DN_SHARED_INLINE double dn_inv_std(double variance, double epsilon) {
  return 1 / sqrt(variance + epsilon);
}

/* Running statistics move towards those of a batch; the variance unbiased. */
DN_SHARED_INLINE double dn_running_mean(double before, double mean, double momentum) {
  return (1 - momentum) * before + momentum * mean;
}

DN_SHARED_INLINE double dn_running_var(double before, double variance, double count,
                                       double momentum) {
  return (1 - momentum) * before + momentum * (variance * count / (count - 1));
}

/*
** y = (x - shift) * scale + offset, for a shift that is the mean as an element's type has it: the
** offset that gives back what this rounding lost.
*/
DN_SHARED_INLINE double dn_norm_offset(double mean, double shift, double scale, double beta) {
  return beta - (mean - shift) * scale;
}

/*
** dx = direct * dy + (slope * (x - mean) + offset), from dbeta = sum dy and product = sum dy (x -
** mean) over `count` elements:
**   dx = gamma inv_std (dy - dbeta / count - xhat dgamma / count), with xhat = (x - mean) inv_std
**   and dgamma = sum dy xhat
** or, where the statistics are constants, dx = gamma inv_std dy.
*/
typedef struct dn_norm_slopes {
  double direct, slope, offset;
} dn_norm_slopes;

DN_SHARED_INLINE dn_norm_slopes dn_norm_slopes_of_batch(double gamma, double inv_std, double dbeta,
                                                        double product, double count) {
  const double direct = gamma * inv_std;
  const dn_norm_slopes slopes = {direct, -direct * inv_std * (product * inv_std) / count,
                                 -direct * dbeta / count};
  return slopes;
}

DN_SHARED_INLINE dn_norm_slopes dn_norm_slopes_of_constants(double gamma, double inv_std) {
  const dn_norm_slopes slopes = {gamma * inv_std, 0, 0};
  return slopes;
}

#endif
