/* Dispatch of evaluation's convolutions: by kernel (dn_folded.h), and reference loops for all that is not fast. */
#include "../cpu_backend.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "../dense/cpu_norm_table.h"
#include "cpu_folded_call.h"

/* The loops step through weights, and through bordered lines, by 32-bit numbers. */
static bool is_fast(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                    dn_conv2d options) {
  const int64_t strides = options.stride_h > INT16_MAX || options.stride_w > INT16_MAX
                              ? INT32_MAX
                              : options.stride_h * options.stride_w;
  const int64_t most = weight->size[1] * strides + weight->size[0];
  const int64_t line = y->size[3] + weight->size[3] + 16, lines = weight->size[2] + 1;
  return cpu_is_real(x->dtype) && !dn_reference() && dn_tensor_count(y) > 0 &&
         dn_tensor_count(weight) <= INT32_MAX / 32 && line <= INT32_MAX / lines / (most + 1) - 128;
}

/* One output by the definition, summed in double. */
static double output_at(const dn_tensor *x, const dn_tensor *before, const dn_tensor *weight,
                        dn_conv2d options, int64_t n, int64_t k, int64_t p, int64_t q) {
  const int64_t c_end = weight->size[1], r_end = weight->size[2], s_end = weight->size[3];
  const int64_t height = x->size[2], width = x->size[3];
  double sum = 0;
  for (int64_t c = 0; c < c_end; c++)
    for (int64_t r = 0; r < r_end; r++)
      for (int64_t s = 0; s < s_end; s++) {
        const int64_t h = p * options.stride_h + r - options.pad_h;
        const int64_t v = q * options.stride_w + s - options.pad_w;
        if (h < 0 || h >= height || v < 0 || v >= width) continue;
        double value = cpu_plane_load(x, n, c, h * width + v);
        if (before) value = dn_norm_rectify_double(cpu_norm_apply(before, c, value));
        sum += value * cpu_load(dn_tensor_data(weight), weight->dtype,
                                ((k * c_end + c) * r_end + r) * s_end + s);
      }
  return sum;
}

static void reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *before,
                      const dn_tensor *weight, const dn_tensor *after, dn_conv2d options) {
  const int64_t width = y->size[3];
  const int n_threads = cpu_team(dn_tensor_count(y) * weight->size[1]);
#pragma omp parallel for schedule(static) num_threads(n_threads) collapse(2)
  for (int64_t n = 0; n < y->size[0]; n++)
    for (int64_t k = 0; k < y->size[1]; k++)
      for (int64_t i = 0; i < y->size[2] * width; i++) {
        double u = output_at(x, before, weight, options, n, k, i / width, i % width);
        if (after) u = dn_norm_rectify_double(cpu_norm_apply(after, k, u));
        cpu_plane_store(y, n, k, i, u);
      }
}

dn_status cpu_folded_conv(dn_tensor *y, const dn_tensor *x, const dn_tensor *before,
                          const dn_tensor *weight, const dn_tensor *after, const dn_tensor *packed,
                          dn_conv2d options) {
  if (!is_fast(y, x, weight, options)) {
    DN_TRY(cpu_scratch_none());
    reference(y, x, before, weight, after, options);
    return DN_OK;
  }
  const cpu_folded_call call = {.y = y,
                                .x = x,
                                .before = before,
                                .weight = weight,
                                .after = after,
                                .packed = packed,
                                .options = options};
  switch (dn_folded_kind_of(weight->size, options)) {
    case DN_FOLDED_PIXELS:
      return CPU_REAL_OF(x->dtype, cpu_folded_pixels)(&call);
    case DN_FOLDED_WINOGRAD:
      return CPU_REAL_OF(x->dtype, cpu_folded_winograd)(&call);
    case DN_FOLDED_TAPS:
      break;
  }
  return CPU_REAL_OF(x->dtype, cpu_folded_taps)(&call);
}

dn_status cpu_folded_conv_pack(dn_tensor *packed, const dn_tensor *weight, const dn_tensor *after,
                               dn_conv2d options) {
  CPU_REAL_OF(weight->dtype, cpu_folded_pack)(packed, weight, after, options);
  return DN_OK;
}
