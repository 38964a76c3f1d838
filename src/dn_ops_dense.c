/*
** Front door of the dense layer's operations. Tables are rows over channels, parameters like the
** weights; a digit in a shape is the number of rows.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

enum {
  TABLE = DN_PARAMETER | DN_ROWS,
  VECTOR = DN_PARAMETER | DN_CONTIGUOUS,
  IMAGES = DN_PLANES,
  SOURCE = DN_PLANES | DN_FILLED,
  WEIGHT = VECTOR | DN_FILLED
};

static dn_status check_count(int number, const char *name, int64_t value, int64_t least) {
  if (value >= least) return DN_OK;
  return dn_error_argument(number, "%s is %" PRId64 "; expected %" PRId64 " or more", name, value,
                           least);
}

dn_status dn_channel_stats(dn_tensor *stats, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "NCHW", SOURCE},
                  {1, "stats", stats, "2C", DN_OUT | TABLE}));
  return DN_RUN(channel_stats, stats, x);
}

dn_status dn_norm_table(dn_tensor *norm, dn_tensor *running_mean, dn_tensor *running_var,
                        const dn_tensor *stats, const dn_tensor *gamma, const dn_tensor *beta,
                        int64_t n_values, double momentum, double epsilon) {
  const dn_arg running_mean_row = {2, "running_mean", running_mean, "C",
                                   DN_OUT | VECTOR | DN_OPTIONAL},
               running_var_row = {3, "running_var", running_var, "C",
                                  DN_OUT | VECTOR | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {4, "stats", stats, "2C", TABLE},
                  {5, "gamma", gamma, "C", VECTOR}, {6, "beta", beta, "C", VECTOR},
                  {1, "norm", norm, "4C", DN_OUT | TABLE}, running_mean_row, running_var_row));
  DN_TRY(dn_check_together(&running_mean_row, &running_var_row));
  /* One value has no unbiased variance to move the running one towards. */
  DN_TRY(check_count(7, "number of values a channel", n_values, running_mean ? 2 : 1));
  DN_TRY(dn_check_finite(8, "momentum", momentum, 0));
  DN_TRY(dn_check_finite(9, "epsilon", epsilon, 0));
  return DN_RUN(norm_table, norm, running_mean, running_var, stats, gamma, beta, n_values, momentum,
                epsilon);
}

/* K,C,1,1 or K,C,3,3. */
static dn_status check_kernel(int number, const dn_tensor *weight) {
  const int64_t side = weight->size[2];
  if (side == weight->size[3] && (side == 1 || side == 3)) return DN_OK;
  char got[DN_SHAPE_TEXT];
  return dn_error_argument(number, "weight is %s; expected kernels of 1x1 or 3x3",
                           dn_tensor_shape_text(weight, got));
}

dn_status dn_norm_relu_conv_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                    const dn_tensor *norm, const dn_tensor *weight,
                                    dn_tensor *next_norm, dn_tensor *next_running_mean,
                                    dn_tensor *next_running_var, const dn_tensor *next_stats,
                                    const dn_tensor *next_gamma, const dn_tensor *next_beta,
                                    double momentum, double epsilon) {
  const dn_arg next = {6, "next_norm", next_norm, "4M", DN_OUT | TABLE | DN_OPTIONAL},
               mean_row = {7, "next_running_mean", next_running_mean, "M",
                           DN_OUT | VECTOR | DN_OPTIONAL},
               var_row = {8, "next_running_var", next_running_var, "M",
                          DN_OUT | VECTOR | DN_OPTIONAL},
               stats_row = {9, "next_stats", next_stats, "2M", TABLE | DN_OPTIONAL | DN_AFTERWARDS},
               gamma_row = {10, "next_gamma", next_gamma, "M", VECTOR | DN_OPTIONAL},
               beta_row = {11, "next_beta", next_beta, "M", VECTOR | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {3, "x", x, "NCHW", SOURCE}, {4, "norm", norm, "4C", TABLE},
                  {5, "weight", weight, "KCRS", WEIGHT}, {1, "y", y, "NKHW", DN_OUT | IMAGES},
                  {2, "stats", stats, "2K", DN_OUT | TABLE | DN_OPTIONAL}, stats_row, gamma_row,
                  beta_row, next, mean_row, var_row));
  DN_TRY(check_kernel(5, weight));
  DN_TRY(dn_check_together(&next, &stats_row));
  DN_TRY(dn_check_together(&next, &gamma_row));
  DN_TRY(dn_check_together(&next, &beta_row));
  DN_TRY(dn_check_together(&mean_row, &var_row));
  if (next_running_mean) DN_TRY(dn_check_together(&mean_row, &next));
  DN_TRY(dn_check_finite(12, "momentum", momentum, 0));
  DN_TRY(dn_check_finite(13, "epsilon", epsilon, 0));
  const int64_t n_values = x->size[0] * x->size[2] * x->size[3];
  if (next_norm)
    DN_TRY(check_count(3, "number of values a channel of x", n_values, next_running_mean ? 2 : 1));
  return DN_RUN(norm_relu_conv_forward, y, stats, x, norm, weight, next_norm, next_running_mean,
                next_running_var, next_stats, next_gamma, next_beta, momentum, epsilon);
}

