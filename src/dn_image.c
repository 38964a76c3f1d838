/*
** Flips, crops, normalisation and rotation: everything that looks at a pixel or at its nearest
** neighbours. Resizing has a file of its own, dn_image_resize.c.
*/
#include "dn_image.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "dn_image_draw.h"
#include "dn_image_row.h"
#include "dn_wide.h"

/* --- moving pixels ------------------------------------------------------------------------- */

static dn_status check_same_channels(const dn_tensor *out, const dn_tensor *in) {
  if (out->size[0] == in->size[0]) return DN_OK;
  return dn_error_argument(1, "has %" PRId64 " channels, the image has %" PRId64, out->size[0],
                           in->size[0]);
}

static dn_status check_same_size(const dn_tensor *out, const dn_tensor *in) {
  if (dn_tensor_same_shape(out, in)) return DN_OK;
  char wanted[DN_SHAPE_TEXT], given[DN_SHAPE_TEXT];
  return dn_error_argument(1, "must be %s as the image, got %s", dn_tensor_shape_text(in, wanted),
                           dn_tensor_shape_text(out, given));
}

static dn_status check_apart(const dn_tensor *out, const dn_tensor *in) {
  if (!dn_tensor_overlaps(out, in)) return DN_OK;
  return dn_error_argument(1, "shares memory with the image it is made from");
}

/* Flips and crops move elements of any size. */
static dn_status check_move(const dn_tensor *out, const dn_tensor *in) {
  DN_TRY(dn_image_check(1, out, DN_IMAGE_ANY));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_ANY));
  if (out->dtype != in->dtype)
    return dn_error_argument(1, "is %s, the image is %s", dn_dtype_name(out->dtype),
                             dn_dtype_name(in->dtype));
  DN_TRY(check_same_channels(out, in));
  return check_apart(out, in);
}

static void mirror_row(void *out, const void *in, int64_t n, size_t element_size) {
  switch (element_size) {
    case 1:
      for (int64_t i = 0; i < n; i++) ((uint8_t *)out)[i] = ((const uint8_t *)in)[n - 1 - i];
      break;
    case 4:
      for (int64_t i = 0; i < n; i++) ((uint32_t *)out)[i] = ((const uint32_t *)in)[n - 1 - i];
      break;
    default:
      for (int64_t i = 0; i < n; i++) ((uint64_t *)out)[i] = ((const uint64_t *)in)[n - 1 - i];
  }
}

dn_status dn_image_flip(dn_tensor *out, const dn_tensor *in) {
  DN_TRY(check_move(out, in));
  DN_TRY(check_same_size(out, in));
  const size_t element_size = dn_dtype_size(in->dtype);
  for (int64_t c = 0; c < in->size[0]; c++)
    for (int64_t y = 0; y < in->size[1]; y++)
      mirror_row(dn_image_row(out, c, y), dn_image_row(in, c, y), in->size[2], element_size);
  return DN_OK;
}

/* The columns begin..end-1 of an output row of `width` that an input row covers from `left`. */
typedef struct span {
  int64_t begin, end;
} span;

static span covered(int64_t width, int64_t in_width, int64_t left) {
  span s = {left < 0 ? -left : 0, in_width - left};
  if (s.end > width) s.end = width;
  if (s.begin > width) s.begin = width;
  if (s.end < s.begin) s.end = s.begin;
  return s;
}

/* Offsets beyond this have nothing in common with any image and would overflow. */
static dn_status check_offset(int argument, int64_t offset) {
  const int64_t most = INT64_MAX / 4;
  if (offset >= -most && offset <= most) return DN_OK;
  return dn_error_argument(argument, "an offset of %" PRId64 " pixels", offset);
}

dn_status dn_image_crop(dn_tensor *out, const dn_tensor *in, int64_t top, int64_t left) {
  DN_TRY(check_move(out, in));
  DN_TRY(check_offset(3, top));
  DN_TRY(check_offset(4, left));
  const size_t element_size = dn_dtype_size(in->dtype);
  const int64_t width = out->size[2];
  const span columns = covered(width, in->size[2], left);
  const span rows = covered(out->size[1], in->size[1], top);
  for (int64_t c = 0; c < out->size[0]; c++)
    for (int64_t y = 0; y < out->size[1]; y++) {
      char *row = dn_image_row(out, c, y);
      if (y < rows.begin || y >= rows.end || columns.begin == columns.end) {
        memset(row, 0, (size_t)width * element_size);
        continue;
      }
      const char *from = dn_image_row(in, c, y + top);
      memset(row, 0, (size_t)columns.begin * element_size);
      memcpy(row + (size_t)columns.begin * element_size,
             from + (size_t)(columns.begin + left) * element_size,
             (size_t)(columns.end - columns.begin) * element_size);
      memset(row + (size_t)columns.end * element_size, 0,
             (size_t)(width - columns.end) * element_size);
    }
  return DN_OK;
}

