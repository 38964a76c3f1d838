/*
** Private to the resizing of images: a strip of LANES rows turned so that the pixels of a column lie
** side by side, and back. What then goes along the rows does so for all of them at once.
*/
#ifndef DN_IMAGE_LANES_H
#define DN_IMAGE_LANES_H

#include <stdint.h>

enum { DN_IMAGE_LANES = 16 };

/* A column of a strip, as bytes and as numbers to sum up; a part of a strip may be read as the first. */
typedef uint8_t dn_image_lane_bytes __attribute__((vector_size(DN_IMAGE_LANES), may_alias));
typedef int16_t dn_image_lane_shorts __attribute__((vector_size(2 * DN_IMAGE_LANES)));
typedef int32_t dn_image_lane_sums __attribute__((vector_size(4 * DN_IMAGE_LANES)));

/*
** strip[x * LANES + lane] = rows[lane][x] for n columns. `work` has the strip's size, n * LANES bytes;
** both begin at a multiple of LANES.
*/
void dn_image_lanes_gather(const uint8_t *const rows[DN_IMAGE_LANES], int64_t n, uint8_t *strip,
                           uint8_t *work);

/* rows[lane][x] = strip[x * LANES + lane]; the strip is overwritten. */
void dn_image_lanes_scatter(uint8_t *strip, int64_t n, uint8_t *const rows[DN_IMAGE_LANES],
                            uint8_t *work);

#endif
