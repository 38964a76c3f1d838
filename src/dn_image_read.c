#include "dn_image_read.h"

#include <inttypes.h>
#include <string.h>

#include "dn_file.h"
#include "dn_image_decode.h"

/* A file that is longer is no picture of DN_IMAGE_MOST_PIXELS, or one in ASCII. */
#define MOST_FILE_BYTES (INT64_C(1) << 30)

enum { START_BYTES = 8 };

typedef dn_status decoder(const dn_image_source *source, int n_channels, dn_tensor *image);

static const struct {
  const char *name;
  decoder *decode;
} formats[] = {
    [DN_IMAGE_JPEG] = {"JPEG", dn_image_decode_jpeg},
    [DN_IMAGE_PNG] = {"PNG", dn_image_decode_png},
    [DN_IMAGE_BMP] = {"BMP", dn_image_decode_bmp},
    [DN_IMAGE_PNM] = {"PPM", dn_image_decode_pnm},
};

const char *dn_image_format_name(dn_image_format format) { return formats[format].name; }

static bool begins(const uint8_t *start, int64_t n_bytes, const char *magic, int64_t n_magic) {
  return n_bytes >= n_magic && memcmp(start, magic, (size_t)n_magic) == 0;
}

/* P2, P3, P5 or P6, and then white space or a comment. */
static bool begins_as_pnm(const uint8_t *start, int64_t n_bytes) {
  if (n_bytes < 3 || start[0] != 'P') return false;
  return memchr("2356", start[1], 4) && memchr(" \t\n\v\f\r#", start[2], 7);
}

dn_image_format dn_image_recognize(const uint8_t *start, int64_t n_bytes) {
  if (begins(start, n_bytes, "\xff\xd8", 2)) return DN_IMAGE_JPEG;
  if (begins(start, n_bytes, "\x89PNG\r\n\x1a\n", 8)) return DN_IMAGE_PNG;
  if (begins(start, n_bytes, "BM", 2)) return DN_IMAGE_BMP;
  return begins_as_pnm(start, n_bytes) ? DN_IMAGE_PNM : DN_IMAGE_UNKNOWN;
}

/* The format, or DN_EFORMAT: nothing is read further of what no decoder takes. */
static dn_status recognize(const char *name, const uint8_t *start, int64_t n_bytes,
                           dn_image_format *format) {
  if (n_bytes == 0) return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": is empty", name);
  *format = dn_image_recognize(start, n_bytes);
  if (*format != DN_IMAGE_UNKNOWN) return DN_OK;
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": is not an image that is known; JPEG, PNG, BMP and PPM are read",
                  name);
}

static dn_status check_channels(int n_channels) {
  if (n_channels == 0 || n_channels == 1 || n_channels == 3) return DN_OK;
  return dn_error(DN_EARG, "an image is read in 1 or 3 channels or in its own, 0, got %d",
                  n_channels);
}

static dn_status decode(dn_image_format format, const dn_image_source *source, int n_channels,
                        dn_tensor *image) {
  dn_tensor made = {.storage = NULL};
  const dn_status status = formats[format].decode(source, n_channels, &made);
  if (status == DN_OK)
    *image = made;
  else
    dn_tensor_free(&made);
  return status;
}

static dn_status decode_all(const dn_image_source *source, int n_channels, dn_tensor *image) {
  dn_image_format format;
  DN_TRY(recognize(source->name, source->bytes, source->n_bytes, &format));
  return decode(format, source, n_channels, image);
}

static dn_status read_whole(const dn_file *file, dn_image_format format, int n_channels,
                            const dn_image_request *request, dn_tensor *image) {
  if (file->n_bytes > MOST_FILE_BYTES)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": too large: has %" PRId64 " bytes; images of up to %" PRId64
                                   " bytes are read",
                    file->path, file->n_bytes, MOST_FILE_BYTES);
  void *bytes;
  DN_TRY(dn_alloc(dn_device_cpu(), file->n_bytes, &bytes));
  dn_status status = dn_file_read(file, 0, file->n_bytes, bytes);
  const dn_image_source source = {
      .name = file->path, .bytes = bytes, .n_bytes = file->n_bytes, .request = request};
  if (status == DN_OK) status = decode(format, &source, n_channels, image);
  dn_free(dn_device_cpu(), bytes, file->n_bytes);
  return status;
}

static dn_status read_open(const dn_file *file, int n_channels, const dn_image_request *request,
                           dn_tensor *image) {
  uint8_t start[START_BYTES];
  const int64_t n_start = file->n_bytes < START_BYTES ? file->n_bytes : START_BYTES;
  dn_image_format format;
  DN_TRY(dn_file_read(file, 0, n_start, start));
  DN_TRY(recognize(file->path, start, n_start, &format));
  return read_whole(file, format, n_channels, request, image);
}

static dn_status read_path(const char *path, int n_channels, const dn_image_request *request,
                           dn_tensor *image) {
  dn_file file;
  DN_TRY(dn_file_open(path, &file));
  const dn_status status = read_open(&file, n_channels, request, image);
  dn_file_close(&file);
  return status;
}

dn_status dn_image_decode(const char *name, const void *bytes, int64_t n_bytes, int n_channels,
                          dn_tensor *image) {
  const dn_image_source source = {.name = name, .bytes = bytes, .n_bytes = n_bytes};
  DN_TRY(check_channels(n_channels));
  return decode_all(&source, n_channels, image);
}

dn_status dn_image_read(const char *path, int n_channels, dn_tensor *image) {
  DN_TRY(check_channels(n_channels));
  return read_path(path, n_channels, NULL, image);
}

/* Asks on behalf of the reader and remembers what the size was. */
typedef struct asking {
  const dn_image_request *request;
  int64_t height, width; /* 0 until asked */
} asking;

static dn_status ask(void *context, int64_t height, int64_t width, int *eighths) {
  asking *a = context;
  a->height = height;
  a->width = width;
  return a->request->decide(a->request->context, height, width, eighths);
}

dn_status dn_image_read_reduced(const char *name, const void *bytes, int64_t n_bytes,
                                int n_channels, const dn_image_request *request, int64_t *height,
                                int64_t *width, dn_tensor *image) {
  DN_TRY(check_channels(n_channels));
  asking a = {.request = request};
  const dn_image_request wrapped = {ask, &a};
  const dn_image_source source = {
      .name = name, .bytes = bytes, .n_bytes = n_bytes, .request = &wrapped};
  dn_tensor made = {.storage = NULL};
  DN_TRY(bytes ? decode_all(&source, n_channels, &made)
               : read_path(name, n_channels, &wrapped, &made));
  int eighths;
  const dn_status status = a.height ? DN_OK : ask(&a, made.size[1], made.size[2], &eighths);
  if (status != DN_OK) {
    dn_tensor_free(&made);
    return status;
  }
  *height = a.height;
  *width = a.width;
  *image = made;
  return DN_OK;
}
