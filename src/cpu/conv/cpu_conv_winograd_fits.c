#include "cpu_conv_winograd.h"

#include "../tiles/cpu_winograd.h"

static int64_t tiles_along(int64_t size) {
  return (size + CPU_WINOGRAD_SIDE - 1) / CPU_WINOGRAD_SIDE;
}

bool cpu_conv_winograd_fits(const dn_tensor *x, const dn_tensor *weight, dn_conv2d options) {
  const int64_t least_channels = 8, least_tiles = 16;
  const int64_t side = weight->size[2], n_pixels = x->size[2] * x->size[3];
  const int64_t channels = weight->size[0] > weight->size[1] ? weight->size[0] : weight->size[1];
  /* Six bordered lines of transposed channels are stepped through by 32-bit numbers. */
  const bool steps_fit =
      x->size[3] + CPU_WINOGRAD_EDGE <= INT32_MAX / CPU_WINOGRAD_REACH / (channels + CPU_LINE);
  const int64_t n_tiles = tiles_along(x->size[2]) * tiles_along(x->size[3]);
  return steps_fit && side == 3 && weight->size[3] == 3 && options.stride_h == 1 &&
         options.stride_w == 1 && options.pad_h == 1 && options.pad_w == 1 &&
         weight->size[0] >= least_channels && weight->size[1] >= least_channels &&
         x->size[0] * n_tiles >= least_tiles &&
         2 * n_pixels >= n_tiles * CPU_WINOGRAD_SIDE * CPU_WINOGRAD_SIDE;
}
