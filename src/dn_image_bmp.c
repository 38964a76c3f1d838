/*
** BMP, Windows' and OS/2's: 8 bits a pixel with a palette, 24 or 32, not compressed. Rows are padded
** to 4 bytes and go from the bottom up, or from the top down where the height is negative.
*/
#include <inttypes.h>
#include <string.h>

#include "dn_file.h"
#include "dn_image_decode.h"

enum {
  FILE_HEADER_BYTES = 14,
  OS2_HEADER_BYTES = 12,
  HEADER_BYTES = 40,
  MASK_BYTES = 12,
  MOST_COLOURS = 256,
  PLAIN = 0, /* compression */
  MASKED = 3
};

typedef struct bitmap {
  int64_t width, height; /* height without its sign */
  bool is_from_the_top;
  int bits; /* a pixel */
  int64_t row_bytes;
  int64_t pixels; /* where they begin in the file */
  int64_t palette, n_colours;
  int colour_bytes; /* an entry of the palette: 3 or 4 */
} bitmap;

static uint32_t read_16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static uint32_t read_32(const uint8_t *at) { return read_16(at) | read_16(at + 2) << 16; }

static int64_t read_signed(const uint8_t *at) { return (int32_t)read_32(at); }

static dn_status unsupported(const dn_image_source *source, const char *what, int64_t number) {
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": unsupported BMP image (%s %" PRId64
                                 "); uncompressed ones of 8, 24 and 32 bits a pixel are read",
                  source->name, what, number);
}

static dn_status damaged(const dn_image_source *source, const char *what, int64_t number) {
  return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged BMP image (%s %" PRId64 ")", source->name,
                  what, number);
}

static bool has_usual_masks(const uint8_t *masks) {
  return read_32(masks) == 0xff0000 && read_32(masks + 4) == 0xff00 && read_32(masks + 8) == 0xff;
}

/* Compression and palette of a header that is not OS/2's, in bytes that are there. */
static dn_status read_rest(const dn_image_source *source, int64_t n_header, bitmap *map) {
  const uint8_t *header = source->bytes + FILE_HEADER_BYTES;
  const uint32_t compression = read_32(header + 16);
  map->n_colours = read_32(header + 32);
  if (compression == PLAIN) return DN_OK;
  if (compression != MASKED || map->bits != 32)
    return unsupported(source, "compression", compression);
  /* Longer headers hold the masks, behind the shortest they follow. */
  if (source->n_bytes < FILE_HEADER_BYTES + HEADER_BYTES + MASK_BYTES)
    return dn_image_cut_short(source, "BMP");
  if (!has_usual_masks(header + HEADER_BYTES))
    return unsupported(source, "with other masks of colours in a header of bytes", n_header);
  return DN_OK;
}

static dn_status read_header(const dn_image_source *source, bitmap *map) {
  if (source->n_bytes < FILE_HEADER_BYTES + OS2_HEADER_BYTES)
    return dn_image_cut_short(source, "BMP");
  const uint8_t *header = source->bytes + FILE_HEADER_BYTES;
  const int64_t n_header = read_32(header);
  const bool is_os2 = n_header == OS2_HEADER_BYTES;
  if (!is_os2 && n_header < HEADER_BYTES) return damaged(source, "a header of bytes", n_header);
  if (source->n_bytes < FILE_HEADER_BYTES + n_header) return dn_image_cut_short(source, "BMP");
  const int64_t height = is_os2 ? read_16(header + 6) : read_signed(header + 8);
  map->width = is_os2 ? read_16(header + 4) : read_signed(header + 4);
  map->is_from_the_top = height < 0;
  map->height = height < 0 ? -height : height;
  map->bits = (int)read_16(header + (is_os2 ? 10 : 14));
  map->pixels = read_32(source->bytes + 10);
  map->palette = FILE_HEADER_BYTES + n_header;
  map->colour_bytes = is_os2 ? 3 : 4;
  DN_TRY(dn_image_check_size(source, map->width, map->height));
  if (map->bits != 8 && map->bits != 24 && map->bits != 32)
    return unsupported(source, "bits a pixel:", map->bits);
  return is_os2 ? DN_OK : read_rest(source, n_header, map);
}

/* The palette and the rows lie within the file. */
static dn_status check_places(const dn_image_source *source, bitmap *map) {
  if (map->bits == 8) {
    if (map->n_colours == 0) map->n_colours = MOST_COLOURS;
    if (map->n_colours > MOST_COLOURS) return damaged(source, "colours:", map->n_colours);
    if (map->palette + map->n_colours * map->colour_bytes > source->n_bytes)
      return dn_image_cut_short(source, "BMP");
  }
  if (map->pixels < map->palette) return damaged(source, "pixels from byte", map->pixels);
  map->row_bytes = (map->width * map->bits + 31) / 32 * 4;
  if (map->pixels + map->row_bytes * map->height > source->n_bytes)
    return dn_image_cut_short(source, "BMP");
  return DN_OK;
}

/* Blue, green and red of a file become red, green and blue. */
static void turn(uint8_t *rgb, const uint8_t *bgr) {
  rgb[0] = bgr[2];
  rgb[1] = bgr[1];
  rgb[2] = bgr[0];
}

static dn_status read_row(const dn_image_source *source, const bitmap *map, const uint8_t *from,
                          uint8_t *rgb) {
  const uint8_t *palette = source->bytes + map->palette;
  for (int64_t x = 0; x < map->width; x++) {
    if (map->bits == 8 && from[x] >= map->n_colours)
      return damaged(source, "a pixel of a colour that its palette lacks:", from[x]);
    turn(rgb + 3 * x,
         map->bits == 8 ? palette + from[x] * map->colour_bytes : from + x * (map->bits / 8));
  }
  return DN_OK;
}

static dn_status read_rows(const dn_image_source *source, const bitmap *map, uint8_t *rgb,
                           dn_tensor *image) {
  for (int64_t i = 0; i < map->height; i++) {
    DN_TRY(read_row(source, map, source->bytes + map->pixels + i * map->row_bytes, rgb));
    dn_image_put_row(image, map->is_from_the_top ? i : map->height - 1 - i, rgb);
  }
  return DN_OK;
}

dn_status dn_image_decode_bmp(const dn_image_source *source, int n_channels, dn_tensor *image) {
  bitmap map = {0};
  DN_TRY(read_header(source, &map));
  DN_TRY(check_places(source, &map));
  DN_TRY(dn_image_new(n_channels, false, map.height, map.width, image));
  void *rgb;
  DN_TRY(dn_alloc(dn_device_cpu(), 3 * map.width, &rgb));
  const dn_status status = read_rows(source, &map, rgb, image);
  dn_free(dn_device_cpu(), rgb, 3 * map.width);
  return status;
}