dn_status dn_norm_relu_conv_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                     const dn_tensor *dy, const dn_tensor *y,
                                     const dn_tensor *deferred, const dn_tensor *x,
                                     const dn_tensor *norm, const dn_tensor *weight,
                                     bool accumulate, double scale, dn_tensor *dgamma,
                                     dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const dn_arg y_row = {5, "y", y, "NKHW", IMAGES | DN_OPTIONAL},
               deferred_row = {6, "deferred", deferred, "3K", TABLE | DN_OPTIONAL},
               dgamma_row = {12, "dgamma", dgamma, "C", DN_OUT | VECTOR | DN_OPTIONAL},
               dbeta_row = {13, "dbeta", dbeta, "C", DN_OUT | VECTOR | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {7, "x", x, "NCHW", SOURCE}, {8, "norm", norm, "4C", TABLE},
                  {9, "weight", weight, "KCRS", WEIGHT}, {4, "dy", dy, "NKHW", IMAGES}, y_row,
                  deferred_row, {1, "dx", dx, "NCHW", DN_OUT | IMAGES},
                  {2, "dnorm", dnorm, "2C", DN_OUT | TABLE},
                  {3, "dweight", dweight, "KCRS", DN_OUT | VECTOR | DN_OPTIONAL}, dgamma_row,
                  dbeta_row, {14, "dx_deferred", dx_deferred, "3C", DN_OUT | TABLE | DN_OPTIONAL}));
  DN_TRY(check_kernel(9, weight));
  DN_TRY(dn_check_together(&y_row, &deferred_row));
  DN_TRY(dn_check_together(&dgamma_row, &dbeta_row));
  DN_TRY(dn_check_finite(11, "scale", scale, -INFINITY));
  return DN_RUN(norm_relu_conv_backward, dx, dnorm, dweight, dy, y, deferred, x, norm, weight,
                accumulate, scale, dgamma, dbeta, dx_deferred);
}

/* The windows, numbered from `number` on, fit into the input's planes and give the pooled ones. */
static dn_status check_windows(const dn_arg *pooled, const dn_arg *input, int64_t window_h,
                               int64_t window_w, int number) {
  char got[DN_SHAPE_TEXT], from[DN_SHAPE_TEXT];
  const int64_t window[2] = {window_h, window_w}, *plane = input->tensor->size + 2;
  for (int d = 0; d < 2; d++)
    if (window[d] < 1 || window[d] > plane[d])
      return dn_error_argument(number + d,
                               "window %s is %" PRId64 "; expected 1 to %" PRId64 ", as %s is %s",
                               d ? "width" : "height", window[d], plane[d], input->name,
                               dn_tensor_shape_text(input->tensor, from));
  const int64_t height = plane[0] / window_h, width = plane[1] / window_w;
  if (pooled->tensor->size[2] == height && pooled->tensor->size[3] == width) return DN_OK;
  return dn_error_argument(
      pooled->number, "%s is %s; expected planes of %" PRId64 "x%" PRId64 ", which %s %s gives",
      pooled->name, dn_tensor_shape_text(pooled->tensor, got), height, width, input->name,
      dn_tensor_shape_text(input->tensor, from));
}

dn_status dn_norm_relu_pool_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                    int64_t window_h, int64_t window_w) {
  const dn_arg input = {2, "x", x, "NCHW", SOURCE}, pooled = {1, "y", y, "NCPQ", DN_OUT | IMAGES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, {3, "norm", norm, "4C", TABLE}, pooled));
  DN_TRY(check_windows(&pooled, &input, window_h, window_w, 4));
  return DN_RUN(norm_relu_pool_forward, y, x, norm, window_h, window_w);
}

