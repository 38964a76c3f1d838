/*
** Separable resampling: first along rows, then along columns, each output pixel a weighted sum of its
** taps (dn_image_weights.h). Of the result only a window is computed, and of the input only what that
** window's pixels read.
*/
#include <inttypes.h>

#include "dn_image.h"
#include "dn_image_lanes.h"
#include "dn_image_row.h"
#include "dn_image_weights.h"
#include "dn_wide.h"

/* One resize at work: weights of both directions and what lies between the two passes. */
typedef struct resampling {
  dn_image_weights columns, rows;
  int64_t top, left;       /* of the rectangle in the input */
  int64_t from, n_between; /* rows of the rectangle that the window reads */
  void *between;           /* n_between x width: those rows, narrowed */
  void *sums;              /* a row of the output in the making */
  int32_t *column_weights; /* whole numbers, for bytes */
  int32_t *row_weights;
  uint8_t *strip, *narrow_strip; /* LANES rows of the input and of `between`, turned, for bytes */
  uint8_t *strip_work, *spare_row;
} resampling;

/* ---- Reals, or bytes into reals ---- */

/* Row y of `between`, from row y of what the window reads. */
static void narrow_row(const resampling *r, const void *row, dn_dtype dtype, double *narrow) {
  const dn_image_weights *columns = &r->columns;
  for (int64_t x = 0; x < columns->count; x++) {
    const double *weight = columns->weight + x * columns->most_taps;
    double sum = 0;
    for (int64_t k = 0; k < columns->n_taps[x]; k++)
      sum += weight[k] * dn_image_load(row, dtype, r->left + columns->first[x] + k);
    narrow[x] = sum;
  }
}

static void combine_rows(const resampling *r, int64_t y, double *sums) {
  const int64_t width = r->columns.count;
  const double *weight = r->rows.weight + y * r->rows.most_taps;
  for (int64_t x = 0; x < width; x++) sums[x] = 0;
  for (int64_t k = 0; k < r->rows.n_taps[y]; k++) {
    const double *from = (const double *)r->between + (r->rows.first[y] + k - r->from) * width;
    for (int64_t x = 0; x < width; x++) sums[x] += weight[k] * from[x];
  }
}

static void resample_reals(const resampling *r, dn_tensor *out, const dn_tensor *in) {
  const int64_t height = r->rows.count, width = r->columns.count;
  double *between = r->between, *sums = r->sums;
  for (int64_t c = 0; c < in->size[0]; c++) {
    for (int64_t y = 0; y < r->n_between; y++)
      narrow_row(r, dn_image_row(in, c, r->top + r->from + y), in->dtype, between + y * width);
    for (int64_t y = 0; y < height; y++) {
      combine_rows(r, y, sums);
      for (int64_t x = 0; x < width; x++)
        dn_image_store(dn_image_row(out, c, y), out->dtype, x, sums[x]);
    }
  }
}

/*
** ---- Bytes into bytes ----
**
** PIL's own arithmetic, to the bit: weights are whole numbers of 1/2^22, and each pass, rows first,
** ends in bytes, rounded and clipped. The weights of a pixel sum to 1 and their magnitudes to less
** than 1.5, so that 255 of them fit 32 bits.
*/
enum { WEIGHT_BITS = 22, LANES = DN_IMAGE_LANES };

#define HALF (INT32_C(1) << (WEIGHT_BITS - 1))

static void round_weights(const dn_image_weights *plan, int32_t *rounded) {
  const double one = (double)(INT32_C(1) << WEIGHT_BITS);
  for (int64_t i = 0; i < plan->count; i++)
    for (int64_t k = 0; k < plan->n_taps[i]; k++) {
      const double weight = plan->weight[i * plan->most_taps + k] * one;
      rounded[i * plan->most_taps + k] = (int32_t)(weight + (weight < 0 ? -0.5 : 0.5));
    }
}

