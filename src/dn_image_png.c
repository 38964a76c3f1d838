/*
** PNG, read and written by libpng's own calls: its simplified ones would blend transparent pixels.
** Chunks beside the picture (text, profiles, gamma) are not looked at. The picture has to be whole
** and right by its checksums; the file may break off behind it.
*/
#include "dn_image_decode.h"
#include "dn_image_write.h"

#ifndef DN_HAVE_PNG

dn_status dn_image_decode_png(const dn_image_source *source, int n_channels, dn_tensor *image) {
  (void)n_channels, (void)image;
  return dn_image_without(source->name, "reads", "PNG", "libpng", "libpng-dev");
}

dn_status dn_image_encode_png(const char *name, const dn_tensor *image, dn_tensor *content) {
  (void)image, (void)content;
  return dn_image_without(name, "writes", "PNG", "libpng", "libpng-dev");
}

#else

#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "dn_file.h"

enum {
  HEADER_BYTES = 8 + 8 + 13, /* signature, length and name of the first chunk, its content */
  WIDTH_AT = 16,
  HEIGHT_AT = 20,
  MOST_RATIO = 1032,          /* no deflate stream unpacks to more */
  MOST_CHUNK_BYTES = 1 << 20, /* of those that are looked at: a palette has 768 */
  FIRST_BYTES = 1 << 12       /* room for a file that is written */
};

/* ---- Reading ---- */

typedef struct reading {
  const dn_image_source *source;
  int64_t position; /* of the next byte that libpng gets */
  png_structp png;
  png_infop info;
  uint8_t *rows; /* one row, or all of an interlaced picture */
  int64_t row_bytes, n_rows_bytes;
  bool is_cut_short;
  jmp_buf escape;
} reading;

static void fail_reading(png_structp png, png_const_charp words) {
  reading *r = png_get_error_ptr(png);
  if (r->is_cut_short)
    dn_image_cut_short(r->source, "PNG");
  else
    dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged PNG image (%s)", r->source->name, words);
  longjmp(r->escape, 1);
}

static void pass_over(png_structp png, png_const_charp words) { (void)png, (void)words; }

static void read_bytes(png_structp png, png_bytep into, size_t n_bytes) {
  reading *r = png_get_io_ptr(png);
  if ((int64_t)n_bytes > r->source->n_bytes - r->position) {
    r->is_cut_short = true;
    png_error(png, "cut short");
  }
  memcpy(into, r->source->bytes + r->position, n_bytes);
  r->position += (int64_t)n_bytes;
}

static int64_t read_32(const uint8_t *at) {
  return (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/*
** The size in the header, before libpng sees it, which would refuse a large one in other words. A row
** has a byte beside its pixels, and eight pixels a byte at least.
*/
static dn_status check_header(const dn_image_source *source) {
  if (source->n_bytes < HEADER_BYTES) return dn_image_cut_short(source, "PNG");
  const int64_t width = read_32(source->bytes + WIDTH_AT);
  const int64_t height = read_32(source->bytes + HEIGHT_AT);
  DN_TRY(dn_image_check_size(source, width, height));
  if (width / 8 * height > MOST_RATIO * source->n_bytes) return dn_image_cut_short(source, "PNG");
  return DN_OK;
}

/* Whatever the file holds becomes red, green and blue of 8 bits. */
static void choose_colours(reading *r) {
  png_set_strip_16(r->png);
  png_set_palette_to_rgb(r->png);
  png_set_expand_gray_1_2_4_to_8(r->png);
  png_set_strip_alpha(r->png);
  png_set_gray_to_rgb(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  if (png_get_rowbytes(r->png, r->info) != 3 * (size_t)png_get_image_width(r->png, r->info))
    png_error(r->png, "its colours cannot be made red, green and blue");
}

static void start(reading *r) {
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, fail_reading, pass_over);
  r->info = r->png ? png_create_info_struct(r->png) : NULL;
  if (!r->info) return;
  png_set_read_fn(r->png, r, read_bytes);
  png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(r->png, MOST_CHUNK_BYTES);
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
#endif
  png_read_info(r->png, r->info);
}

static void read_interlaced(reading *r, int64_t height) {
  const int n_passes = png_set_interlace_handling(r->png);
  for (int pass = 0; pass < n_passes; pass++)
    for (int64_t y = 0; y < height; y++) png_read_row(r->png, r->rows + y * r->row_bytes, NULL);
}

static dn_status decode_within(reading *r, int n_channels, dn_tensor *image) {
  const bool is_interlaced = png_get_interlace_type(r->png, r->info) != PNG_INTERLACE_NONE;
  const int64_t height = png_get_image_height(r->png, r->info);
  const int64_t width = png_get_image_width(r->png, r->info);
  const bool is_grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
  DN_TRY(dn_image_new(n_channels, is_grey, height, width, image));
  choose_colours(r);
  r->row_bytes = 3 * width;
  const int64_t n_bytes = r->row_bytes * (is_interlaced ? height : 1);
  void *rows;
  DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &rows));
  r->rows = rows;
  r->n_rows_bytes = n_bytes;
  if (is_interlaced) read_interlaced(r, height);
  for (int64_t y = 0; y < height; y++) {
    if (!is_interlaced) png_read_row(r->png, r->rows, NULL);
    dn_image_put_row(image, y, r->rows + (is_interlaced ? y * r->row_bytes : 0));
  }
  return DN_OK;
}

