#include "dn_image_decode.h"

#include <inttypes.h>
#include <string.h>

#include "dn_file.h"
#include "dn_image_read.h"
#include "dn_image_row.h"
#include "dn_wide.h"

dn_status dn_image_check_size(const dn_image_source *source, int64_t width, int64_t height) {
  if (width < 1 || height < 1)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": damaged: an image of %" PRId64 "x%" PRId64 " pixels",
                    source->name, width, height);
  if (width <= DN_IMAGE_MOST_PIXELS / height) return DN_OK;
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": too large: %" PRId64 "x%" PRId64
                                 " pixels; images of up to %" PRId64 " are read",
                  source->name, width, height, DN_IMAGE_MOST_PIXELS);
}

dn_status dn_image_cut_short(const dn_image_source *source, const char *format) {
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": cut short: the %s image does not end within its %" PRId64
                                 " bytes",
                  source->name, format, source->n_bytes);
}

dn_status dn_image_without(const char *name, const char *action, const char *format,
                           const char *library, const char *package) {
  return dn_error(DN_EUNSUPPORTED,
                  DN_PATH_FORMAT
                  ": this build %s no %s (%s was not found: apt-get install %s, then make)",
                  name, action, format, library, package);
}

dn_status dn_image_new(int n_channels, bool is_grey, int64_t height, int64_t width,
                       dn_tensor *image) {
  const int64_t own = is_grey ? 1 : 3;
  const int64_t size[] = {n_channels ? n_channels : own, height, width};
  return dn_tensor_new(dn_device_cpu(), DN_BYTE, 3, size, image);
}

DN_WIDE static void put_grey(uint8_t *restrict grey, int64_t width, const uint8_t *restrict rgb) {
  for (int64_t x = 0; x < width; x++) {
    const uint32_t red = rgb[3 * x], green = rgb[3 * x + 1], blue = rgb[3 * x + 2];
    grey[x] = (uint8_t)((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
  }
}

DN_WIDE static void put_colours(uint8_t *restrict red, uint8_t *restrict green,
                                uint8_t *restrict blue, int64_t width,
                                const uint8_t *restrict rgb) {
  for (int64_t x = 0; x < width; x++) {
    red[x] = rgb[3 * x];
    green[x] = rgb[3 * x + 1];
    blue[x] = rgb[3 * x + 2];
  }
}

void dn_image_put_row(dn_tensor *image, int64_t y, const uint8_t *rgb) {
  const int64_t width = image->size[2];
  if (image->size[0] == 1)
    put_grey(dn_image_row(image, 0, y), width, rgb);
  else
    put_colours(dn_image_row(image, 0, y), dn_image_row(image, 1, y), dn_image_row(image, 2, y),
                width, rgb);
}

void dn_image_get_row(const dn_tensor *image, int64_t y, uint8_t *row) {
  const int64_t n_channels = image->size[0], width = image->size[2];
  for (int64_t c = 0; c < n_channels; c++) {
    const uint8_t *from = dn_image_row(image, c, y);
    for (int64_t x = 0; x < width; x++) row[x * n_channels + c] = from[x];
  }
}
