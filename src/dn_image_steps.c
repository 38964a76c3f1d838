#include "dn_image_steps.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "dn_image_draw.h"
#include "dn_image_row.h"
#include "dn_wide.h"

/* ---- Where ---- */

/* RandomSizedCrop's, as random_sized_crop.lua has them. */
enum { TRIES = 10 };
static const double LARGEST_AREA = 1;
static const double NARROWEST = 3.0 / 4, WIDEST = 4.0 / 3;

/* As geometry.lua's. */
static void scale_smaller(int64_t size, int64_t height, int64_t width, int64_t scaled[2]) {
  scaled[0] = width < height ? height * size / width : size;
  scaled[1] = width < height ? size : width * size / height;
}

static int64_t middle(int64_t whole, int64_t part, bool rounds_even) {
  const int64_t rest = whole - part, half = rest / 2;
  return rest % 2 == 0 || (rounds_even && half % 2 == 0) ? half : half + 1;
}

static dn_status find_middle(int64_t scale, int64_t crop, bool rounds_even, int64_t height,
                             int64_t width, dn_image_window *window) {
  int64_t scaled[2] = {height, width};
  if (scale) scale_smaller(scale, height, width, scaled);
  if (crop > scaled[0] || crop > scaled[1])
    return dn_error(DN_EARG,
                    "CenterCrop: a square of %" PRId64 " pixels does not fit an image of %" PRId64
                    "x%" PRId64,
                    crop, scaled[0], scaled[1]);
  *window = (dn_image_window){.height = height,
                              .width = width,
                              .scaled_height = scaled[0],
                              .scaled_width = scaled[1],
                              .first_row = crop ? middle(scaled[0], crop, rounds_even) : 0,
                              .first_column = crop ? middle(scaled[1], crop, rounds_even) : 0};
  return DN_OK;
}

/* One try; false where the rectangle is larger than the image. */
static bool try_rectangle(dn_rng *rng, double smallest_area, int64_t height, int64_t width,
                          dn_image_window *window) {
  const double share = dn_image_draw_uniform(rng, smallest_area, LARGEST_AREA);
  const double area = (double)(height * width) * share;
  const double aspect = dn_image_draw_uniform(rng, NARROWEST, WIDEST);
  int64_t w = (int64_t)floor(sqrt(area * aspect) + 0.5);
  int64_t h = (int64_t)floor(sqrt(area / aspect) + 0.5);
  if (dn_image_draw_uniform(rng, 0, 1) < 0.5) {
    const int64_t swapped = w;
    w = h;
    h = swapped;
  }
  if (h < 1 || w < 1 || h > height || w > width) return false;
  window->top = dn_image_draw_integer(rng, height - h + 1);
  window->left = dn_image_draw_integer(rng, width - w + 1);
  window->height = h;
  window->width = w;
  return true;
}

dn_status dn_image_draw_window(const dn_image_steps *steps, int64_t height, int64_t width,
                               dn_rng *rng, dn_image_window *window) {
  if (steps->cut == DN_IMAGE_CUT_MIDDLE)
    return find_middle(steps->scale, steps->crop, steps->rounds_even, height, width, window);
  *window = (dn_image_window){.scaled_height = steps->crop, .scaled_width = steps->crop};
  for (int i = 0; i < TRIES; i++)
    if (try_rectangle(rng, steps->smallest_area, height, width, window)) return DN_OK;
  return find_middle(steps->crop, steps->crop, false, height, width, window);
}

int dn_image_reduction(const dn_image_steps *steps, dn_image_window window) {
  if (!steps->decodes_reduced || steps->cut != DN_IMAGE_CUT_RANDOM_SIZED) return 8;
  for (int eighths = 1; eighths < 8; eighths *= 2)
    if (window.height * eighths / 8 >= window.scaled_height &&
        window.width * eighths / 8 >= window.scaled_width)
      return eighths;
  return 8;
}

/* Pixels first .. first+count-1 of `whole` in an image that has `reduced` of them instead. */
static void reduce_side(int64_t whole, int64_t reduced, int64_t *first, int64_t *count) {
  const double factor = (double)reduced / (double)whole;
  int64_t begin = (int64_t)floor((double)*first * factor + 0.5);
  int64_t end = (int64_t)floor((double)(*first + *count) * factor + 0.5);
  if (end > reduced) end = reduced;
  if (begin >= end) begin = end - 1;
  if (begin < 0) begin = 0, end = 1;
  *first = begin;
  *count = end - begin;
}

