/*
** Separable resampling: first along rows, then along columns, each output pixel a weighted sum of its
** taps (dn_image_weights.h). Of the result only a window is computed, and of the input only what that
** window's pixels read.
*/
#include <inttypes.h>
#include <string.h>

#include "dn_image.h"
#include "dn_image_row.h"
#include "dn_image_weights.h"

/* One resize at work: weights of both directions and what lies between the two passes. */
typedef struct resampling {
  dn_image_weights columns, rows;
  int64_t top, left;       /* of the rectangle in the input */
  int64_t from, n_between; /* rows of the rectangle that the window reads */
  void *between;           /* n_between x width: those rows, narrowed */
  void *sums;              /* a row of the output in the making */
  int32_t *column_weights; /* whole numbers, for bytes */
  int32_t *row_weights;
  uint8_t *block; /* LANES rows of the input, for bytes */
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
enum {
  WEIGHT_BITS = 22,
  LANES = 16 /* rows that are narrowed together: the loops over them become vector instructions */
};

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
** Pixels `from` .. `to`-1 of rows y .. y+n_rows-1 (at most LANES), those of a column side by side. Lanes without
** a row repeat the last.
*/
static void gather_block(const dn_tensor *in, int64_t c, int64_t y, int64_t n_rows, int64_t from,
                         int64_t to, uint8_t *restrict block) {
  for (int64_t lane = 0; lane < LANES; lane++) {
    const uint8_t *row = dn_image_row(in, c, y + (lane < n_rows ? lane : n_rows - 1));
    for (int64_t x = from; x < to; x++) block[(x - from) * LANES + lane] = row[x];
  }
}

/* Rows of `between` from a block of the input's. */
static void narrow_block(const resampling *r, int64_t n_rows, uint8_t *narrow) {
  const dn_image_weights *columns = &r->columns;
  const int64_t width = columns->count, from = dn_image_weights_from(columns);
  for (int64_t x = 0; x < width; x++) {
    const int32_t *weight = r->column_weights + x * columns->most_taps;
    const uint8_t *taps = r->block + (columns->first[x] - from) * LANES;
    int32_t sums[LANES];
    uint8_t settled[LANES];
    for (int lane = 0; lane < LANES; lane++) sums[lane] = HALF;
    for (int64_t k = 0; k < columns->n_taps[x]; k++)
      for (int lane = 0; lane < LANES; lane++) sums[lane] += weight[k] * taps[k * LANES + lane];
    for (int lane = 0; lane < LANES; lane++) settled[lane] = settle(sums[lane]);
    for (int64_t lane = 0; lane < n_rows; lane++) narrow[lane * width + x] = settled[lane];
  }
}

static void narrow_bytes(const resampling *r, const dn_tensor *in, int64_t c) {
  const int64_t width = r->columns.count;
  const int64_t from = r->left + dn_image_weights_from(&r->columns);
  const int64_t to = r->left + dn_image_weights_to(&r->columns);
  for (int64_t y = 0; y < r->n_between; y += LANES) {
    const int64_t n_rows = r->n_between - y < LANES ? r->n_between - y : LANES;
    gather_block(in, c, r->top + r->from + y, n_rows, from, to, r->block);
    narrow_block(r, n_rows, (uint8_t *)r->between + y * width);
  }
}

static void combine_bytes(const resampling *r, int64_t y, uint8_t *restrict out) {
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

/* Rounded up to what any element type is aligned to. */
static int64_t aligned(int64_t n_bytes) { return (n_bytes + 63) / 64 * 64; }

dn_status dn_image_resample(dn_tensor *out, const dn_tensor *in, dn_image_window window,
                            dn_image_filter filter) {
  DN_TRY(check_resize(out, in, filter));
  DN_TRY(check_window(out, in, window));
  const int64_t height = out->size[1], width = out->size[2];
  const dn_image_axis across = {window.width, window.scaled_width, window.first_column, width,
                                filter};
  const dn_image_axis down = {window.height, window.scaled_height, window.first_row, height,
                              filter};
  const bool is_byte = out->dtype == DN_BYTE;

  /* The weights tell how many rows lie between the passes, so they come in a block of their own. */
  const int64_t column_bytes = aligned(dn_image_weights_bytes(across));
  const int64_t n_weight_bytes = column_bytes + dn_image_weights_bytes(down);
  resampling r = {.top = window.top, .left = window.left};
  void *weights, *work;
  DN_TRY(dn_alloc(dn_device_cpu(), n_weight_bytes, &weights));
  dn_image_weights_plan(across, weights, &r.columns);
  dn_image_weights_plan(down, (char *)weights + column_bytes, &r.rows);

  r.from = dn_image_weights_from(&r.rows);
  r.n_between = dn_image_weights_to(&r.rows) - r.from;
  const int64_t span = dn_image_weights_to(&r.columns) - dn_image_weights_from(&r.columns);
  const int64_t element = is_byte ? 1 : (int64_t)sizeof(double);
  const int64_t between_bytes = aligned(r.n_between * width * element);
  const int64_t sum_bytes = aligned(width * (int64_t)sizeof(double));
  const int64_t column_weights = aligned(width * r.columns.most_taps * (int64_t)sizeof(int32_t));
  const int64_t row_weights = aligned(height * r.rows.most_taps * (int64_t)sizeof(int32_t));
  const int64_t n_work_bytes =
      between_bytes + sum_bytes + (is_byte ? column_weights + row_weights + LANES * span : 0);
  const dn_status status = dn_alloc(dn_device_cpu(), n_work_bytes, &work);
  if (status == DN_OK) {
    r.between = work;
    r.sums = (char *)work + between_bytes;
    if (is_byte) {
      r.column_weights = (int32_t *)(void *)((char *)r.sums + sum_bytes);
      r.row_weights = r.column_weights + column_weights / (int64_t)sizeof(int32_t);
      r.block = (uint8_t *)r.row_weights + row_weights;
      resample_bytes(&r, out, in);
    } else {
      resample_reals(&r, out, in);
    }
    dn_free(dn_device_cpu(), work, n_work_bytes);
  }
  dn_free(dn_device_cpu(), weights, n_weight_bytes);
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