static dn_status decode(reading *r, int n_channels, dn_tensor *image) {
  if (setjmp(r->escape) != 0) return DN_EFORMAT;
  start(r);
  if (!r->info)
    return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to decode it", r->source->name);
  return decode_within(r, n_channels, image);
}

/* What stands behind the pixels: it may be missing, but not wrong. */
static dn_status finish(reading *r) {
  if (setjmp(r->escape) != 0) return r->is_cut_short ? DN_OK : DN_EFORMAT;
  png_read_end(r->png, NULL);
  return DN_OK;
}

dn_status dn_image_decode_png(const dn_image_source *source, int n_channels, dn_tensor *image) {
  reading r = {.source = source};
  DN_TRY(check_header(source));
  dn_status status = decode(&r, n_channels, image);
  if (status == DN_OK) status = finish(&r);
  dn_free(dn_device_cpu(), r.rows, r.n_rows_bytes);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  return status;
}

/* ---- Writing ---- */

typedef struct writing {
  const char *name;
  const dn_tensor *image;
  png_structp png;
  png_infop info;
  dn_tensor file;  /* a byte vector with room to grow */
  int64_t n_bytes; /* of it that are filled */
  void *row;
  dn_status status;
  jmp_buf escape;
} writing;

static _Noreturn void leave(writing *w, dn_status status) {
  w->status = status;
  longjmp(w->escape, 1);
}

static void fail_writing(png_structp png, png_const_charp words) {
  writing *w = png_get_error_ptr(png);
  leave(w, dn_error(DN_EARG, "no PNG can be made of the image (%s)", words));
}

static dn_status grow(writing *w, int64_t n_bytes) {
  int64_t room = 2 * w->file.size[0];
  while (room < n_bytes) room *= 2;
  dn_tensor larger;
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &room, &larger));
  memcpy(dn_tensor_data(&larger), dn_tensor_data(&w->file), (size_t)w->n_bytes);
  dn_tensor_free(&w->file);
  w->file = larger;
  return DN_OK;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t n_bytes) {
  writing *w = png_get_io_ptr(png);
  const int64_t wanted = w->n_bytes + (int64_t)n_bytes;
  if (wanted > w->file.size[0]) {
    const dn_status status = grow(w, wanted);
    if (status != DN_OK) leave(w, status);
  }
  memcpy((uint8_t *)dn_tensor_data(&w->file) + w->n_bytes, bytes, n_bytes);
  w->n_bytes = wanted;
}

static void flush_nothing(png_structp png) { (void)png; }

static dn_status encode(writing *w) {
  if (setjmp(w->escape) != 0) return w->status;
  w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, fail_writing, pass_over);
  w->info = w->png ? png_create_info_struct(w->png) : NULL;
  if (!w->info) return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to write it", w->name);
  const int64_t *size = w->image->size;
  png_set_write_fn(w->png, w, write_bytes, flush_nothing);
  png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(w->png, w->info, (png_uint_32)size[2], (png_uint_32)size[1], 8,
               size[0] == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w->png, w->info);
  for (int64_t y = 0; y < size[1]; y++) {
    dn_image_get_row(w->image, y, w->row);
    png_write_row(w->png, w->row);
  }
  png_write_end(w->png, NULL);
  return DN_OK;
}

dn_status dn_image_encode_png(const char *name, const dn_tensor *image, dn_tensor *content) {
  writing w = {.name = name, .image = image};
  const int64_t first = FIRST_BYTES, n_row = image->size[0] * image->size[2];
  DN_TRY(dn_alloc(dn_device_cpu(), n_row, &w.row));
  dn_status status = dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &first, &w.file);
  if (status == DN_OK) status = encode(&w);
  png_destroy_write_struct(&w.png, &w.info);
  dn_free(dn_device_cpu(), w.row, n_row);
  w.file.size[0] = w.n_bytes;
  if (status == DN_OK)
    *content = w.file;
  else
    dn_tensor_free(&w.file);
  return status;
}

#endif