/* ---- Colours ---- */

/*
** out[c] = sum of matrix[c][k] in[k] + shift[c]. A grey image stands for three equal channels, of which
** the first is kept.
*/
typedef struct colours {
  double matrix[3][3], shift[3];
  double mean[3]; /* of the bytes */
} colours;

static const double luminance[3] = {0.299, 0.587, 0.114}; /* of red, green, blue; ITU-R BT.601 */

/* This and what follows change the map so that its result is blended with a dull version of itself. */
static void brighten(colours *map, double weight) {
  for (int c = 0; c < 3; c++) {
    for (int k = 0; k < 3; k++) map->matrix[c][k] *= weight;
    map->shift[c] *= weight;
  }
}

static void contrast(colours *map, double weight) {
  double grey = 0;
  for (int c = 0; c < 3; c++) {
    double mean = map->shift[c];
    for (int k = 0; k < 3; k++) mean += map->matrix[c][k] * map->mean[k];
    grey += luminance[c] * mean;
  }
  brighten(map, weight);
  for (int c = 0; c < 3; c++) map->shift[c] += (1 - weight) * grey;
}

static void saturate(colours *map, double weight) {
  double grey[4] = {0};
  for (int c = 0; c < 3; c++) {
    for (int k = 0; k < 3; k++) grey[k] += luminance[c] * map->matrix[c][k];
    grey[3] += luminance[c] * map->shift[c];
  }
  brighten(map, weight);
  for (int c = 0; c < 3; c++) {
    for (int k = 0; k < 3; k++) map->matrix[c][k] += (1 - weight) * grey[k];
    map->shift[c] += (1 - weight) * grey[3];
  }
}

static void blend(colours *map, int how, double range, dn_rng *rng) {
  const double weight = 1 + dn_image_draw_uniform(rng, -range, range);
  if (how == 0)
    brighten(map, weight);
  else if (how == 1)
    contrast(map, weight);
  else
    saturate(map, weight);
}

static void jitter(colours *map, const double range[3], dn_rng *rng) {
  int left[3], n_left = 0;
  for (int how = 0; how < 3; how++)
    if (range[how] != 0) left[n_left++] = how;
  while (n_left > 0) {
    const int64_t chosen = dn_image_draw_integer(rng, n_left);
    blend(map, left[chosen], range[left[chosen]], rng);
    n_left--;
    for (int64_t i = chosen; i < n_left; i++) left[i] = left[i + 1];
  }
}

static void light(colours *map, const dn_image_step *step, dn_rng *rng) {
  if (step->deviation == 0) return;
  double along[3];
  for (int k = 0; k < 3; k++)
    along[k] = dn_image_draw_normal(rng, step->deviation) * step->eigenvalues[k];
  for (int c = 0; c < 3; c++) {
    const double *row = step->eigenvectors[c];
    map->shift[c] += row[0] * along[0] + row[1] * along[1] + row[2] * along[2];
  }
}

static void normalize(colours *map, const dn_image_step *step) {
  for (int c = 0; c < 3; c++) {
    const int from = step->n_channels == 1 ? 0 : c;
    for (int k = 0; k < 3; k++) map->matrix[c][k] /= step->spread[from];
    map->shift[c] = (map->shift[c] - step->mean[from]) / step->spread[from];
  }
}

/* random_erasing.lua's */
static const double LEAST_ERASED = 0.02, MOST_ERASED = 0.33;
static const double FLATTEST = 0.3, TALLEST = 3.3;

/* A rectangle of an image. */
typedef struct rectangle {
  int64_t top, left, height, width;
} rectangle;

/* What of an image of height x width is erased; nothing where every try is as high or wide as it. */
static rectangle draw_erasure(int64_t height, int64_t width, dn_rng *rng) {
  for (int i = 0; i < TRIES; i++) {
    const double area =
        (double)(height * width) * dn_image_draw_uniform(rng, LEAST_ERASED, MOST_ERASED);
    const double aspect = exp(dn_image_draw_uniform(rng, log(FLATTEST), log(TALLEST)));
    const int64_t h = (int64_t)floor(sqrt(area * aspect) + 0.5);
    const int64_t w = (int64_t)floor(sqrt(area / aspect) + 0.5);
    if (h < 1 || w < 1 || h >= height || w >= width) continue;
    const int64_t top = dn_image_draw_integer(rng, height - h + 1);
    return (rectangle){top, dn_image_draw_integer(rng, width - w + 1), h, w};
  }
  return (rectangle){0};
}

