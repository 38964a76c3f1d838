/*
** Tiles of whole lines, for kernels whose pixels need their neighbours: up to 128 pixels, several whole
** images or some lines of one, which lie in shared memory with a border of one pixel all around.
**
** In a tile, pixels count image by image, line by line; behind the last tile's images and lines, and up to
** 128, there are none. With its border a pixel is a row of shared memory: rows go line by line, too, so
** that the neighbour (r, s) of any pixel is the same number of rows away.
*/
#ifndef CUDA_LINES_H
#define CUDA_LINES_H

#include "cuda_mma.h"
#include "cuda_planes.h"

static const int CUDA_LINES_PIXELS = 128;

typedef struct cuda_lines {
  int height, width, n_images;   /* of the batch */
  int images, lines;             /* of a tile: one image or whole ones */
  int tiles_of_image, n_tiles;   /* of several images: 1 */
  int row_of_line, row_of_image; /* rows with their border */
} cuda_lines;

static inline cuda_lines cuda_lines_of(const dn_tensor *x) {
  cuda_lines l;
  l.n_images = (int)x->size[0];
  l.height = (int)x->size[2];
  l.width = (int)x->size[3];
  const int64_t plane = x->size[2] * x->size[3];
  const int fit =
      (int)(CUDA_LINES_PIXELS / (plane < CUDA_LINES_PIXELS ? plane : CUDA_LINES_PIXELS));
  l.images = fit < l.n_images ? fit : l.n_images;
  const int most = CUDA_LINES_PIXELS / (l.width < CUDA_LINES_PIXELS ? l.width : CUDA_LINES_PIXELS);
  l.tiles_of_image = (l.height + most - 1) / most;
  l.lines = (l.height + l.tiles_of_image - 1) / l.tiles_of_image; /* all about the same */
  l.tiles_of_image = (l.height + l.lines - 1) / l.lines;
  l.n_tiles =
      l.tiles_of_image > 1 ? l.n_images * l.tiles_of_image : (l.n_images + l.images - 1) / l.images;
  if (l.tiles_of_image > 1) l.images = 1;
  l.row_of_line = l.width + 2;
  l.row_of_image = (l.lines + 2) * l.row_of_line;
  return l;
}

/* Whether lines are short enough. */
static inline bool cuda_lines_fit(const dn_tensor *x) { return x->size[3] <= CUDA_LINES_PIXELS; }

/* Whether every pair of a tile's pixels, counted from its first, begins at an even element of its plane. */
static inline bool cuda_lines_begin_even(const dn_tensor *x) { return x->size[3] % 2 == 0; }

/* Rows of shared memory that a tile takes with its border. */
CUDA_INLINE int cuda_lines_rows(const cuda_lines &l) { return l.images * l.row_of_image; }

/* The tile that a block has: its first image and line, and how many of either are there. */
typedef struct cuda_lines_tile {
  int image, top, images, lines;
} cuda_lines_tile;

__device__ static inline cuda_lines_tile cuda_lines_tile_of(const cuda_lines &l, int tile) {
  cuda_lines_tile own = {tile * l.images, 0, l.images, l.lines};
  if (l.tiles_of_image > 1) {
    own.image = tile / l.tiles_of_image;
    own.top = (tile - own.image * l.tiles_of_image) * l.lines;
    if (own.top + own.lines > l.height) own.lines = l.height - own.top;
  }
  if (own.image + own.images > l.n_images) own.images = l.n_images - own.image;
  return own;
}

/* Pixels that are there: the first of the tile's. */
__device__ static inline int cuda_lines_pixels(const cuda_lines &l, const cuda_lines_tile &own) {
  return own.images * own.lines * l.width;
}

/* Where pixel p of a tile is: its image of the tile, its element of the plane less the tile's first, and
   its row. Pixels that are not there have the row of pixel 0. */
typedef struct cuda_lines_pixel {
  int image, at, row;
} cuda_lines_pixel;

__device__ static inline cuda_lines_pixel cuda_lines_pixel_of(const cuda_lines &l, int p) {
  const int plane = l.lines * l.width;
  cuda_lines_pixel pixel;
  if (p >= l.images * plane) p = 0;
  pixel.image = p / plane;
  pixel.at = p - pixel.image * plane;
  const int line = pixel.at / l.width;
  pixel.row =
      pixel.image * l.row_of_image + (line + 1) * l.row_of_line + pixel.at - line * l.width + 1;
  return pixel;
}

