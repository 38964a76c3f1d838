#include "cpu_conv_engine.h"

#include "cpu_conv_border.h"
#include "cpu_conv_pixels.h"
#include "cpu_conv_winograd.h"

bool cpu_conv_is_shifted(const dn_tensor *weight, dn_conv2d options) {
  return options.stride_h == 1 && options.stride_w == 1 && options.pad_h < weight->size[2] &&
         options.pad_w < weight->size[3];
}

typedef enum engine { PIXELS, WINOGRAD, BORDER } engine;

/* x: the input, or what has its planes. */
static engine engine_of(const dn_tensor *x, const dn_tensor *weight, dn_conv2d options) {
  if (cpu_conv_winograd_fits(x, weight, options)) return WINOGRAD;
  const bool has_border = cpu_conv_is_shifted(weight, options) && !cpu_conv_is_1x1(weight, options);
  return has_border ? BORDER : PIXELS;
}

dn_status cpu_conv_engine_forward(const cpu_conv_forward *call) {
  const dn_dtype dtype = call->x->dtype;
  switch (engine_of(call->transposed ? call->y : call->x, call->weight, call->options)) {
    case WINOGRAD:
      return CPU_REAL_OF(dtype, cpu_conv_winograd_forward)(call);
    case BORDER:
      return CPU_REAL_OF(dtype, cpu_conv_border_forward)(call);
    case PIXELS:
      break;
  }
  return CPU_REAL_OF(dtype, cpu_conv_pixels_forward)(call);
}

dn_status cpu_conv_engine_backward(const cpu_conv_backward *call) {
  const dn_dtype dtype = call->x->dtype;
  const dn_tensor *const weight = call->dweight ? call->dweight : call->weight;
  switch (engine_of(call->x, weight, call->options)) {
    case WINOGRAD:
      return CPU_REAL_OF(dtype, cpu_conv_winograd_backward)(call);
    case BORDER:
      return CPU_REAL_OF(dtype, cpu_conv_border_backward)(call);
    case PIXELS:
      break;
  }
  return CPU_REAL_OF(dtype, cpu_conv_pixels_backward)(call);
}