/* What the steps come to: a flip, an erasure, and one map or, where that is all there is, a normalisation. */
typedef struct plan {
  bool flips;
  int64_t height, width; /* of the image */
  rectangle erased;
  int n_colour_steps; /* beside normalisations */
  int n_normalizations;
  const dn_image_step *normalization; /* the last one */
  colours map;                        /* of 1 or 3 channels */
} plan;

static bool changes_colours(const dn_image_step *step) { return step->kind < DN_IMAGE_NORMALIZE; }

static void take_step(plan *p, const dn_image_step *step, bool has_colours, dn_rng *rng) {
  colours *map = &p->map;
  switch (step->kind) {
    case DN_IMAGE_BRIGHTNESS:
    case DN_IMAGE_CONTRAST:
    case DN_IMAGE_SATURATION:
      blend(map, (int)step->kind, step->range[step->kind], rng);
      break;
    case DN_IMAGE_JITTER:
      jitter(map, step->range, rng);
      break;
    case DN_IMAGE_LIGHTING:
      light(map, step, rng);
      break;
    case DN_IMAGE_NORMALIZE:
      p->n_normalizations++;
      p->normalization = step;
      if (has_colours) normalize(map, step);
      break;
    case DN_IMAGE_ERASE:
      if (dn_image_draw_uniform(rng, 0, 1) < step->probability)
        p->erased = draw_erasure(p->height, p->width, rng);
      break;
    default:
      if (dn_image_draw_uniform(rng, 0, 1) < step->probability) p->flips = !p->flips;
  }
  if (changes_colours(step)) p->n_colour_steps++;
}

/* Saturation and lighting are of three channels; so is all that changes colours but of grey images. */
static bool takes_channels(const dn_image_step *step, int64_t n_channels) {
  if (!changes_colours(step) || n_channels == 3) return true;
  if (n_channels != 1) return false;
  return step->kind == DN_IMAGE_BRIGHTNESS || step->kind == DN_IMAGE_CONTRAST ||
         (step->kind == DN_IMAGE_JITTER && step->range[DN_IMAGE_SATURATION] == 0);
}

static dn_status check_steps(const dn_image_steps *steps, int64_t n_channels) {
  int n_normalizations = 0;
  for (int i = 0; i < steps->n_steps; i++) {
    const dn_image_step *step = &steps->step[i];
    if (!takes_channels(step, n_channels))
      return dn_error_argument(3,
                               "colours change in images of the three channels R, G, B, this one "
                               "has %" PRId64,
                               n_channels);
    if (step->kind == DN_IMAGE_ERASE && i < steps->n_steps - 1)
      return dn_error_argument(3, "an erasure is the last step");
    if (step->kind != DN_IMAGE_NORMALIZE) continue;
    if (step->n_channels != n_channels)
      return dn_error_argument(3, "means and deviations of %d channels, the image has %" PRId64,
                               step->n_channels, n_channels);
    if (++n_normalizations > 1 && n_channels != 3 && n_channels != 1)
      return dn_error_argument(3, "several normalisations need 1 or 3 channels");
  }
  return DN_OK;
}

/* ---- Pixels ---- */

/* Channel c of three, also of a grey image. */
static int64_t channel(const dn_tensor *image, int64_t c) { return image->size[0] == 1 ? 0 : c; }

/* A row has at most 2^24 bytes. */
DN_WIDE static uint32_t sum_row(const uint8_t *row, int64_t n) {
  uint32_t sum = 0;
  for (int64_t x = 0; x < n; x++) sum += row[x];
  return sum;
}

static void take_means(const dn_tensor *bytes, double mean[3]) {
  const int64_t height = bytes->size[1], width = bytes->size[2];
  for (int64_t c = 0; c < 3; c++) {
    uint64_t sum = 0;
    for (int64_t y = 0; y < height; y++)
      sum += sum_row(dn_image_row(bytes, channel(bytes, c), y), width);
    mean[c] = (double)sum / (double)(height * width);
  }
}

static void mirror(dn_tensor *bytes) {
  const int64_t width = bytes->size[2];
  for (int64_t c = 0; c < bytes->size[0]; c++)
    for (int64_t y = 0; y < bytes->size[1]; y++) {
      uint8_t *row = dn_image_row(bytes, c, y);
      for (int64_t x = 0; x < width / 2; x++) {
        const uint8_t left = row[x];
        row[x] = row[width - 1 - x];
        row[width - 1 - x] = left;
      }
    }
}