dn_status dn_norm_relu_pool_backward(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                                     const dn_tensor *x, const dn_tensor *norm, int64_t window_h,
                                     int64_t window_w, bool accumulate, double scale,
                                     dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const dn_arg input = {4, "x", x, "NCHW", SOURCE}, pooled = {3, "dy", dy, "NCPQ", IMAGES},
               dgamma_row = {10, "dgamma", dgamma, "C", DN_OUT | VECTOR | DN_OPTIONAL},
               dbeta_row = {11, "dbeta", dbeta, "C", DN_OUT | VECTOR | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, {5, "norm", norm, "4C", TABLE}, pooled,
                  {1, "dx", dx, "NCHW", DN_OUT | IMAGES}, {2, "dnorm", dnorm, "2C", DN_OUT | TABLE},
                  dgamma_row, dbeta_row,
                  {12, "dx_deferred", dx_deferred, "3C", DN_OUT | TABLE | DN_OPTIONAL}));
  DN_TRY(check_windows(&pooled, &input, window_h, window_w, 6));
  DN_TRY(dn_check_together(&dgamma_row, &dbeta_row));
  DN_TRY(dn_check_finite(9, "scale", scale, -INFINITY));
  return DN_RUN(norm_relu_pool_backward, dx, dnorm, dy, x, norm, window_h, window_w, accumulate,
                scale, dgamma, dbeta, dx_deferred);
}

/* K,C,1,1, as kernels over means are. */
static dn_status check_transition(const dn_arg *pooled, const dn_arg *input, int number,
                                  const dn_tensor *weight) {
  char got[DN_SHAPE_TEXT];
  if (weight->size[2] != 1 || weight->size[3] != 1)
    return dn_error_argument(number, "weight is %s; expected kernels of 1x1",
                             dn_tensor_shape_text(weight, got));
  const int64_t *const plane = input->tensor->size + 2;
  if (plane[0] < 2 || plane[1] < 2)
    return dn_error_argument(input->number, "%s is %s; expected planes of at least 2x2",
                             input->name, dn_tensor_shape_text(input->tensor, got));
  return check_windows(pooled, input, 2, 2, 0);
}

dn_status dn_transition_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                const dn_tensor *norm, const dn_tensor *weight) {
  const dn_arg input = {3, "x", x, "NCHW", SOURCE}, pooled = {1, "y", y, "NKPQ", DN_OUT | IMAGES};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, {4, "norm", norm, "4C", TABLE},
                  {5, "weight", weight, "KCRS", WEIGHT}, pooled,
                  {2, "stats", stats, "2K", DN_OUT | TABLE | DN_OPTIONAL}));
  DN_TRY(check_transition(&pooled, &input, 5, weight));
  return DN_RUN(transition_forward, y, stats, x, norm, weight);
}

dn_status dn_transition_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                 const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                 const dn_tensor *weight, bool accumulate, double scale,
                                 dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred) {
  const dn_arg input = {5, "x", x, "NCHW", SOURCE}, pooled = {4, "dy", dy, "NKPQ", IMAGES},
               dgamma_row = {10, "dgamma", dgamma, "C", DN_OUT | VECTOR | DN_OPTIONAL},
               dbeta_row = {11, "dbeta", dbeta, "C", DN_OUT | VECTOR | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_REAL, input, {6, "norm", norm, "4C", TABLE},
                  {7, "weight", weight, "KCRS", WEIGHT}, pooled,
                  {1, "dx", dx, "NCHW", DN_OUT | IMAGES}, {2, "dnorm", dnorm, "2C", DN_OUT | TABLE},
                  {3, "dweight", dweight, "KCRS", DN_OUT | VECTOR | DN_OPTIONAL}, dgamma_row,
                  dbeta_row, {12, "dx_deferred", dx_deferred, "3C", DN_OUT | TABLE | DN_OPTIONAL}));
  DN_TRY(check_transition(&pooled, &input, 7, weight));
  DN_TRY(dn_check_together(&dgamma_row, &dbeta_row));
  DN_TRY(dn_check_finite(9, "scale", scale, -INFINITY));
  return DN_RUN(transition_backward, dx, dnorm, dweight, dy, x, norm, weight, accumulate, scale,
                dgamma, dbeta, dx_deferred);
}

bool dn_takes_transition(const dn_tensor *x, const dn_tensor *weight) {
  const dn_backend *const backend = x->storage->device->backend;
  return backend->takes_transition && x->n_dim == 4 && x->size[2] > 1 && x->size[3] > 1 &&
         backend->takes_transition(x, weight);
}

dn_status dn_deferred_update(dn_tensor *deferred, const dn_tensor *dnorm, const dn_tensor *norm,
                             int64_t n_values, bool accumulate) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {3, "norm", norm, "4C", TABLE},
                  {2, "dnorm", dnorm, "2C", TABLE},
                  {1, "deferred", deferred, "3C", DN_OUT | TABLE}));
  DN_TRY(check_count(4, "number of values a channel", n_values, 1));
  return DN_RUN(deferred_update, deferred, dnorm, norm, n_values, accumulate);
}

dn_status dn_deferred_apply(dn_tensor *dx, const dn_tensor *x, const dn_tensor *deferred) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "NCHW", SOURCE},
                  {3, "deferred", deferred, "3C", TABLE}, {1, "dx", dx, "NCHW", DN_OUT | IMAGES}));
  return DN_RUN(deferred_apply, dx, x, deferred);
}
