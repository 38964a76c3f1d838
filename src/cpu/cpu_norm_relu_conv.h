/*
** The dense layer's operation on the fast path: scale-shift-ReLU as the prologue of a convolution,
** in float, 1x1 and 3x3 (padding 1). The wide input is read once; what the prologue makes lives in
** the cache of the thread that multiplies it. Shared by the two kernel sizes.
*/
#ifndef CPU_NORM_RELU_CONV_H
#define CPU_NORM_RELU_CONV_H

#include "../dn_tensor.h"
#include "cpu_planes.h"
#include "cpu_tiles.h"

/* A float N,C,H,W tensor: planes and where they begin. data is NULL for an argument left out. */
typedef struct cpu_map {
  float *data;
  cpu_planes planes;
  int64_t height, width;
} cpu_map;

cpu_map cpu_map_of(const dn_tensor *tensor);

static inline float *cpu_map_at(cpu_map map, int64_t n, int64_t c) {
  return map.data + n * map.planes.stride_n + c * map.planes.stride_c;
}

/* n floats of scratch, rounded up to whole lines of 64 bytes. */
static inline int64_t cpu_whole_lines(int64_t n) { return (n + 15) / 16 * 16; }

/* Rows of a 4,C norm table. */
cpu_norm cpu_norm_of(const dn_tensor *norm);

/* Rows of a 3,K table of deferred terms. */
cpu_deferred cpu_deferred_of(const dn_tensor *deferred);

/* A gradient whose deferred terms are added on reading; y is left out where there are none. */
typedef struct cpu_gradient {
  cpu_map dy, y;
  cpu_deferred terms;
} cpu_gradient;

cpu_gradient cpu_gradient_of(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred);

/* All channels of the gradient of image n, n_pixels from pixel `first` on, packed. */
void cpu_gradient_pack(const cpu_tiles *tiles, cpu_gradient gradient, int64_t n, int64_t first,
                       int64_t n_pixels, float *packed, cpu_layout layout);

/* Channels of image n, n_pixels from pixel `first` on, as what will be wanted soon. */
cpu_far cpu_map_far(cpu_map map, int64_t n, int64_t first, int64_t n_pixels);

/*
** stats 2,K: mean and biased variance of channel k from moments[share * n_channels + k]. The shares
** are joined in their order (Chan, Golub & LeVeque 1983), n_values[share] values each, so a fixed
** number of threads gives fixed bits.
*/
void cpu_moments_write(dn_tensor *stats, const cpu_moments *moments, const int64_t *n_values,
                       int n_shares);

/* The first n values of all shares, added up in their order into the first share's; returns them. */
const float *cpu_shares_join(float *shares, int64_t share_stride, int64_t n, int n_shares);

/* dnorm 2,C: dbeta and dgamma from the sums of each share, laid out as cpu_tiles.unmask has them. */
void cpu_sums_write(dn_tensor *dnorm, const float *sums, int64_t share_stride, int n_shares,
                    cpu_norm norm);

dn_status cpu_norm_relu_conv1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight);
dn_status cpu_norm_relu_conv1x1_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale);
dn_status cpu_norm_relu_conv3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight);
dn_status cpu_norm_relu_conv3x3_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale);

#endif
