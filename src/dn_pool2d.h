/*
** Where windows of a pooling lie, along one axis of the plane: a formula that every backend shares.
*/
#ifndef DN_POOL2D_H
#define DN_POOL2D_H

#include "dn_ops.h"
#include "dn_shared.h"

/* One axis: `n_in` elements of the input, `n_out` of the output. */
typedef struct dn_pool_axis {
  int64_t n_in, n_out, kernel, stride, pad;
} dn_pool_axis;

/* Elements begin to end - 1. */
typedef struct dn_pool_span {
  int64_t begin, end;
} dn_pool_span;

/* What output `out` sees, padding (before 0 and from n_in on) included. */
DN_SHARED_INLINE dn_pool_span dn_pool_window(const dn_pool_axis *axis, int64_t out) {
  const int64_t begin = out * axis->stride - axis->pad;
  const int64_t end = begin + axis->kernel, limit = axis->n_in + axis->pad;
  const dn_pool_span window = {begin, end < limit ? end : limit};
  return window;
}

/* A window's part inside the input; never empty. */
DN_SHARED_INLINE dn_pool_span dn_pool_inside(const dn_pool_axis *axis, dn_pool_span window) {
  const dn_pool_span inside = {window.begin > 0 ? window.begin : 0,
                               window.end < axis->n_in ? window.end : axis->n_in};
  return inside;
}

/* The outputs that see input `in`; none where begin >= end. */
DN_SHARED_INLINE dn_pool_span dn_pool_seen_by(const dn_pool_axis *axis, int64_t in) {
  const int64_t last = (in + axis->pad) / axis->stride;
  const int64_t before =
      in + axis->pad - axis->kernel; /* the last place of windows that end before */
  const dn_pool_span outputs = {before < 0 ? 0 : before / axis->stride + 1,
                                last < axis->n_out ? last + 1 : axis->n_out};
  return outputs;
}

/* Along the height and along the width; x and y as in dn_ops.def. */
DN_SHARED_INLINE dn_pool_axis dn_pool_height(int64_t n_in, int64_t n_out, dn_pool2d options) {
  const dn_pool_axis axis = {n_in, n_out, options.kernel_h, options.stride_h, options.pad_h};
  return axis;
}

DN_SHARED_INLINE dn_pool_axis dn_pool_width(int64_t n_in, int64_t n_out, dn_pool2d options) {
  const dn_pool_axis axis = {n_in, n_out, options.kernel_w, options.stride_w, options.pad_w};
  return axis;
}

#endif
