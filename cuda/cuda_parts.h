/*
** What the blocks of a fused backward leave: for each a part of the weight's gradient and parts of a
** norm's two sums. One launch adds them up, in their order and in double, so that results are the same
** bits at every run, and ends the norm's sums (cuda_norm_gradient.h).
*/
#ifndef CUDA_PARTS_H
#define CUDA_PARTS_H

#include "cuda_norm_gradient.h"

/* Where they lie in the scratch. Channels come in slices; the blocks of each share out the tiles. */
typedef struct cuda_parts {
  int64_t n_bytes;
  int64_t weights, sums; /* n_blocks rows of n_weights; 2 n_blocks rows of 2 n_channels, of dz and
                            then of dz (x - mean) */
  int n_weights, n_channels; /* 0: none */
  int n_blocks, n_slices;
} cuda_parts;

/* n_weights 0: the weight is frozen. has_sums: of each of x's channels. */
cuda_parts cuda_parts_of(const dn_tensor *x, int64_t channels_of_slice, int64_t n_tiles,
                         int64_t n_weights, bool has_sums);

static inline float *cuda_parts_weights(const cuda_parts &parts, void *scratch) {
  return parts.n_weights > 0 ? (float *)((char *)scratch + parts.weights) : NULL;
}

static inline float *cuda_parts_sums(const cuda_parts &parts, void *scratch) {
  return (float *)((char *)scratch + parts.sums);
}

/* dweight += scale * the parts' sum, where there are weights, and what the gradient asks for, where there are sums. */
dn_status cuda_parts_add(const cuda_parts &parts, void *scratch, dn_tensor *dweight, double scale,
                         const cuda_norm_gradient *gradient);

#endif