/* --- normalisation ------------------------------------------------------------------------- */

static dn_status check_normalization(int argument, int64_t channels, int n_channels,
                                     const double *deviation) {
  if (n_channels != channels)
    return dn_error_argument(argument, "has %d numbers, the image has %" PRId64 " channels",
                             n_channels, channels);
  for (int c = 0; c < n_channels; c++)
    if (!(deviation[c] > 0 && isfinite(deviation[c])))
      return dn_error_argument(argument + 1, "standard deviation %g of channel %d is not above 0",
                               deviation[c], c + 1);
  return DN_OK;
}

#define NORMALIZE_ROW(to, from)   \
  for (int64_t i = 0; i < n; i++) \
  ((to *)out)[i] = ((to)((const from *)in)[i] - (to)mean) / (to)deviation

DN_WIDE static void normalize_row(void *out, dn_dtype to, const void *in, dn_dtype from, int64_t n,
                                  double mean, double deviation) {
  if (to == DN_FLOAT && from == DN_BYTE)
    NORMALIZE_ROW(float, uint8_t);
  else if (to == DN_FLOAT)
    NORMALIZE_ROW(float, float);
  else if (from == DN_BYTE)
    NORMALIZE_ROW(double, uint8_t);
  else
    NORMALIZE_ROW(double, double);
}

dn_status dn_image_normalize(dn_tensor *out, const dn_tensor *in, int n_channels,
                             const double *mean, const double *deviation) {
  DN_TRY(dn_image_check(1, out, DN_IMAGE_REAL));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_ANY));
  if (in->dtype != DN_BYTE && in->dtype != out->dtype)
    return dn_error_argument(2, "is %s; an image for a %s output is byte or %s",
                             dn_dtype_name(in->dtype), dn_dtype_name(out->dtype),
                             dn_dtype_name(out->dtype));
  DN_TRY(check_same_size(out, in));
  if (!dn_tensor_is_same_view(out, in)) DN_TRY(check_apart(out, in));
  DN_TRY(check_normalization(3, in->size[0], n_channels, deviation));
  for (int64_t c = 0; c < in->size[0]; c++)
    for (int64_t y = 0; y < in->size[1]; y++)
      normalize_row(dn_image_row(out, c, y), out->dtype, dn_image_row(in, c, y), in->dtype,
                    in->size[2], mean[c], deviation[c]);
  return DN_OK;
}

/* normalize_row of bytes that are read backwards: in[0], in[-1], ... */
DN_WIDE static void normalize_row_mirrored(void *out, dn_dtype to, const uint8_t *in, int64_t n,
                                           double mean, double deviation) {
  if (to == DN_FLOAT)
    for (int64_t i = 0; i < n; i++)
      ((float *)out)[i] = ((float)in[-i] - (float)mean) / (float)deviation;
  else
    for (int64_t i = 0; i < n; i++) ((double *)out)[i] = ((double)in[-i] - mean) / deviation;
}

dn_status dn_image_draw(dn_image_recipe recipe, dn_rng rng, const int64_t in_size[2],
                        const int64_t out_size[2], dn_image_augmentation *drawn) {
  dn_image_augmentation how = {0};
  if (recipe.flips) how.flip = dn_image_draw_uniform(&rng, 0, 1) < recipe.flip_probability;
  if (recipe.crops) {
    const int64_t rows = in_size[0] + 2 * recipe.padding - out_size[0] + 1;
    const int64_t columns = in_size[1] + 2 * recipe.padding - out_size[1] + 1;
    if (rows < 1 || columns < 1)
      return dn_error(DN_EARG,
                      "a crop of %" PRId64 "x%" PRId64 " pixels does not fit an image of %" PRId64
                      "x%" PRId64 " padded by %" PRId64,
                      out_size[0], out_size[1], in_size[0], in_size[1], recipe.padding);
    how.left = dn_image_draw_integer(&rng, columns) - recipe.padding;
    how.top = dn_image_draw_integer(&rng, rows) - recipe.padding;
  } else if (in_size[0] != out_size[0] || in_size[1] != out_size[1])
    return dn_error(DN_EARG,
                    "without a crop, images of %" PRId64 "x%" PRId64
                    " pixels cannot become images of %" PRId64 "x%" PRId64,
                    in_size[0], in_size[1], out_size[0], out_size[1]);
  *drawn = how;
  return DN_OK;
}

