/*
** Bilinear and bicubic: a filter centred on the output pixel and, when shrinking, as many times wider
** as the image gets smaller; cut off and renormalised at the border.
** Source: the method of PIL's Image.resize (libImaging/Resample.c); Keys 1981, "Cubic convolution
** interpolation", for the bicubic filter with a = -0.5.
**
** Torch's: Catmull-Rom through 4 pixels, with the corners of both images on each other and the same
** width whatever the factor, so shrinking leaves pixels out. Beyond the border the picture goes on in
** a straight line.
** Source: the definition of image.scale(..., "bicubic") in Torch7's package image.
*/
#include "dn_image_weights.h"

#include <math.h>

enum { TORCH_TAPS = 4 };

static double reach(dn_image_filter filter) { return filter == DN_IMAGE_BICUBIC ? 2 : 1; }

static double weigh(dn_image_filter filter, double x) {
  x = fabs(x);
  if (filter == DN_IMAGE_BILINEAR) return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

static double widening(dn_image_axis axis) {
  const double scale = (double)axis.n_in / (double)axis.n_out;
  return scale > 1 ? scale : 1;
}

static int64_t most_taps(dn_image_axis axis) {
  const int64_t taps = axis.filter == DN_IMAGE_TORCH
                           ? TORCH_TAPS
                           : 2 * (int64_t)ceil(reach(axis.filter) * widening(axis)) + 1;
  return taps < axis.n_in ? taps : axis.n_in;
}

/* Output pixel `out`: its weights; *first, and how many are returned. */
static int64_t plan_filter(dn_image_axis axis, int64_t out, double *weight, int64_t *first) {
  const double wide = widening(axis), radius = reach(axis.filter) * wide;
  const double centre = ((double)out + 0.5) * ((double)axis.n_in / (double)axis.n_out);
  int64_t begin = (int64_t)(centre - radius + 0.5), end = (int64_t)(centre + radius + 0.5);
  if (centre - radius + 0.5 < 0) begin = 0;
  if (end > axis.n_in) end = axis.n_in;
  double sum = 0;
  for (int64_t k = 0; k < end - begin; k++) {
    weight[k] = weigh(axis.filter, ((double)(begin + k) + 0.5 - centre) / wide);
    sum += weight[k];
  }
  for (int64_t k = 0; k < end - begin; k++) weight[k] /= sum;
  *first = begin;
  return end - begin;
}

static int64_t plan_one(int64_t at, double *weight, int64_t *first) {
  weight[0] = 1;
  *first = at;
  return 1;
}

/* Its last pixel is the last of the input, whatever rounding makes of the place. */
static int64_t plan_torch(dn_image_axis axis, int64_t out, double *weight, int64_t *first) {
  if (axis.n_in == axis.n_out) return plan_one(out, weight, first);
  if (axis.n_in == 1 || out == axis.n_out - 1) return plan_one(axis.n_in - 1, weight, first);
  const double place = (double)out * ((double)(axis.n_in - 1) / (double)(axis.n_out - 1));
  const int64_t left = (int64_t)place;
  const double t = place - (double)left;
  double w[TORCH_TAPS] = {
      0.5 * t * (-1 + t * (2 - t)),
      1 + 0.5 * t * t * (-5 + 3 * t),
      0.5 * t * (1 + t * (4 - 3 * t)),
      0.5 * t * t * (t - 1),
  };
  int64_t begin = 0, end = TORCH_TAPS;
  if (left == 0) { /* the one before the first is 2 first - second */
    w[1] += 2 * w[0];
    w[2] -= w[0];
    begin = 1;
  }
  if (left + 2 == axis.n_in) {
    w[2] += 2 * w[3];
    w[1] -= w[3];
    end = TORCH_TAPS - 1;
  }
  for (int64_t k = begin; k < end; k++) weight[k - begin] = w[k];
  *first = left - 1 + begin;
  return end - begin;
}

int64_t dn_image_weights_bytes(dn_image_axis axis) {
  return axis.count * (2 * (int64_t)sizeof(int64_t) + most_taps(axis) * (int64_t)sizeof(double));
}

void dn_image_weights_plan(dn_image_axis axis, void *memory, dn_image_weights *weights) {
  weights->count = axis.count;
  weights->most_taps = most_taps(axis);
  weights->first = memory;
  weights->n_taps = weights->first + axis.count;
  weights->weight = (double *)(void *)(weights->n_taps + axis.count);
  for (int64_t i = 0; i < axis.count; i++) {
    double *weight = weights->weight + i * weights->most_taps;
    weights->n_taps[i] = axis.filter == DN_IMAGE_TORCH
                             ? plan_torch(axis, axis.begin + i, weight, &weights->first[i])
                             : plan_filter(axis, axis.begin + i, weight, &weights->first[i]);
  }
}
