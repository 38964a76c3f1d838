/*
** A grid: input planes copied with a border of zeros, a tile of the output at a time.
**
** Rows are pad_w zeros and then the input's columns; the zeros that open the next row also close
** this one. A tile is a band of output rows of one image, or several whole images one below the
** other with pad_h rows of zeros between them. Output pixels are counted in vectors of CPU_LANES:
**   aligned   where output rows are whole vectors, those rows one after the other
**   running   else, the grid's own rows, borders included; lanes that are no output pixel are junk,
**             which is dropped (or multiplied by zero)
** Vector v of a tile begins at position[v] of the grid, and weight (r, s) of channel c meets it
** c * plane + r * pitch + s further on.
*/
#ifndef CPU_GRID_H
#define CPU_GRID_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cpu_grid {
  int64_t n, h, w;      /* images, input plane */
  int64_t r, s;         /* kernel */
  int64_t pad_h, pad_w; /* below r and s */
  int64_t p, q;         /* output plane */
  int64_t pitch;        /* grid row */
  int64_t images, band; /* of a tile: images, and output rows of each */
  int64_t n_bands;      /* tiles of an image */
  int64_t n_tiles;
  int64_t channels;     /* held at a time */
  int64_t plane;        /* elements from channel to channel */
  int64_t most_vectors; /* of a tile */
  bool aligned;
} cpu_grid;

/*
** Chooses tiles for a convolution over c input channels, such that `channels * plane` is at most
** `n_elements` (unless one channel and one row are more), a tile has about `n_pixels` outputs at
** most, and there are tiles for n_threads where images allow.
*/
cpu_grid cpu_grid_plan(int64_t n, int64_t c, int64_t h, int64_t w, int64_t r, int64_t s,
                       int64_t pad_h, int64_t pad_w, int64_t n_elements, int64_t n_pixels,
                       int n_threads);

/* One tile of it. */
typedef struct cpu_grid_tile {
  int64_t n, images; /* first image, and how many */
  int64_t p, rows;   /* first output row, and how many */
  int64_t n_vectors;
} cpu_grid_tile;

cpu_grid_tile cpu_grid_tile_at(const cpu_grid *grid, int64_t index);

/* position[v] of every vector of the tile. */
void cpu_grid_positions(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t *position);

/* Copies `channels` planes of x (channel 0 of image 0) into the grid, borders included. */
void cpu_grid_fill(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t channels,
                   const float *x, int64_t stride_n, int64_t stride_c, float *to);

/* Copies one output plane y (of image 0) into the order of the tile's vectors, junk lanes zero. */
void cpu_grid_gather(const cpu_grid *grid, const cpu_grid_tile *tile, const float *y,
                     int64_t stride_n, float *to);

/* Consecutive output pixels: lanes from..from+length of some vectors, and where they go. */
typedef struct cpu_grid_piece {
  int64_t from, length;
  int64_t to; /* in elements from the output plane of image 0 */
} cpu_grid_piece;

/*
** The output pixels among lanes [first, end) of the tile, lanes counted through its vectors, and
** `from` counted from `first`. Writes and returns at most end - first pieces.
*/
int cpu_grid_pieces(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t first, int64_t end,
                    int64_t stride_n, cpu_grid_piece *pieces);

#endif
