/*
** What becomes of a norm's two sums in the launch that ends them: dnorm, the gradients of weight and bias,
** and the terms that the gradient of the norm's input still lacks (dn_ops.def). The halves that beta's and
** gamma's sums make need nothing of each other, so that threads may share them.
*/
#ifndef CUDA_NORM_GRADIENT_H
#define CUDA_NORM_GRADIENT_H

#include "cuda_norm.h"

/* The tensors and numbers, as the backwards of norm_relu_conv and norm_relu_pool have them. */
typedef struct cuda_norm_gradient {
  dn_tensor *dnorm, *dgamma, *dbeta, *dx_deferred; /* all but dnorm: NULL where left out */
  const dn_tensor *norm;
  int64_t n_values; /* of a channel */
  bool accumulate;
  double scale;
} cuda_norm_gradient;

/* Of a norm of x N,C,H,W. */
static inline cuda_norm_gradient cuda_norm_gradient_of(dn_tensor *dnorm, const dn_tensor *x,
                                                       const dn_tensor *norm, bool accumulate,
                                                       double scale, dn_tensor *dgamma,
                                                       dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const cuda_norm_gradient gradient = {dnorm,       dgamma, dbeta,
                                       dx_deferred, norm,   x->size[0] * x->size[2] * x->size[3],
                                       accumulate,  scale};
  return gradient;
}

/* ---- Deferred terms ---- */

template <typename T>
struct cuda_deferral {
  cuda_table<T> terms, norm;
  int64_t n_values;
  bool accumulate; /* to terms */
};

/* The offset of channel c, which dbeta makes, and the mean. */
template <typename T>
__device__ static inline void cuda_defer_beta(const cuda_deferral<T> &d, int64_t c, T dbeta) {
  T *const offset = &d.terms.data[DN_DEFERRED_OFFSET * d.terms.row + c];
  const double scale = d.norm.data[DN_NORM_SCALE * d.norm.row + c];
  const double before = d.accumulate ? *offset : 0;
  cuda_round(offset, before + dn_deferred_offset(scale, dbeta, d.n_values));
  d.terms.data[DN_DEFERRED_MEAN * d.terms.row + c] = d.norm.data[DN_NORM_MEAN * d.norm.row + c];
}

/* The slope of channel c, which dgamma makes. */
template <typename T>
__device__ static inline void cuda_defer_gamma(const cuda_deferral<T> &d, int64_t c, T dgamma) {
  T *const slope = &d.terms.data[DN_DEFERRED_SLOPE * d.terms.row + c];
  const double scale = d.norm.data[DN_NORM_SCALE * d.norm.row + c];
  const double inv_std = d.norm.data[DN_NORM_INV_STD * d.norm.row + c];
  const double before = d.accumulate ? *slope : 0;
  cuda_round(slope, before + dn_deferred_slope(scale, inv_std, dgamma, d.n_values));
}

/* ---- All of it ---- */

/* A cuda_norm_gradient as kernels are given it, by value. */
template <typename T>
struct cuda_norm_outputs {
  cuda_table<T> dnorm;
  T *dgamma, *dbeta; /* NULL: frozen */
  T scale;
  cuda_deferral<T> deferral; /* without terms.data nothing is deferred */
};

template <typename T>
static inline cuda_norm_outputs<T> cuda_norm_outputs_of(const cuda_norm_gradient &gradient) {
  cuda_norm_outputs<T> to;
  memset((void *)&to, 0, sizeof to);
  to.dnorm = cuda_table_of<T>(gradient.dnorm);
  if (gradient.dgamma) {
    to.dgamma = (T *)dn_tensor_data(gradient.dgamma);
    to.dbeta = (T *)dn_tensor_data(gradient.dbeta);
  }
  to.scale = (T)gradient.scale;
  if (gradient.dx_deferred) to.deferral.terms = cuda_table_of<T>(gradient.dx_deferred);
  to.deferral.norm = cuda_table_of<T>(gradient.norm);
  to.deferral.n_values = gradient.n_values;
  to.deferral.accumulate = gradient.accumulate;
  return to;
}

/* sum: of dz over channel c. What is made of it is made of the number that dnorm keeps. */
template <typename T>
__device__ static inline void cuda_norm_end_beta(const cuda_norm_outputs<T> &to, int64_t c,
                                                 double sum) {
  T dbeta;
  cuda_round(&dbeta, sum);
  to.dnorm.data[DN_DNORM_BETA * to.dnorm.row + c] = dbeta;
  if (to.dbeta) to.dbeta[c] += to.scale * dbeta;
  if (to.deferral.terms.data) cuda_defer_beta(to.deferral, c, dbeta);
}

/* products: the sum of dz (x - mean), which lacks its inv_std. */
template <typename T>
__device__ static inline void cuda_norm_end_gamma(const cuda_norm_outputs<T> &to, int64_t c,
                                                  double products) {
  const cuda_table<T> &norm = to.deferral.norm;
  const double inv_std = norm.data[DN_NORM_INV_STD * norm.row + c];
  T dgamma;
  cuda_round(&dgamma, products * inv_std);
  to.dnorm.data[DN_DNORM_GAMMA * to.dnorm.row + c] = dgamma;
  if (to.dgamma) to.dgamma[c] += to.scale * dgamma;
  if (to.deferral.terms.data) cuda_defer_gamma(to.deferral, c, dgamma);
}

#endif
