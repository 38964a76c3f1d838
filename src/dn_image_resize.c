/*
** Separable resampling: a pixel of the output is a weighted sum of the input pixels under a filter
** centred on it, first along rows and then along columns. When shrinking, the filter is as many
** times wider as the image gets smaller.
** Source: the method of PIL's Image.resize (libImaging/Resample.c); Keys 1981, "Cubic convolution
** interpolation", for the bicubic filter with a = -0.5.
*/
#include <inttypes.h>
#include <math.h>

#include "dn_image.h"
#include "dn_image_row.h"

/* One direction: pixel i of the output reads in[first[i] .. first[i] + n_taps[i] - 1]. */
typedef struct resampling {
  int64_t most_taps; /* weights kept for a pixel */
  int64_t *first, *n_taps;
  double *weights; /* n_out x most_taps; those of a pixel sum to 1 */
} resampling;

static double reach(dn_image_filter filter) { return filter == DN_IMAGE_BICUBIC ? 2 : 1; }

static double weigh(dn_image_filter filter, double x) {
  x = fabs(x);
  if (filter == DN_IMAGE_BILINEAR) return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

static double widening(int64_t n_in, int64_t n_out) {
  const double scale = (double)n_in / (double)n_out;
  return scale > 1 ? scale : 1;
}

static int64_t count_taps(int64_t n_in, int64_t n_out, dn_image_filter filter) {
  const int64_t taps = 2 * (int64_t)ceil(reach(filter) * widening(n_in, n_out)) + 1;
  return taps < n_in ? taps : n_in;
}

static void plan_weights(const resampling *plan, int64_t n_in, int64_t n_out,
                         dn_image_filter filter) {
  const double scale = (double)n_in / (double)n_out, wide = widening(n_in, n_out);
  const double radius = reach(filter) * wide;
  for (int64_t i = 0; i < n_out; i++) {
    const double centre = ((double)i + 0.5) * scale;
    int64_t begin = (int64_t)(centre - radius + 0.5), end = (int64_t)(centre + radius + 0.5);
    if (centre - radius + 0.5 < 0) begin = 0;
    if (end > n_in) end = n_in;
    double *weights = plan->weights + i * plan->most_taps, sum = 0;
    for (int64_t k = 0; k < end - begin; k++) {
      weights[k] = weigh(filter, ((double)(begin + k) + 0.5 - centre) / wide);
      sum += weights[k];
    }
    for (int64_t k = 0; k < end - begin; k++) weights[k] /= sum;
    plan->first[i] = begin;
    plan->n_taps[i] = end - begin;
  }
}

/* Row y of `narrow` (H_in x W_out) from row y of the image. */
static void resample_row(const resampling *columns, int64_t n_out, const void *row, dn_dtype dtype,
                         double *narrow) {
  for (int64_t x = 0; x < n_out; x++) {
    const double *weights = columns->weights + x * columns->most_taps;
    double sum = 0;
    for (int64_t k = 0; k < columns->n_taps[x]; k++)
      sum += weights[k] * dn_image_load(row, dtype, columns->first[x] + k);
    narrow[x] = sum;
  }
}

/* Row y of the output, from the rows of `narrow` under the filter. */
static void combine_rows(const resampling *rows, int64_t y, const double *narrow, int64_t width,
                         double *sums) {
  const double *weights = rows->weights + y * rows->most_taps;
  for (int64_t x = 0; x < width; x++) sums[x] = 0;
  for (int64_t k = 0; k < rows->n_taps[y]; k++) {
    const double *from = narrow + (rows->first[y] + k) * width;
    for (int64_t x = 0; x < width; x++) sums[x] += weights[k] * from[x];
  }
}

/* Keeps products of two sides and a few factors far from overflow. */
enum { LONGEST_SIDE = 1 << 24 };

static dn_status check_sides(int argument, const dn_tensor *image) {
  const int64_t height = image->size[1], width = image->size[2];
  if (height >= 1 && width >= 1 && height <= LONGEST_SIDE && width <= LONGEST_SIDE) return DN_OK;
  return dn_error_argument(argument, "cannot resize an image of %" PRId64 "x%" PRId64 " pixels",
                           height, width);
}

static dn_status check_resize(const dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(dn_image_check(1, out, DN_IMAGE_REAL));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_ANY));
  if (out->size[0] != in->size[0])
    return dn_error_argument(1, "has %" PRId64 " channels, the image has %" PRId64, out->size[0],
                             in->size[0]);
  DN_TRY(check_sides(1, out));
  DN_TRY(check_sides(2, in));
  if (filter < 0 || filter >= DN_IMAGE_FILTER_COUNT)
    return dn_error_argument(3, "%d names no filter", (int)filter);
  if (dn_tensor_overlaps(out, in))
    return dn_error_argument(1, "shares memory with the image it is made from");
  return DN_OK;
}

dn_status dn_image_resize(dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(check_resize(out, in, filter));
  const int64_t in_height = in->size[1], in_width = in->size[2];
  const int64_t height = out->size[1], width = out->size[2];
  resampling columns = {.most_taps = count_taps(in_width, width, filter)};
  resampling rows = {.most_taps = count_taps(in_height, height, filter)};

  /* One block: weights of both directions, the narrowed channel, a row of sums, the indices. */
  const int64_t n_doubles =
      width * columns.most_taps + height * rows.most_taps + in_height * width + width;
  const int64_t n_bytes =
      n_doubles * (int64_t)sizeof(double) + 2 * (width + height) * (int64_t)sizeof(int64_t);
  void *block;
  DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &block));
  columns.weights = block;
  rows.weights = columns.weights + width * columns.most_taps;
  double *narrow = rows.weights + height * rows.most_taps;
  double *sums = narrow + in_height * width;
  columns.first = (int64_t *)(void *)(sums + width);
  columns.n_taps = columns.first + width;
  rows.first = columns.n_taps + width;
  rows.n_taps = rows.first + height;

  plan_weights(&columns, in_width, width, filter);
  plan_weights(&rows, in_height, height, filter);
  for (int64_t c = 0; c < in->size[0]; c++) {
    for (int64_t y = 0; y < in_height; y++)
      resample_row(&columns, width, dn_image_row(in, c, y), in->dtype, narrow + y * width);
    for (int64_t y = 0; y < height; y++) {
      combine_rows(&rows, y, narrow, width, sums);
      for (int64_t x = 0; x < width; x++)
        dn_image_store(dn_image_row(out, c, y), out->dtype, x, sums[x]);
    }
  }
  dn_free(dn_device_cpu(), block, n_bytes);
  return DN_OK;
}
