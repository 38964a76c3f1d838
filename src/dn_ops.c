/*
** How many windows fit into a plane: the output sizes of convolutions and pooling.
**
** They are counted without ever forming a number that might overflow: sizes and options come
** from the caller as they are, up to 2^63-1.
*/
#include "dn_ops.h"

#include <inttypes.h>

#include "dn_ops_check.h"

/* One axis of a plane, and the numbers under which the caller's list has its parts. */
typedef struct axis {
  const char *name;
  int64_t input, kernel, stride, pad;
  int input_number, kernel_number, stride_number, pad_number;
} axis;

/* The padding up to which input + 2 pad is still a number. */
static int64_t largest_pad(int64_t input) { return (INT64_MAX - (input > 0 ? input : 0)) / 2; }

static dn_status check_axis(const axis *a, int64_t most_pad) {
  if (a->input < 1)
    return dn_error_argument(a->input_number, "input %s is %" PRId64 "; expected 1 or more",
                             a->name, a->input);
  if (a->kernel < 1)
    return dn_error_argument(a->kernel_number, "kernel %s is %" PRId64 "; expected 1 or more",
                             a->name, a->kernel);
  if (a->stride < 1)
    return dn_error_argument(a->stride_number,
                             "stride along the %s is %" PRId64 "; expected 1 or more", a->name,
                             a->stride);
  if (a->pad < 0 || a->pad > most_pad)
    return dn_error_argument(a->pad_number,
                             "padding along the %s is %" PRId64 "; expected 0 to %" PRId64, a->name,
                             a->pad, most_pad);
  if (a->kernel > a->input + 2 * a->pad)
    return dn_error_argument(a->kernel_number,
                             "kernel %s is %" PRId64
                             "; expected at most the padded input's, "
                             "%" PRId64 " + 2 x %" PRId64,
                             a->name, a->kernel, a->input, a->pad);
  return DN_OK;
}

/* Places along the axis where a window may start; the last one may hang over when `round_up`. */
static int64_t count_windows(const axis *a, bool round_up) {
  const int64_t span = a->input + 2 * a->pad - a->kernel;
  int64_t last = span / a->stride;
  if (round_up) {
    last += span % a->stride != 0;
    /* A window that starts in the padding behind the input would see nothing. */
    if (last > (a->input + a->pad - 1) / a->stride) last--;
  }
  return last + 1;
}

dn_status dn_check_conv2d_size(const int64_t input[2], const int64_t kernel[2], dn_conv2d options,
                               const int kernel_number[2], int options_number, int64_t output[2]) {
  const int n = options_number;
  const axis axes[2] = {{"height", input[0], kernel[0], options.stride_h, options.pad_h, 1,
                         kernel_number[0], n, n + 2},
                        {"width", input[1], kernel[1], options.stride_w, options.pad_w, 2,
                         kernel_number[1], n + 1, n + 3}};
  for (int d = 0; d < 2; d++) {
    DN_TRY(check_axis(&axes[d], largest_pad(axes[d].input)));
    output[d] = count_windows(&axes[d], false);
  }
  return DN_OK;
}

dn_status dn_check_pool2d_size(const int64_t input[2], dn_pool2d options, int options_number,
                               int64_t output[2]) {
  const int n = options_number;
  const axis axes[2] = {
      {"height", input[0], options.kernel_h, options.stride_h, options.pad_h, 1, n, n + 2, n + 4},
      {"width", input[1], options.kernel_w, options.stride_w, options.pad_w, 2, n + 1, n + 3,
       n + 5}};
  for (int d = 0; d < 2; d++) {
    const int64_t room = largest_pad(axes[d].input), half = axes[d].kernel / 2;
    DN_TRY(check_axis(&axes[d], half < room ? half : room));
    output[d] = count_windows(&axes[d], options.ceil_mode);
  }
  return DN_OK;
}

dn_status dn_conv2d_output_size(const int64_t input[2], const int64_t kernel[2], dn_conv2d options,
                                int64_t output[2]) {
  return dn_check_conv2d_size(input, kernel, options, (const int[2]){3, 4}, 5, output);
}

dn_status dn_pool2d_output_size(const int64_t input[2], dn_pool2d options, int64_t output[2]) {
  return dn_check_pool2d_size(input, options, 3, output);
}
