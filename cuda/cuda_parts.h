/*
** What the blocks of a fused backward leave: for each a part of the weight's gradient and parts of a
** norm's two sums. One launch adds them up, in their order and in double, so that results are the same
** bits at every run, and ends the norm's sums (cuda_norm_gradient.h).
*/
#ifndef CUDA_PARTS_H
#define CUDA_PARTS_H

#include "cuda_norm_gradient.h"

typedef struct cuda_parts {
  const float *weights; /* n_weight_parts rows of n_weights; NULL: the weight is frozen */
  const float *sums;    /* n_sum_parts rows of 2 n_channels: of dz, then of dz (x - mean) */
  int n_weights, n_weight_parts, n_channels, n_sum_parts;
  float *dweight;                /* += norm.scale * their sum */
  cuda_norm_outputs<float> norm; /* of the scale alone, where there are no channels */
} cuda_parts;

dn_status cuda_parts_add(const cuda_parts *parts);

#endif