/* The element of channel 0 there. */
__device__ static inline int64_t cuda_lines_offset(const cuda_lines &l, const cuda_lines_tile &own,
                                                   const cuda_lines_pixel &pixel,
                                                   const cuda_planes &planes) {
  return (own.image + pixel.image) * planes.stride_n + own.top * l.width + pixel.at;
}

/*
** The elements of a plane that a tile needs with `border` lines above and below: whole vectors of 16
** bytes that begin at element `first`, `vectors` of them for each image.
*/
typedef struct cuda_lines_span {
  int first, end, vectors; /* elements first..end-1 are needed */
} cuda_lines_span;

__device__ static inline cuda_lines_span cuda_lines_span_of(const cuda_lines &l,
                                                            const cuda_lines_tile &own, int border,
                                                            int vector) {
  const int above = own.top - border, below = own.top + own.lines + border;
  cuda_lines_span span;
  span.first = (above < 0 ? 0 : above) * l.width;
  span.end = (below > l.height ? l.height : below) * l.width;
  span.vectors = (span.end + vector - 1) / vector - span.first / vector;
  return span;
}

/*
** Fills the rows of a tile's pixels and border: words of channels first.., n_words of them, in pixels that
** are in the image; the others are left alone. A thread takes 16 bytes of a plane, of two channels in 16
** bits, which become a word in as many rows. source.load(&raw, image, c, at) reads channel c of the batch's
** image, 16 bytes of its plane from element `at` on; source.numbers(v, raw) makes of what was read the numbers to
** round to factors. All of a word is read before any of it is made: what is on its way is waited for once.
*/
template <typename T, typename Source>
__device__ static inline void cuda_lines_fill(uint32_t *rows, int pitch, int n_words,
                                              const cuda_lines &l, const cuda_lines_tile &own,
                                              int first, const Source &source) {
  enum { VECTOR = cuda_packed<T>::VECTOR, PER_WORD = cuda_packed<T>::PER_WORD, NEAR = 8 };
  const cuda_lines_span span = cuda_lines_span_of(l, own, 1, VECTOR);
  const int n_vectors = own.images * span.vectors, aligned = span.first / VECTOR * VECTOR;
  /* Neighbours in a warp are 8 words and 4 vectors: in 16 bits four of them, in float two, meet in a bank. */
  for (int i = (int)threadIdx.x; i < n_vectors * n_words; i += (int)blockDim.x) {
    const int among = i / NEAR, word = among / n_vectors * NEAR + i % NEAR;
    const int vector = among % n_vectors, image = vector / span.vectors;
    const int at = aligned + (vector - image * span.vectors) * VECTOR;
    typename Source::loaded raw[PER_WORD];
    CUDA_UNROLL
    for (int j = 0; j < PER_WORD; j++)
      source.load(&raw[j], own.image + image, first + word * PER_WORD + j, at);
    float v[PER_WORD][VECTOR];
    CUDA_UNROLL
    for (int j = 0; j < PER_WORD; j++) source.numbers(v[j], raw[j]);
    int line = at / l.width, column = at - line * l.width;
    CUDA_UNROLL
    for (int e = 0; e < VECTOR; e++) {
      float pair[2];
      CUDA_UNROLL
      for (int j = 0; j < PER_WORD; j++) pair[j] = v[j][e];
      if (at + e >= span.first && at + e < span.end) {
        const int row = image * l.row_of_image + (line - own.top + 1) * l.row_of_line + column + 1;
        rows[row * pitch + word] = cuda_factor_word(pair, T());
      }
      if (++column == l.width) {
        column = 0;
        line++;
      }
    }
  }
}

/* All rows of a tile as zeros. */
__device__ static inline void cuda_lines_clear(uint32_t *rows, int pitch, const cuda_lines &l) {
  const uint4 zeros = {0, 0, 0, 0};
  for (int i = (int)threadIdx.x; i < cuda_lines_rows(l) * pitch / 4; i += (int)blockDim.x)
    cuda_store16(rows + 4 * i, zeros);
}

#endif
