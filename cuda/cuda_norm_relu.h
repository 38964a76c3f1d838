/*
** Scale-shift-ReLU on elements and its backward: the parts of which a convolution's prologue, and a
** pooling, are made. With windows of 1x1 the mean over windows is z itself.
*/
#ifndef CUDA_NORM_RELU_H
#define CUDA_NORM_RELU_H

#include "cuda_norm_gradient.h"

/* y N,C,P,Q = mean of relu(scale x + shift) over windows side by side; x N,C,H,W. */
dn_status cuda_norm_relu_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                 int64_t window_h, int64_t window_w);

/*
** dz is dy N,C,P,Q spread over the windows where the ReLU let x pass, else 0:
**   dx = (accumulate ? dx : 0) + scale dz
** For each channel and each of the cuda_segments(x's planes) segments, the sums of dz and of
** dz (x - mean) go to sums[2 * (c * n_pairs + first_pair + segment)], of which cuda_norm_relu_backward_join makes
** dnorm, and what is made of that, when all n_pairs pairs of a channel are there. So images may come in several calls.
*/
dn_status cuda_norm_relu_backward(dn_tensor *dx, double *sums, int64_t first_pair, int64_t n_pairs,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                  int64_t window_h, int64_t window_w, bool accumulate);
dn_status cuda_norm_relu_backward_join(const cuda_norm_gradient &gradient, const double *sums,
                                       int64_t n_pairs);

#endif
