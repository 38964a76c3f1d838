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

/*
** ---- Bytes into bytes ----
**
** PIL's own arithmetic, to the bit: weights are whole numbers of 1/2^22, and each pass, rows first,
** ends in bytes, rounded and clipped. The weights of a pixel sum to 1 and their magnitudes to less
** than 1.5, so that 255 of them fit 32 bits.
*/
enum { WEIGHT_BITS = 22 };

#define HALF (INT32_C(1) << (WEIGHT_BITS - 1))

static void round_weights(const resampling *plan, int64_t n_out, int32_t *rounded) {
  const double one = (double)(INT32_C(1) << WEIGHT_BITS);
  for (int64_t i = 0; i < n_out; i++)
    for (int64_t k = 0; k < plan->n_taps[i]; k++) {
      const double weight = plan->weights[i * plan->most_taps + k] * one;
      rounded[i * plan->most_taps + k] = (int32_t)(weight + (weight < 0 ? -0.5 : 0.5));
    }
}

static uint8_t settle(int32_t sum) {
  const int32_t value = sum >> WEIGHT_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* As resample_row. */
static void resample_bytes(const resampling *columns, const int32_t *all_weights, int64_t n_out,
                           const uint8_t *row, uint8_t *narrow) {
  for (int64_t x = 0; x < n_out; x++) {
    const int32_t *weights = all_weights + x * columns->most_taps;
    const uint8_t *from = row + columns->first[x];
    int32_t sum = HALF;
    for (int64_t k = 0; k < columns->n_taps[x]; k++) sum += weights[k] * from[k];
    narrow[x] = settle(sum);
  }
}

/* As combine_rows, and into the output. */
static void combine_bytes(const resampling *rows, const int32_t *all_weights, int64_t y,
                          const uint8_t *narrow, int64_t width, int32_t *sums, uint8_t *out) {
  const int32_t *weights = all_weights + y * rows->most_taps;
  for (int64_t x = 0; x < width; x++) sums[x] = HALF;
  for (int64_t k = 0; k < rows->n_taps[y]; k++) {
    const uint8_t *from = narrow + (rows->first[y] + k) * width;
    for (int64_t x = 0; x < width; x++) sums[x] += weights[k] * from[x];
  }
  for (int64_t x = 0; x < width; x++) out[x] = settle(sums[x]);
}

/* ---- Both ---- */

/* Keeps products of two sides and a few factors far from overflow. */
enum { LONGEST_SIDE = 1 << 24 };

static dn_status check_sides(int argument, const dn_tensor *image) {
  const int64_t height = image->size[1], width = image->size[2];
  if (height >= 1 && width >= 1 && height <= LONGEST_SIDE && width <= LONGEST_SIDE) return DN_OK;
  return dn_error_argument(argument, "cannot resize an image of %" PRId64 "x%" PRId64 " pixels",
                           height, width);
}

static dn_status check_resize(const dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(dn_image_check(1, out, in->dtype == DN_BYTE ? DN_IMAGE_ANY : DN_IMAGE_REAL));
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

static void resize_reals(dn_tensor *out, const dn_tensor *in, const resampling *columns,
                         const resampling *rows, double *narrow, double *sums) {
  const int64_t in_height = in->size[1], height = out->size[1], width = out->size[2];
  for (int64_t c = 0; c < in->size[0]; c++) {
    for (int64_t y = 0; y < in_height; y++)
      resample_row(columns, width, dn_image_row(in, c, y), in->dtype, narrow + y * width);
    for (int64_t y = 0; y < height; y++) {
      combine_rows(rows, y, narrow, width, sums);
      for (int64_t x = 0; x < width; x++)
        dn_image_store(dn_image_row(out, c, y), out->dtype, x, sums[x]);
    }
  }
}

/* `weights` has room for those of the columns and then of the rows. */
static void resize_bytes(dn_tensor *out, const dn_tensor *in, const resampling *columns,
                         const resampling *rows, int32_t *weights, uint8_t *narrow, int32_t *sums) {
  const int64_t in_height = in->size[1], height = out->size[1], width = out->size[2];
  int32_t *row_weights = weights + width * columns->most_taps;
  round_weights(columns, width, weights);
  round_weights(rows, height, row_weights);
  for (int64_t c = 0; c < in->size[0]; c++) {
    for (int64_t y = 0; y < in_height; y++)
      resample_bytes(columns, weights, width, dn_image_row(in, c, y), narrow + y * width);
    for (int64_t y = 0; y < height; y++)
      combine_bytes(rows, row_weights, y, narrow, width, sums, dn_image_row(out, c, y));
  }
}

dn_status dn_image_resize(dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(check_resize(out, in, filter));
  const int64_t in_height = in->size[1], in_width = in->size[2];
  const int64_t height = out->size[1], width = out->size[2];
  const bool is_byte = out->dtype == DN_BYTE;
  resampling columns = {.most_taps = count_taps(in_width, width, filter)};
  resampling rows = {.most_taps = count_taps(in_height, height, filter)};

  /*
  ** One block: the indices, weights of both directions, a row of sums, the narrowed channel; the last
  ** two are of 32 and 8 bits for bytes, and rounded weights lie between them.
  */
  const int64_t n_weights = width * columns.most_taps + height * rows.most_taps;
  const int64_t n_narrow = in_height * width;
  const int64_t n_bytes = 2 * (width + height) * (int64_t)sizeof(int64_t) +
                          n_weights * (int64_t)sizeof(double) +
                          (is_byte ? (width + n_weights) * (int64_t)sizeof(int32_t) + n_narrow
                                   : (width + n_narrow) * (int64_t)sizeof(double));
  void *block;
  DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &block));
  columns.first = block;
  columns.n_taps = columns.first + width;
  rows.first = columns.n_taps + width;
  rows.n_taps = rows.first + height;
  columns.weights = (double *)(void *)(rows.n_taps + height);
  rows.weights = columns.weights + width * columns.most_taps;
  void *sums = rows.weights + height * rows.most_taps;

  plan_weights(&columns, in_width, width, filter);
  plan_weights(&rows, in_height, height, filter);
  if (is_byte) {
    int32_t *weights = (int32_t *)sums + width;
    resize_bytes(out, in, &columns, &rows, weights, (uint8_t *)(weights + n_weights), sums);
  } else {
    resize_reals(out, in, &columns, &rows, (double *)sums + width, sums);
  }
  dn_free(dn_device_cpu(), block, n_bytes);
  return DN_OK;
}
