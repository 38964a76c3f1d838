#include "dn_image_write.h"

#include <inttypes.h>
#include <stdio.h>

#include "dn_file.h"
#include "dn_image_decode.h"
#include "dn_image_row.h"

static dn_status check(const dn_tensor *image) {
  DN_TRY(dn_image_check(2, image, DN_IMAGE_BYTE));
  const int64_t n_channels = image->size[0], height = image->size[1], width = image->size[2];
  if (n_channels != 1 && n_channels != 3)
    return dn_error_argument(2, "an image is written with 1 or 3 channels, got %" PRId64,
                             n_channels);
  if (height >= 1 && width >= 1 && width <= DN_IMAGE_MOST_PIXELS / height) return DN_OK;
  return dn_error_argument(2, "an image of %" PRId64 "x%" PRId64 " pixels cannot be written",
                           height, width);
}

static dn_status write_pnm(const char *path, const dn_tensor *image) {
  char header[64];
  const int64_t *size = image->size;
  const int n_header = snprintf(header, sizeof header, "P%d\n%" PRId64 " %" PRId64 "\n255\n",
                                size[0] == 3 ? 6 : 5, size[2], size[1]);
  const int64_t row_bytes = size[0] * size[2], n_bytes = size[1] * row_bytes;
  dn_tensor rows;
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &n_bytes, &rows));
  uint8_t *to = dn_tensor_data(&rows);
  for (int64_t y = 0; y < size[1]; y++) dn_image_get_row(image, y, to + y * row_bytes);
  const dn_tensor *tensors[] = {&rows};
  const dn_status status = dn_file_write(path, header, n_header, 1, tensors);
  dn_tensor_free(&rows);
  return status;
}

static dn_status write_png(const char *path, const dn_tensor *image) {
  dn_tensor content;
  DN_TRY(dn_image_encode_png(path, image, &content));
  const dn_tensor *tensors[] = {&content};
  const dn_status status = dn_file_write(path, "", 0, 1, tensors);
  dn_tensor_free(&content);
  return status;
}

dn_status dn_image_write(const char *path, const dn_tensor *image, dn_image_format format) {
  DN_TRY(check(image));
  if (format == DN_IMAGE_PNG) return write_png(path, image);
  if (format == DN_IMAGE_PNM) return write_pnm(path, image);
  return dn_error_argument(3, "images are written as PNG and PPM");
}
