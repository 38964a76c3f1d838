#include "dn_image_moments.h"

static dn_status check(const dn_tensor *images) {
  char text[DN_SHAPE_TEXT];
  if (images->dtype != DN_BYTE || images->n_dim != 4)
    return dn_error_argument(1, "expected byte images N,C,H,W, got %s %s",
                             dn_dtype_name(images->dtype), dn_tensor_shape_text(images, text));
  if (images->storage->device != dn_device_cpu())
    return dn_error_argument(1, "is on %s; images are counted on the CPU",
                             images->storage->device->name);
  if ((images->size[3] > 1 && images->stride[3] != 1) ||
      (images->size[2] > 1 && images->stride[2] != images->size[3]))
    return dn_error_argument(1, "each plane of the images has to be contiguous");
  return DN_OK;
}

/* Adds n bytes. In blocks whose sums fit 32 bits, because then the inner loop is vectorised. */
static void add_plane(const uint8_t *pixels, int64_t n, int64_t *sum, int64_t *sum_of_squares) {
  enum { BLOCK = 1 << 16 }; /* 2^16 * 255^2 < 2^32 */
  for (int64_t first = 0; first < n; first += BLOCK) {
    const int64_t end = n - first < BLOCK ? n : first + BLOCK;
    uint32_t block_sum = 0, block_squares = 0;
    for (int64_t i = first; i < end; i++) {
      const uint32_t pixel = pixels[i];
      block_sum += pixel;
      block_squares += pixel * pixel;
    }
    *sum += block_sum;
    *sum_of_squares += block_squares;
  }
}

dn_status dn_image_moments(const dn_tensor *images, int64_t *sum, int64_t *sum_of_squares) {
  DN_TRY(check(images));
  const uint8_t *data = dn_tensor_data(images);
  for (int64_t c = 0; c < images->size[1]; c++) {
    sum[c] = sum_of_squares[c] = 0;
    for (int64_t n = 0; n < images->size[0]; n++)
      add_plane(data + n * images->stride[0] + c * images->stride[1],
                images->size[2] * images->size[3], &sum[c], &sum_of_squares[c]);
  }
  return DN_OK;
}
