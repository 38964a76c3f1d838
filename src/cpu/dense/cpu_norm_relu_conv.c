/* Dispatch of norm_relu_conv: the convolution engine (conv/cpu_conv_engine.h) for 1x1 and 3x3, reference loops otherwise. */
#include "../cpu_backend.h"
#include "../conv/cpu_conv_engine.h"
#include "cpu_norm_gradient.h"
#include "cpu_norm_relu_conv_reference.h"
#include "../cpu_scratch.h"

/* The fast loops step through weights, and through bordered lines, by 32-bit numbers. */
static bool is_fast(const dn_tensor *x, const dn_tensor *weight) {
  const int64_t most = weight->size[0] > weight->size[1] ? weight->size[0] : weight->size[1];
  return cpu_is_real(x->dtype) && !dn_reference() && dn_tensor_count(weight) <= INT32_MAX &&
         x->size[3] <= (INT32_MAX / most - 128) / 3;
}

/* 1x1, or 3x3 padded by 1. */
static dn_conv2d options_of(const dn_tensor *weight) {
  const int pad = (int)weight->size[2] / 2;
  return (dn_conv2d){.stride_h = 1, .stride_w = 1, .pad_h = pad, .pad_w = pad, .groups = 1};
}

/* All but the next norm's table. */
static dn_status forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x, const dn_tensor *norm,
                         const dn_tensor *weight) {
  if (is_fast(x, weight)) {
    const cpu_conv_forward call = {.y = y,
                                   .stats = stats,
                                   .x = x,
                                   .norm = norm,
                                   .weight = weight,
                                   .options = options_of(weight)};
    return cpu_conv_engine_forward(&call);
  }
  DN_TRY(cpu_scratch_none());
  cpu_norm_relu_conv_forward_reference(y, x, norm, weight);
  return stats ? cpu_channel_stats(stats, y) : DN_OK;
}

dn_status cpu_norm_relu_conv_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                     const dn_tensor *norm, const dn_tensor *weight,
                                     dn_tensor *next_norm, dn_tensor *next_running_mean,
                                     dn_tensor *next_running_var, const dn_tensor *next_stats,
                                     const dn_tensor *next_gamma, const dn_tensor *next_beta,
                                     double momentum, double epsilon) {
  DN_TRY(forward(y, stats, x, norm, weight));
  if (!next_norm) return DN_OK;
  return cpu_norm_table(next_norm, next_running_mean, next_running_var, next_stats, next_gamma,
                        next_beta, x->size[0] * x->size[2] * x->size[3], momentum, epsilon);
}

/* All but what is made of dnorm. */
static dn_status backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight, const dn_tensor *dy,
                          const dn_tensor *y, const dn_tensor *deferred, const dn_tensor *x,
                          const dn_tensor *norm, const dn_tensor *weight, bool accumulate,
                          double scale) {
  if (is_fast(x, weight)) {
    const cpu_conv_backward call = {.dx = dx,
                                    .dnorm = dnorm,
                                    .dweight = dweight,
                                    .dy = dy,
                                    .y = y,
                                    .deferred = deferred,
                                    .x = x,
                                    .norm = norm,
                                    .weight = weight,
                                    .options = options_of(weight),
                                    .accumulate = accumulate,
                                    .scale = scale};
    return cpu_conv_engine_backward(&call);
  }
  DN_TRY(cpu_scratch_none());
  cpu_norm_relu_conv_backward_reference(dx, dnorm, dweight, dy, y, deferred, x, norm, weight,
                                        accumulate, scale);
  return DN_OK;
}

dn_status cpu_norm_relu_conv_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                      const dn_tensor *dy, const dn_tensor *y,
                                      const dn_tensor *deferred, const dn_tensor *x,
                                      const dn_tensor *norm, const dn_tensor *weight,
                                      bool accumulate, double scale, dn_tensor *dgamma,
                                      dn_tensor *dbeta, dn_tensor *dx_deferred) {
  DN_TRY(backward(dx, dnorm, dweight, dy, y, deferred, x, norm, weight, accumulate, scale));
  return cpu_norm_gradient(dgamma, dbeta, dx_deferred, dnorm, x, norm, accumulate, scale);
}
