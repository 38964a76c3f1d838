/*
** Private to the resizing of images: along one direction a pixel of the output is a weighted sum of
** neighbouring input pixels, its taps, whose weights sum to 1.
*/
#ifndef DN_IMAGE_WEIGHTS_H
#define DN_IMAGE_WEIGHTS_H

#include "dn_image.h"

/* A part of one direction of a resize from n_in to n_out pixels: outputs begin .. begin+count-1. */
typedef struct dn_image_axis {
  int64_t n_in, n_out;
  int64_t begin, count;
  dn_image_filter filter;
} dn_image_axis;

typedef struct dn_image_weights {
  int64_t count;     /* of outputs */
  int64_t most_taps; /* weights kept for each */
  int64_t *first; /* output i reads in[first[i] .. first[i] + n_taps[i] - 1], which never falls */
  int64_t *n_taps;
  double *weight; /* count x most_taps */
} dn_image_weights;

/* Bytes of the memory, aligned for double, that dn_image_weights_plan lays *weights out in. */
int64_t dn_image_weights_bytes(dn_image_axis axis);
void dn_image_weights_plan(dn_image_axis axis, void *memory, dn_image_weights *weights);

/* The inputs that any output reads: from .. to-1. */
static inline int64_t dn_image_weights_from(const dn_image_weights *weights) {
  return weights->first[0];
}
static inline int64_t dn_image_weights_to(const dn_image_weights *weights) {
  return weights->first[weights->count - 1] + weights->n_taps[weights->count - 1];
}

#endif
