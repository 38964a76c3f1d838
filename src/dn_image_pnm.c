/*
** PPM (colours) and PGM (grey), in bytes (P6, P5) or as decimal numbers (P3, P2): a header of three
** numbers, width, height and the largest value, then the pixels row by row. A largest value below
** 255 is scaled to it, half to even.
*/
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "dn_file.h"
#include "dn_image_decode.h"

enum { MOST_VALUE = 255 };

typedef struct picture {
  const dn_image_source *source;
  int64_t position; /* of the next byte to read */
  int64_t width, height;
  int64_t largest;
  int n_samples; /* a pixel: 1 or 3 */
  bool is_text;
  uint8_t level[MOST_VALUE + 1]; /* what a value becomes */
} picture;

static bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static bool is_at_end(const picture *p) { return p->position >= p->source->n_bytes; }

static uint8_t next_byte(const picture *p) { return p->source->bytes[p->position]; }

static void pass_space(picture *p) {
  while (!is_at_end(p) && (is_space(next_byte(p)) || next_byte(p) == '#')) {
    if (next_byte(p) == '#')
      while (!is_at_end(p) && next_byte(p) != '\n' && next_byte(p) != '\r') p->position++;
    else
      p->position++;
  }
}

/* A number that is too large for any use here stays a large one. */
static dn_status read_number(picture *p, int64_t *number) {
  pass_space(p);
  if (is_at_end(p)) return dn_image_cut_short(p->source, "PPM");
  if (!is_digit(next_byte(p)))
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": damaged PPM image (byte %" PRId64
                                   ": expected a number, got byte %02x)",
                    p->source->name, p->position, next_byte(p));
  *number = 0;
  for (; !is_at_end(p) && is_digit(next_byte(p)); p->position++)
    if (*number < INT32_MAX) *number = *number * 10 + (next_byte(p) - '0');
  return DN_OK;
}

static dn_status read_header(picture *p) {
  const uint8_t kind = p->source->bytes[1];
  p->n_samples = kind == '3' || kind == '6' ? 3 : 1;
  p->is_text = kind == '2' || kind == '3';
  p->position = 2;
  DN_TRY(read_number(p, &p->width));
  DN_TRY(read_number(p, &p->height));
  DN_TRY(read_number(p, &p->largest));
  DN_TRY(dn_image_check_size(p->source, p->width, p->height));
  if (p->largest < 1 || p->largest > MOST_VALUE)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": unsupported PPM image (largest value %" PRId64
                                   "); values of up to %d are read",
                    p->source->name, p->largest, (int)MOST_VALUE);
  p->position++; /* one byte of white space */
  for (int64_t v = 0; v <= p->largest; v++)
    p->level[v] = (uint8_t)nearbyint((double)v / (double)p->largest * MOST_VALUE);
  return DN_OK;
}

/* Before there is memory for the pixels: in text each has a digit and, but for the last, a space. */
static dn_status check_length(const picture *p) {
  const int64_t n_values = p->width * p->height * p->n_samples;
  const int64_t least = p->is_text ? 2 * n_values - 1 : n_values;
  if (p->source->n_bytes - p->position >= least) return DN_OK;
  return dn_image_cut_short(p->source, "PPM");
}

static dn_status read_level(picture *p, uint8_t *level) {
  int64_t value;
  if (p->is_text)
    DN_TRY(read_number(p, &value));
  else
    value = p->source->bytes[p->position++];
  if (value > p->largest)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": damaged PPM image (a value %" PRId64
                                   ", and the largest should be %" PRId64 ")",
                    p->source->name, value, p->largest);
  *level = p->level[value];
  return DN_OK;
}

static dn_status read_rows(picture *p, uint8_t *rgb, dn_tensor *image) {
  for (int64_t y = 0; y < p->height; y++) {
    for (int64_t x = 0; x < p->width; x++) {
      uint8_t *pixel = rgb + 3 * x;
      for (int i = 0; i < p->n_samples; i++) DN_TRY(read_level(p, pixel + i));
      if (p->n_samples == 1) pixel[1] = pixel[2] = pixel[0];
    }
    dn_image_put_row(image, y, rgb);
  }
  return DN_OK;
}

dn_status dn_image_decode_pnm(const dn_image_source *source, int n_channels, dn_tensor *image) {
  picture p = {.source = source};
  DN_TRY(read_header(&p));
  DN_TRY(check_length(&p));
  DN_TRY(dn_image_new(n_channels, p.n_samples == 1, p.height, p.width, image));
  void *rgb;
  DN_TRY(dn_alloc(dn_device_cpu(), 3 * p.width, &rgb));
  const dn_status status = read_rows(&p, rgb, image);
  dn_free(dn_device_cpu(), rgb, 3 * p.width);
  return status;
}