static dn_status check_batch(int argument, const dn_tensor *batch, int64_t index,
                             dn_image_dtypes dtypes, dn_tensor *image) {
  if (batch->n_dim != 4) {
    char text[DN_SHAPE_TEXT];
    return dn_error_argument(argument, "a batch of images is N,C,H,W, got %s",
                             dn_tensor_shape_text(batch, text));
  }
  if (index < 0 || index >= batch->size[0])
    return dn_error_argument(argument + 1, "image %" PRId64 " of a batch of %" PRId64, index + 1,
                             batch->size[0]);
  /* Only looked at during the call, so the view needs no reference of its own. */
  *image = *batch;
  image->n_dim = 3;
  image->offset += index * batch->stride[0];
  for (int d = 0; d < 3; d++) {
    image->size[d] = batch->size[d + 1];
    image->stride[d] = batch->stride[d + 1];
  }
  return dn_image_check(argument, image, dtypes);
}

dn_status dn_image_augment(dn_tensor *out, int64_t to, const dn_tensor *images, int64_t from,
                           dn_image_augmentation how, int n_channels, const double *mean,
                           const double *deviation) {
  dn_tensor target, source;
  DN_TRY(check_batch(1, out, to, DN_IMAGE_REAL, &target));
  DN_TRY(check_batch(3, images, from, DN_IMAGE_BYTE, &source));
  DN_TRY(check_same_channels(&target, &source));
  DN_TRY(check_offset(5, how.top));
  DN_TRY(check_offset(5, how.left));
  DN_TRY(check_normalization(6, source.size[0], n_channels, deviation));
  const size_t element_size = dn_dtype_size(target.dtype);
  const int64_t width = target.size[2], in_width = source.size[2];
  const span columns = covered(width, in_width, how.left);
  const span rows = covered(target.size[1], source.size[1], how.top);
  for (int64_t c = 0; c < target.size[0]; c++)
    for (int64_t y = 0; y < target.size[1]; y++) {
      char *row = dn_image_row(&target, c, y);
      if (y < rows.begin || y >= rows.end || columns.begin == columns.end) {
        memset(row, 0, (size_t)width * element_size);
        continue;
      }
      const uint8_t *in = dn_image_row(&source, c, y + how.top);
      const int64_t first = columns.begin + how.left, n = columns.end - columns.begin;
      char *inside = row + (size_t)columns.begin * element_size;
      memset(row, 0, (size_t)columns.begin * element_size);
      if (how.flip)
        normalize_row_mirrored(inside, target.dtype, in + (in_width - 1 - first), n, mean[c],
                               deviation[c]);
      else
        normalize_row(inside, target.dtype, in + first, DN_BYTE, n, mean[c], deviation[c]);
      memset(row + (size_t)columns.end * element_size, 0,
             (size_t)(width - columns.end) * element_size);
    }
  return DN_OK;
}

/* --- rotation ------------------------------------------------------------------------------ */

/* Pixel (y, x) of channel c, 0 outside the image. */
static double pixel(const dn_tensor *image, int64_t c, int64_t y, int64_t x) {
  if (y < 0 || y >= image->size[1] || x < 0 || x >= image->size[2]) return 0;
  return dn_image_load(dn_image_row(image, c, y), image->dtype, x);
}

dn_status dn_image_rotate(dn_tensor *out, const dn_tensor *in, double angle) {
  DN_TRY(dn_image_check(1, out, DN_IMAGE_REAL));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_ANY));
  DN_TRY(check_same_size(out, in));
  DN_TRY(check_apart(out, in));
  if (!isfinite(angle)) return dn_error_argument(3, "an angle of %g radians", angle);
  const double cosine = cos(angle), sine = sin(angle);
  const double middle_y = (double)(in->size[1] - 1) / 2, middle_x = (double)(in->size[2] - 1) / 2;
  for (int64_t y = 0; y < out->size[1]; y++)
    for (int64_t x = 0; x < out->size[2]; x++) {
      const double dy = (double)y - middle_y, dx = (double)x - middle_x;
      const double from_y = middle_y + cosine * dy + sine * dx;
      const double from_x = middle_x + cosine * dx - sine * dy;
      const int64_t y0 = (int64_t)floor(from_y), x0 = (int64_t)floor(from_x);
      const double part_y = from_y - (double)y0, part_x = from_x - (double)x0;
      for (int64_t c = 0; c < out->size[0]; c++) {
        const double upper =
            (1 - part_x) * pixel(in, c, y0, x0) + part_x * pixel(in, c, y0, x0 + 1);
        const double lower =
            (1 - part_x) * pixel(in, c, y0 + 1, x0) + part_x * pixel(in, c, y0 + 1, x0 + 1);
        dn_image_store(dn_image_row(out, c, y), out->dtype, x,
                       (1 - part_y) * upper + part_y * lower);
      }
    }
  return DN_OK;
}
