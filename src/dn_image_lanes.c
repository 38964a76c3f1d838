/*
** A transposition by zipping: neighbouring rows are zipped into one of pairs, pairs of those into one
** of fours, and so on. Each of the four steps is a loop that compilers turn into vector instructions,
** which single bytes a row apart are not.
*/
#include "dn_image_lanes.h"

#include "dn_wide.h"

/* The steps look at the same bytes in units of growing width. */
typedef uint16_t __attribute__((may_alias)) unit2;
typedef uint32_t __attribute__((may_alias)) unit4;
typedef uint64_t __attribute__((may_alias)) unit8;

#define DEFINE_ZIP(name, unit)                                                      \
  static void zip_##name(const unit *restrict a, const unit *restrict b, int64_t n, \
                         unit *restrict out) {                                      \
    for (int64_t i = 0; i < n; i++) {                                               \
      out[2 * i] = a[i];                                                            \
      out[2 * i + 1] = b[i];                                                        \
    }                                                                               \
  }                                                                                 \
  static void unzip_##name(const unit *restrict in, int64_t n, unit *restrict a,    \
                           unit *restrict b) {                                      \
    for (int64_t i = 0; i < n; i++) {                                               \
      a[i] = in[2 * i];                                                             \
      b[i] = in[2 * i + 1];                                                         \
    }                                                                               \
  }

DEFINE_ZIP(1, uint8_t)
DEFINE_ZIP(2, unit2)
DEFINE_ZIP(4, unit4)
DEFINE_ZIP(8, unit8)

/* Stream i of those that a step makes or takes, each of `width` bytes a column. */
static void *stream(uint8_t *strip, int64_t n, int width, int i) { return strip + n * width * i; }

DN_WIDE static void gather(const uint8_t *const *rows, int64_t n, uint8_t *strip, uint8_t *work) {
  for (int i = 0; i < 8; i++) zip_1(rows[2 * i], rows[2 * i + 1], n, stream(work, n, 2, i));
  for (int i = 0; i < 4; i++)
    zip_2(stream(work, n, 2, 2 * i), stream(work, n, 2, 2 * i + 1), n, stream(strip, n, 4, i));
  for (int i = 0; i < 2; i++)
    zip_4(stream(strip, n, 4, 2 * i), stream(strip, n, 4, 2 * i + 1), n, stream(work, n, 8, i));
  zip_8(stream(work, n, 8, 0), stream(work, n, 8, 1), n, (unit8 *)(void *)strip);
}

DN_WIDE static void scatter(uint8_t *strip, int64_t n, uint8_t *const *rows, uint8_t *work) {
  unzip_8((unit8 *)(void *)strip, n, stream(work, n, 8, 0), stream(work, n, 8, 1));
  for (int i = 0; i < 2; i++)
    unzip_4(stream(work, n, 8, i), n, stream(strip, n, 4, 2 * i), stream(strip, n, 4, 2 * i + 1));
  for (int i = 0; i < 4; i++)
    unzip_2(stream(strip, n, 4, i), n, stream(work, n, 2, 2 * i), stream(work, n, 2, 2 * i + 1));
  for (int i = 0; i < 8; i++) unzip_1(stream(work, n, 2, i), n, rows[2 * i], rows[2 * i + 1]);
}

void dn_image_lanes_gather(const uint8_t *const rows[DN_IMAGE_LANES], int64_t n, uint8_t *strip,
                           uint8_t *work) {
  gather(rows, n, strip, work);
}

void dn_image_lanes_scatter(uint8_t *strip, int64_t n, uint8_t *const rows[DN_IMAGE_LANES],
                            uint8_t *work) {
  scatter(strip, n, rows, work);
}
