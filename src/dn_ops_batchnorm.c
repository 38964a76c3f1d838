/*
** Front door of batch normalization. The four operations have the same tensors
** in different places, so each one is a table; N,C is N,C,H,W with planes of one element.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

enum { VECTOR = DN_PARAMETER | DN_CONTIGUOUS, MAYBE = VECTOR | DN_OPTIONAL };

static bool is_matrix(const dn_tensor *x) { return x && x->n_dim == 2; }

static const char *shape_of(const dn_tensor *x) { return is_matrix(x) ? "NC" : "NCHW"; }

static unsigned layout_of(const dn_tensor *x) {
  return DN_FILLED | (is_matrix(x) ? DN_CONTIGUOUS : DN_PLANES);
}

dn_status dn_batchnorm_forward(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                               dn_tensor *running_mean, dn_tensor *running_var, const dn_tensor *x,
                               const dn_tensor *gamma, const dn_tensor *beta, double momentum,
                               double epsilon) {
  const char *shape = shape_of(x);
  const unsigned layout = layout_of(x);
  const dn_arg running_mean_row = {4, "running_mean", running_mean, "C", DN_OUT | MAYBE},
               running_var_row = {5, "running_var", running_var, "C", DN_OUT | MAYBE},
               gamma_row = {7, "gamma", gamma, "C", MAYBE},
               beta_row = {8, "beta", beta, "C", MAYBE};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {6, "x", x, shape, layout}, gamma_row, beta_row,
                  {1, "y", y, shape, DN_OUT | layout}, {2, "mean", mean, "C", DN_OUT | VECTOR},
                  {3, "inv_std", inv_std, "C", DN_OUT | VECTOR}, running_mean_row,
                  running_var_row));
  DN_TRY(dn_check_together(&running_mean_row, &running_var_row));
  DN_TRY(dn_check_together(&gamma_row, &beta_row));
  DN_TRY(dn_check_finite(9, "momentum", momentum, 0));
  DN_TRY(dn_check_finite(10, "epsilon", epsilon, 0));
  if (dn_tensor_count(x) == x->size[1]) {
    char got[DN_SHAPE_TEXT];
    return dn_error_argument(6, "x is %s; expected at least 2 values a channel to normalize",
                             dn_tensor_shape_text(x, got));
  }
  return DN_RUN(batchnorm_forward, y, mean, inv_std, running_mean, running_var, x, gamma, beta,
                momentum, epsilon);
}

/* dgamma and dbeta go together, and have something to be the gradient of. */
static dn_status check_affine(const dn_arg *dgamma, const dn_arg *dbeta, const dn_arg *gamma) {
  DN_TRY(dn_check_together(dgamma, dbeta));
  return dgamma->tensor ? dn_check_together(dgamma, gamma) : DN_OK;
}

dn_status dn_batchnorm_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                const dn_tensor *dy, const dn_tensor *x, const dn_tensor *mean,
                                const dn_tensor *inv_std, const dn_tensor *gamma, double scale) {
  const char *shape = shape_of(x);
  const unsigned layout = layout_of(x);
  const dn_arg dgamma_row = {2, "dgamma", dgamma, "C", DN_OUT | MAYBE},
               dbeta_row = {3, "dbeta", dbeta, "C", DN_OUT | MAYBE},
               gamma_row = {8, "gamma", gamma, "C", MAYBE};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {5, "x", x, shape, layout},
                  {4, "dy", dy, shape, layout | DN_IN_PLACE}, {6, "mean", mean, "C", VECTOR},
                  {7, "inv_std", inv_std, "C", VECTOR}, gamma_row,
                  {1, "dx", dx, shape, DN_OUT | layout}, dgamma_row, dbeta_row));
  DN_TRY(check_affine(&dgamma_row, &dbeta_row, &gamma_row));
  DN_TRY(dn_check_finite(9, "scale", scale, -INFINITY));
  return DN_RUN(batchnorm_backward, dx, dgamma, dbeta, dy, x, mean, inv_std, gamma, scale);
}

dn_status dn_batchnorm_inference_forward(dn_tensor *y, const dn_tensor *x,
                                         const dn_tensor *running_mean,
                                         const dn_tensor *running_var, const dn_tensor *gamma,
                                         const dn_tensor *beta, double epsilon) {
  const char *shape = shape_of(x);
  const unsigned layout = layout_of(x);
  const dn_arg gamma_row = {5, "gamma", gamma, "C", MAYBE},
               beta_row = {6, "beta", beta, "C", MAYBE};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, shape, layout},
                  {3, "running_mean", running_mean, "C", VECTOR},
                  {4, "running_var", running_var, "C", VECTOR}, gamma_row, beta_row,
                  {1, "y", y, shape, DN_OUT | layout}));
  DN_TRY(dn_check_together(&gamma_row, &beta_row));
  DN_TRY(dn_check_finite(7, "epsilon", epsilon, 0));
  return DN_RUN(batchnorm_inference_forward, y, x, running_mean, running_var, gamma, beta, epsilon);
}

dn_status dn_batchnorm_inference_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                          const dn_tensor *dy, const dn_tensor *x,
                                          const dn_tensor *running_mean,
                                          const dn_tensor *running_var, const dn_tensor *gamma,
                                          double epsilon, double scale) {
  const char *shape = shape_of(x);
  const unsigned layout = layout_of(x);
  const dn_arg dgamma_row = {2, "dgamma", dgamma, "C", DN_OUT | MAYBE},
               dbeta_row = {3, "dbeta", dbeta, "C", DN_OUT | MAYBE},
               gamma_row = {8, "gamma", gamma, "C", MAYBE};
  DN_TRY(DN_CHECK(
      DN_CLASS_REAL, {5, "x", x, shape, layout}, {4, "dy", dy, shape, layout | DN_IN_PLACE},
      {6, "running_mean", running_mean, "C", VECTOR}, {7, "running_var", running_var, "C", VECTOR},
      gamma_row, {1, "dx", dx, shape, DN_OUT | layout}, dgamma_row, dbeta_row));
  DN_TRY(check_affine(&dgamma_row, &dbeta_row, &gamma_row));
  DN_TRY(dn_check_finite(9, "epsilon", epsilon, 0));
  DN_TRY(dn_check_finite(10, "scale", scale, -INFINITY));
  return DN_RUN(batchnorm_inference_backward, dx, dgamma, dbeta, dy, x, running_mean, running_var,
                gamma, epsilon, scale);
}
