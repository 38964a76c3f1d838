/*
** The dense layer's tables and per-channel sums, for the operations that make them up.
** A table is rows of vectors over channels, in float, or in double beside activations in double.
*/
#ifndef CUDA_NORM_H
#define CUDA_NORM_H

#include "cuda_channels.h"
#include "cuda_dtype.h"

extern "C" {
#include "../src/dn_norm.h"
}

/* Tables are computed in the type that activations T are computed in. */
template <typename T>
struct cuda_table {
  T *data;
  int64_t row; /* from one row to the next, in elements */
};

template <typename T>
static inline cuda_table<T> cuda_table_of(const dn_tensor *table) {
  const cuda_table<T> view = {(T *)dn_tensor_data(table), table->stride[0]};
  return view;
}

/* The same formulas by type. */
CUDA_INLINE float cuda_norm_apply(float scale, float x, float shift) {
  return dn_norm_apply_float(scale, x, shift);
}
CUDA_INLINE double cuda_norm_apply(double scale, double x, double shift) {
  return dn_norm_apply_double(scale, x, shift);
}
CUDA_INLINE float cuda_norm_rectify(float v) { return dn_norm_rectify_float(v); }
CUDA_INLINE double cuda_norm_rectify(double v) { return dn_norm_rectify_double(v); }
CUDA_INLINE float cuda_deferred_add(float dx, float x, float offset, float slope, float mean) {
  return dn_deferred_add_float(dx, x, offset, slope, mean);
}
CUDA_INLINE double cuda_deferred_add(double dx, double x, double offset, double slope,
                                     double mean) {
  return dn_deferred_add_double(dx, x, offset, slope, mean);
}

/* Pairs of sums (cuda_channels.h) that channel_stats needs for x, as a number of doubles. */
int64_t cuda_channel_stats_sums(const dn_tensor *x);

/* channel_stats with scratch of the caller's. */
dn_status cuda_channel_stats_in(dn_tensor *stats, const dn_tensor *x, double *sums);

/* to = from + offset + slope (x - mean), N,C,H,W; `to` may be `from`, or lie elsewhere. */
dn_status cuda_deferred_add_to(dn_tensor *to, const dn_tensor *from, const dn_tensor *x,
                               const dn_tensor *deferred);

#endif
