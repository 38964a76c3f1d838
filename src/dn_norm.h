/*
** Formulas of the dense layer that every backend shares, beside those of dn_batchnorm.h: what the rows
** of its tables mean (dn_ops.def), the vectors of a batch norm, scale-shift-ReLU, and the terms of a
** gradient that are deferred. Numbers of a channel are computed in double, elements in float or double.
*/
#ifndef DN_NORM_H
#define DN_NORM_H

#include <stdint.h>

#include "dn_batchnorm.h"
#include "dn_shared.h"

/* The rows of each table. */
enum { DN_STATS_MEAN, DN_STATS_VAR };
enum { DN_NORM_MEAN, DN_NORM_INV_STD, DN_NORM_SCALE, DN_NORM_SHIFT };
enum { DN_DNORM_BETA, DN_DNORM_GAMMA };
enum { DN_DEFERRED_OFFSET, DN_DEFERRED_SLOPE, DN_DEFERRED_MEAN };

/* ---- One channel ---- */

typedef struct dn_norm_vectors {
  double mean, inv_std, scale, shift;
} dn_norm_vectors;

/* var is the biased variance. */
DN_SHARED_INLINE dn_norm_vectors dn_norm_of_stats(double mean, double var, double gamma,
                                                  double beta, double epsilon) {
  dn_norm_vectors norm;
  norm.mean = mean;
  norm.inv_std = dn_inv_std(var, epsilon);
  norm.scale = gamma * norm.inv_std;
  norm.shift = beta - mean * norm.scale;
  return norm;
}

/* What a batch of n_values leaves of the gradient, given dnorm's two sums. */
DN_SHARED_INLINE double dn_deferred_offset(double scale, double dbeta, int64_t n_values) {
  return -scale * dbeta / (double)n_values;
}

DN_SHARED_INLINE double dn_deferred_slope(double scale, double inv_std, double dgamma,
                                          int64_t n_values) {
  return -scale * dgamma / (double)n_values * inv_std;
}

/* ---- One element ---- */

/* scale x + shift, which the ReLU lets pass where it is above 0; NaN is not. */
DN_SHARED_INLINE float dn_norm_apply_float(float scale, float x, float shift) {
  return scale * x + shift;
}

DN_SHARED_INLINE double dn_norm_apply_double(double scale, double x, double shift) {
  return scale * x + shift;
}

DN_SHARED_INLINE float dn_norm_rectify_float(float v) { return v > 0 ? v : 0; }
DN_SHARED_INLINE double dn_norm_rectify_double(double v) { return v > 0 ? v : 0; }

/* A gradient with its deferred terms, x being the raw value. */
DN_SHARED_INLINE float dn_deferred_add_float(float dx, float x, float offset, float slope,
                                             float mean) {
  return dx + offset + slope * (x - mean);
}

DN_SHARED_INLINE double dn_deferred_add_double(double dx, double x, double offset, double slope,
                                               double mean) {
  return dx + offset + slope * (x - mean);
}

#endif