#define DEFINE_MAP_ROW(name, real)                                                            \
  DN_WIDE static void map_##name(real *restrict out, const uint8_t *restrict red,             \
                                 const uint8_t *restrict green, const uint8_t *restrict blue, \
                                 int64_t n, const double matrix[3], double shift) {           \
    const real r = (real)matrix[0], g = (real)matrix[1], b = (real)matrix[2];                 \
    const real s = (real)shift;                                                               \
    for (int64_t x = 0; x < n; x++)                                                           \
      out[x] = r * (real)red[x] + g * (real)green[x] + b * (real)blue[x] + s;                 \
  }

DEFINE_MAP_ROW(floats, float)
DEFINE_MAP_ROW(doubles, double)

static void map_colours(dn_tensor *out, const dn_tensor *bytes, const colours *map) {
  const int64_t width = bytes->size[2];
  for (int64_t y = 0; y < bytes->size[1]; y++) {
    const uint8_t *red = dn_image_row(bytes, 0, y);
    const uint8_t *green = dn_image_row(bytes, channel(bytes, 1), y);
    const uint8_t *blue = dn_image_row(bytes, channel(bytes, 2), y);
    for (int64_t c = 0; c < out->size[0]; c++)
      if (out->dtype == DN_FLOAT)
        map_floats(dn_image_row(out, c, y), red, green, blue, width, map->matrix[c], map->shift[c]);
      else
        map_doubles(dn_image_row(out, c, y), red, green, blue, width, map->matrix[c],
                    map->shift[c]);
  }
}

static dn_status normalize_only(dn_tensor *out, const dn_tensor *bytes,
                                const dn_image_step *normalization) {
  if (normalization)
    return dn_image_normalize(out, bytes, normalization->n_channels, normalization->mean,
                              normalization->spread);
  for (int64_t c = 0; c < bytes->size[0]; c++)
    for (int64_t y = 0; y < bytes->size[1]; y++) {
      const uint8_t *from = dn_image_row(bytes, c, y);
      void *to = dn_image_row(out, c, y);
      for (int64_t x = 0; x < bytes->size[2]; x++) dn_image_store(to, out->dtype, x, from[x]);
    }
  return DN_OK;
}

static void erase(dn_tensor *out, rectangle erased) {
  for (int64_t c = 0; c < out->size[0]; c++)
    for (int64_t y = 0; y < erased.height; y++) {
      void *row = dn_image_row(out, c, erased.top + y);
      for (int64_t x = 0; x < erased.width; x++)
        dn_image_store(row, out->dtype, erased.left + x, 0);
    }
}

static dn_status finish(dn_tensor *out, dn_tensor *bytes, const dn_image_steps *steps, dn_rng rng) {
  plan p = {.map.matrix = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
            .height = bytes->size[1],
            .width = bytes->size[2]};
  const bool has_colours = bytes->size[0] == 3 || bytes->size[0] == 1;
  if (has_colours) take_means(bytes, p.map.mean);
  for (int i = 0; i < steps->n_steps; i++) take_step(&p, &steps->step[i], has_colours, &rng);
  if (p.flips) mirror(bytes);
  if (p.n_colour_steps == 0 && p.n_normalizations <= 1)
    DN_TRY(normalize_only(out, bytes, p.normalization));
  else
    map_colours(out, bytes, &p.map);
  erase(out, p.erased);
  return DN_OK;
}

dn_status dn_image_take_steps(dn_tensor *out, const dn_tensor *in, const dn_image_steps *steps,
                              dn_image_window window, int64_t height, int64_t width, dn_rng rng) {
  DN_TRY(dn_image_check(1, out, DN_IMAGE_REAL));
  DN_TRY(dn_image_check(2, in, DN_IMAGE_BYTE));
  if (out->size[0] != in->size[0])
    return dn_error_argument(1, "has %" PRId64 " channels, the image has %" PRId64, out->size[0],
                             in->size[0]);
  DN_TRY(check_steps(steps, in->size[0]));
  if (in->size[1] != height || in->size[2] != width) {
    reduce_side(height, in->size[1], &window.top, &window.height);
    reduce_side(width, in->size[2], &window.left, &window.width);
  }
  dn_tensor bytes;
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 3, out->size, &bytes));
  dn_status status = dn_image_resample(&bytes, in, window, steps->filter);
  if (status == DN_OK) status = finish(out, &bytes, steps, rng);
  dn_tensor_free(&bytes);
  return status;
}
