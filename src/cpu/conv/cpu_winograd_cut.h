/*
** How a convolution's images are cut into units of Winograd's tiles (tiles/cpu_winograd.h): bands of rows of
** tiles of one image, or several small images.
*/
#ifndef CPU_WINOGRAD_CUT_H
#define CPU_WINOGRAD_CUT_H

#include "cpu_map.h"

typedef struct cpu_winograd_cut {
  int64_t n_images, height, width;
  int64_t rows, columns;   /* of an image's tiles */
  int64_t down, n_bands;   /* rows of tiles of a unit; units of an image */
  int64_t group;           /* images of a unit; 1 where there are bands */
  int64_t n_units, n_most; /* tiles of the largest */
  int64_t origin, phase;   /* of the largest: cpu_winograd_unit */
  int64_t row;             /* its tiles in whole blocks */
} cpu_winograd_cut;

/* Images [image, image + n_images), from line `top` on: n_lines of each. */
typedef struct cpu_winograd_part {
  int64_t image, n_images, top, n_lines;
  cpu_winograd_unit tiles;
} cpu_winograd_part;

#define cpu_winograd_cut_of CPU_REAL(cpu_winograd_cut_of)
#define cpu_winograd_part_of CPU_REAL(cpu_winograd_part_of)

/* Units of `most` tiles or fewer, or of one row of tiles; enough of them for n_threads. */
cpu_winograd_cut cpu_winograd_cut_of(cpu_map images, int64_t most, int n_threads);

cpu_winograd_part cpu_winograd_part_of(const cpu_winograd_cut *cut, int64_t index);

/* Lines of the image that the part's tiles read: [*from, *to). */
static inline void cpu_winograd_lines(const cpu_winograd_cut *cut, const cpu_winograd_part *part,
                                      int64_t *from, int64_t *to) {
  const int64_t end = part->top + CPU_WINOGRAD_SIDE * part->tiles.down + 1;
  *from = part->top > 0 ? part->top - 1 : 0;
  *to = end < cut->height ? end : cut->height;
}

/* The part's lines of a map, of its first image only: what is prefetched. */
static inline cpu_prefetch_rows cpu_winograd_rows(const cpu_winograd_cut *cut,
                                                  const cpu_winograd_part *part, cpu_map map) {
  return cpu_map_rows(map, part->image, part->top * cut->width, part->n_lines * cut->width);
}

#endif
