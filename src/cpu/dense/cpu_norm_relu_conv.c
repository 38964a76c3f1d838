/* Dispatch of norm_relu_conv: fast float path for 1x1 and 3x3, reference loops otherwise. */
#include "../cpu_backend.h"
#include "cpu_norm_relu_conv1x1.h"
#include "cpu_norm_relu_conv3x3.h"
#include "cpu_norm_relu_conv_reference.h"
#include "../cpu_scratch.h"

/* The fast loops step through weights, and through bordered lines, by 32-bit numbers. */
static bool is_fast(const dn_tensor *x, const dn_tensor *weight) {
  const int64_t most = weight->size[0] > weight->size[1] ? weight->size[0] : weight->size[1];
  return x->dtype == DN_FLOAT && !dn_reference() && dn_tensor_count(weight) <= INT32_MAX &&
         x->size[3] <= (INT32_MAX / most - 128) / 3;
}

dn_status cpu_norm_relu_conv_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                     const dn_tensor *norm, const dn_tensor *weight) {
  if (is_fast(x, weight))
    return (weight->size[2] == 1 ? cpu_norm_relu_conv1x1_forward : cpu_norm_relu_conv3x3_forward)(
        y, stats, x, norm, weight);
  DN_TRY(cpu_scratch_none());
  cpu_norm_relu_conv_forward_reference(y, x, norm, weight);
  return stats ? cpu_channel_stats(stats, y) : DN_OK;
}

dn_status cpu_norm_relu_conv_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                      const dn_tensor *dy, const dn_tensor *y,
                                      const dn_tensor *deferred, const dn_tensor *x,
                                      const dn_tensor *norm, const dn_tensor *weight,
                                      bool accumulate, double scale) {
  if (is_fast(x, weight))
    return (weight->size[2] == 1 ? cpu_norm_relu_conv1x1_backward : cpu_norm_relu_conv3x3_backward)(
        dx, dnorm, dweight, dy, y, deferred, x, norm, weight, accumulate, scale);
  DN_TRY(cpu_scratch_none());
  cpu_norm_relu_conv_backward_reference(dx, dnorm, dweight, dy, y, deferred, x, norm, weight,
                                        accumulate, scale);
  return DN_OK;
}