static uint8_t settle(int32_t sum) {
  const int32_t value = sum >> WEIGHT_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/*
** Vectors that a processor may lack are passed by address: how they would be passed by value depends
** on what it has. Comparisons give -1 where they hold.
*/
static void settle_lanes(const dn_image_lane_sums *sums, dn_image_lane_bytes *settled) {
  dn_image_lane_sums value = *sums >> WEIGHT_BITS;
  value &= value > 0;
  const dn_image_lane_sums is_over = value > 255;
  value = (is_over & 255) | (~is_over & value);
  *settled = __builtin_convertvector(__builtin_convertvector(value, dn_image_lane_shorts),
                                     dn_image_lane_bytes);
}

/* Bytes become sums in two steps, each of which is an instruction. */
static void add_tap(dn_image_lane_sums *sums, int32_t weight, const dn_image_lane_bytes *tap) {
  *sums += weight * __builtin_convertvector(__builtin_convertvector(*tap, dn_image_lane_shorts),
                                            dn_image_lane_sums);
}

/* The columns of a strip whose first one is number `from` of the rectangle. */
DN_WIDE static void narrow_columns(const dn_image_weights *columns, const int32_t *weights,
                                   int64_t from, const dn_image_lane_bytes *strip,
                                   dn_image_lane_bytes *narrow_strip) {
  for (int64_t x = 0; x < columns->count; x++) {
    const int32_t *weight = weights + x * columns->most_taps;
    const dn_image_lane_bytes *taps = strip + columns->first[x] - from;
    dn_image_lane_sums sums = HALF - (dn_image_lane_sums){0};
    for (int64_t k = 0; k < columns->n_taps[x]; k++) add_tap(&sums, weight[k], &taps[k]);
    settle_lanes(&sums, &narrow_strip[x]);
  }
}

/*
** Rows y .. y+n_rows-1 (at most LANES) of `between` from those of the input. Lanes without a row of
** their own read the last one and write nowhere.
*/
static void narrow_rows(const resampling *r, const dn_tensor *in, int64_t c, int64_t y,
                        int64_t n_rows) {
  const dn_image_weights *columns = &r->columns;
  const int64_t width = columns->count, from = dn_image_weights_from(columns);
  const uint8_t *rows[LANES];
  uint8_t *narrow[LANES];
  for (int64_t lane = 0; lane < LANES; lane++) {
    const int64_t row = lane < n_rows ? lane : n_rows - 1;
    rows[lane] = (const uint8_t *)dn_image_row(in, c, r->top + r->from + y + row) + r->left + from;
    narrow[lane] = lane < n_rows ? (uint8_t *)r->between + (y + lane) * width : r->spare_row;
  }
  dn_image_lanes_gather(rows, dn_image_weights_to(columns) - from, r->strip, r->strip_work);
  narrow_columns(columns, r->column_weights, from, (const dn_image_lane_bytes *)(void *)r->strip,
                 (dn_image_lane_bytes *)(void *)r->narrow_strip);
  dn_image_lanes_scatter(r->narrow_strip, width, narrow, r->strip_work);
}

static void narrow_bytes(const resampling *r, const dn_tensor *in, int64_t c) {
  for (int64_t y = 0; y < r->n_between; y += LANES)
    narrow_rows(r, in, c, y, r->n_between - y < LANES ? r->n_between - y : LANES);
}

DN_WIDE static void combine_bytes(const resampling *r, int64_t y, uint8_t *restrict out) {
  const int64_t width = r->columns.count;
  const int32_t *weight = r->row_weights + y * r->rows.most_taps;
  int32_t *restrict sums = r->sums;
  for (int64_t x = 0; x < width; x++) sums[x] = HALF;
  for (int64_t k = 0; k < r->rows.n_taps[y]; k++) {
    const uint8_t *from = (const uint8_t *)r->between + (r->rows.first[y] + k - r->from) * width;
    for (int64_t x = 0; x < width; x++) sums[x] += weight[k] * from[x];
  }
  for (int64_t x = 0; x < width; x++) out[x] = settle(sums[x]);
}

static void resample_bytes(const resampling *r, dn_tensor *out, const dn_tensor *in) {
  round_weights(&r->columns, r->column_weights);
  round_weights(&r->rows, r->row_weights);
  for (int64_t c = 0; c < in->size[0]; c++) {
    narrow_bytes(r, in, c);
    for (int64_t y = 0; y < r->rows.count; y++) combine_bytes(r, y, dn_image_row(out, c, y));
  }
}

/* ---- Both ---- */

/* Keeps products of two sides and a few factors far from overflow. */
enum { LONGEST_SIDE = 1 << 24 };

static dn_status check_sides(int argument, int64_t height, int64_t width) {
  if (height >= 1 && width >= 1 && height <= LONGEST_SIDE && width <= LONGEST_SIDE) return DN_OK;
  return dn_error_argument(argument, "cannot resize an image of %" PRId64 "x%" PRId64 " pixels",
                           height, width);
}

static bool is_inside(int64_t begin, int64_t count, int64_t whole) {
  return begin >= 0 && count >= 1 && begin <= whole - count;
}

static dn_status check_window(const dn_tensor *out, const dn_tensor *in, dn_image_window window) {
  if (!is_inside(window.top, window.height, in->size[1]) ||
      !is_inside(window.left, window.width, in->size[2]))
    return dn_error_argument(3,
                             "a rectangle of %" PRId64 "x%" PRId64 " pixels at (%" PRId64
                             ", %" PRId64 ") of an image of %" PRId64 "x%" PRId64,
                             window.height, window.width, window.top, window.left, in->size[1],
                             in->size[2]);
  DN_TRY(check_sides(3, window.scaled_height, window.scaled_width));
  if (is_inside(window.first_row, out->size[1], window.scaled_height) &&
      is_inside(window.first_column, out->size[2], window.scaled_width))
    return DN_OK;
  return dn_error_argument(3,
                           "%" PRId64 "x%" PRId64 " pixels at (%" PRId64 ", %" PRId64
                           ") of a scaled image of %" PRId64 "x%" PRId64,
                           out->size[1], out->size[2], window.first_row, window.first_column,
                           window.scaled_height, window.scaled_width);
}

static dn_status check_resize(const dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(dn_image_check(1, out, in->dtype == DN_BYTE ? DN_IMAGE_ANY : DN_IMAGE_REAL));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_ANY));
  if (out->size[0] != in->size[0])
    return dn_error_argument(1, "has %" PRId64 " channels, the image has %" PRId64, out->size[0],
                             in->size[0]);
  DN_TRY(check_sides(1, out->size[1], out->size[2]));
  DN_TRY(check_sides(2, in->size[1], in->size[2]));
  if (filter < 0 || filter >= DN_IMAGE_FILTER_COUNT)
    return dn_error_argument(3, "%d names no filter", (int)filter);
  if (dn_tensor_overlaps(out, in))
    return dn_error_argument(1, "shares memory with the image it is made from");
  return DN_OK;
}

/* Hands out the parts of a block, each aligned for any element; without a block it only counts. */
typedef struct carving {
  char *block;
  int64_t n_bytes;
} carving;

static void *carve(carving *c, int64_t n_bytes) {
  void *part = c->block ? c->block + c->n_bytes : NULL;
  c->n_bytes += (n_bytes + 63) / 64 * 64;
  return part;
}

static void lay_out(resampling *r, bool is_byte, carving *c) {
  const int64_t height = r->rows.count, width = r->columns.count;
  r->between = carve(c, r->n_between * width * (is_byte ? 1 : (int64_t)sizeof(double)));
  r->sums = carve(c, width * (int64_t)sizeof(double));
  if (!is_byte) return;
  const int64_t weight_bytes = sizeof(int32_t);
  const int64_t span = dn_image_weights_to(&r->columns) - dn_image_weights_from(&r->columns);
  r->column_weights = carve(c, width * r->columns.most_taps * weight_bytes);
  r->row_weights = carve(c, height * r->rows.most_taps * weight_bytes);
  r->strip = carve(c, LANES * span);
  r->narrow_strip = carve(c, LANES * width);
  r->strip_work = carve(c, LANES * (span > width ? span : width));
  r->spare_row = carve(c, width);
}

static dn_status resample_planned(resampling *r, dn_tensor *out, const dn_tensor *in) {
  const bool is_byte = out->dtype == DN_BYTE;
  carving count = {NULL, 0};
  lay_out(r, is_byte, &count);
  void *block;
  DN_TRY(dn_alloc(dn_device_cpu(), count.n_bytes, &block));
  carving parts = {block, 0};
  lay_out(r, is_byte, &parts);
  if (is_byte)
    resample_bytes(r, out, in);
  else
    resample_reals(r, out, in);
  dn_free(dn_device_cpu(), block, count.n_bytes);
  return DN_OK;
}

/* The weights tell how many rows lie between the passes, so they have a block of their own. */
dn_status dn_image_resample(dn_tensor *out, const dn_tensor *in, dn_image_window window,
                            dn_image_filter filter) {
  DN_TRY(check_resize(out, in, filter));
  DN_TRY(check_window(out, in, window));
  const dn_image_axis across = {window.width, window.scaled_width, window.first_column,
                                out->size[2], filter};
  const dn_image_axis down = {window.height, window.scaled_height, window.first_row, out->size[1],
                              filter};
  const int64_t across_bytes = dn_image_weights_bytes(across);
  const int64_t n_bytes = across_bytes + dn_image_weights_bytes(down);
  void *block;
  DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &block));
  resampling r = {.top = window.top, .left = window.left};
  dn_image_weights_plan(across, block, &r.columns);
  dn_image_weights_plan(down, (char *)block + across_bytes, &r.rows);
  r.from = dn_image_weights_from(&r.rows);
  r.n_between = dn_image_weights_to(&r.rows) - r.from;
  const dn_status status = resample_planned(&r, out, in);
  dn_free(dn_device_cpu(), block, n_bytes);
  return status;
}

dn_status dn_image_resize(dn_tensor *out, const dn_tensor *in, dn_image_filter filter) {
  DN_TRY(check_resize(out, in, filter));
  const dn_image_window whole = {.height = in->size[1],
                                 .width = in->size[2],
                                 .scaled_height = out->size[1],
                                 .scaled_width = out->size[2]};
  return dn_image_resample(out, in, whole, filter);
}
