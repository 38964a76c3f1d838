/*
** Winograd's F(4x4, 3x3): the 16 outputs of a tile are made of 36 products in place of 144. A tile is 4x4
** output pixels and reads 6x6 input pixels, a border of one around it.
**
**   output   y  = A' [ (G w G') . (B' x B) ] A        6x6 products, summed over input channels
**   weights  dw = G' [ sum of (A dy A') . (B' x B) ] G    the same products, transposed
**
** The matrices follow from the points 0, +-a, +-b and infinity. With a = 5/8 and b = 3/2 their coefficients
** are exact in float and near 1: measured on rectified normal numbers the error of an output is about twice that of
** the plain sum, where the usual points 1 and 2 give five times (docs/design.md).
** Sources: Winograd 1980; Lavin & Gray 2016 (arXiv:1509.09308), section 4; Barabasz et al. 2020
** (arXiv:1803.10986) for the points.
**
** Tiles are the vector dimension. Tiles of all images of a unit are numbered row of tiles by row of tiles,
** image by image within a row of tiles, so that a step downwards is `across` tiles, whichever tile it starts
** from. A channel's pixels are split into *phases*: pixel (4R + a, 4C + b) goes to phase (a, b), place
** R * across + C, so a tile's 36 input pixels are at one place, or one or `across` beside it, in 16 rows.
*/
#ifndef CPU_WINOGRAD_H
#define CPU_WINOGRAD_H

#include <stdint.h>

#include "cpu_real.h"

enum {
  CPU_WINOGRAD_SIDE = 4,                                          /* of a tile of outputs */
  CPU_WINOGRAD_REACH = CPU_WINOGRAD_SIDE + 2,                     /* of its inputs */
  CPU_WINOGRAD_PHASES = CPU_WINOGRAD_SIDE * CPU_WINOGRAD_SIDE,    /* of a channel */
  CPU_WINOGRAD_PRODUCTS = CPU_WINOGRAD_REACH * CPU_WINOGRAD_REACH /* of a tile and channel */
};

/* a, b, their squares A and B, and the reciprocals of the interpolation's denominators. */
#define CPU_WINOGRAD_a ((real)0.625)
#define CPU_WINOGRAD_b ((real)1.5)
#define CPU_WINOGRAD_A ((real)0.390625)
#define CPU_WINOGRAD_B ((real)2.25)
#define CPU_WINOGRAD_OF_0 ((real)(1 / (0.390625 * 2.25)))
#define CPU_WINOGRAD_OF_a ((real)(1 / (2 * 0.390625 * (0.390625 - 2.25))))
#define CPU_WINOGRAD_OF_b ((real)(1 / (2 * 2.25 * (2.25 - 0.390625))))

/* Where the phases of one channel of a unit lie. */
typedef struct cpu_winograd_unit {
  int64_t down, across; /* rows of tiles; tiles of each, of all images */
  int64_t n_tiles;      /* down * across */
  int64_t
      origin;    /* where place 0 of a phase is: at a whole vector, behind the row of tiles above */
  int64_t phase; /* values from phase to phase */
} cpu_winograd_unit;

/* Room for vectors that reach over the ends of a phase. */
enum { CPU_WINOGRAD_EDGE = 32 };

static inline int64_t cpu_winograd_origin(int64_t across) {
  return (across + CPU_WINOGRAD_EDGE - 1) / CPU_WINOGRAD_EDGE * CPU_WINOGRAD_EDGE +
         CPU_WINOGRAD_EDGE;
}

static inline int64_t cpu_winograd_phase(int64_t down, int64_t across) {
  const int64_t n = cpu_winograd_origin(across) + (down + 1) * across + CPU_WINOGRAD_EDGE;
  return (n + CPU_LINE - 1) / CPU_LINE * CPU_LINE;
}

/* G w G' of 3x3 weights, whose rows and columns are read backwards where `turned`. */
static inline void cpu_winograd_weight(real product[CPU_WINOGRAD_PRODUCTS], const real weight[9],
                                       int turned) {
  real half[CPU_WINOGRAD_REACH][3];
  for (int s = 0; s < 3; s++) {
    const real first = weight[turned ? 8 - s : s], middle = weight[turned ? 5 - s : 3 + s];
    const real last = weight[turned ? 2 - s : 6 + s];
    const real even_a = first + CPU_WINOGRAD_A * last, odd_a = CPU_WINOGRAD_a * middle;
    const real even_b = first + CPU_WINOGRAD_B * last, odd_b = CPU_WINOGRAD_b * middle;
    half[0][s] = CPU_WINOGRAD_OF_0 * first;
    half[1][s] = CPU_WINOGRAD_OF_a * (even_a + odd_a);
    half[2][s] = CPU_WINOGRAD_OF_a * (even_a - odd_a);
    half[3][s] = CPU_WINOGRAD_OF_b * (even_b + odd_b);
    half[4][s] = CPU_WINOGRAD_OF_b * (even_b - odd_b);
    half[5][s] = last;
  }
  for (int i = 0; i < CPU_WINOGRAD_REACH; i++) {
    const real first = half[i][0], middle = half[i][1], last = half[i][2];
    const real even_a = first + CPU_WINOGRAD_A * last, odd_a = CPU_WINOGRAD_a * middle;
    const real even_b = first + CPU_WINOGRAD_B * last, odd_b = CPU_WINOGRAD_b * middle;
    real *to = product + i * CPU_WINOGRAD_REACH;
    to[0] = CPU_WINOGRAD_OF_0 * first;
    to[1] = CPU_WINOGRAD_OF_a * (even_a + odd_a);
    to[2] = CPU_WINOGRAD_OF_a * (even_a - odd_a);
    to[3] = CPU_WINOGRAD_OF_b * (even_b + odd_b);
    to[4] = CPU_WINOGRAD_OF_b * (even_b - odd_b);
    to[5] = last;
  }
}

/* The loops, in the tables of tiles (cpu_tiles.h). Values behind the last tile are arbitrary. */
typedef struct cpu_winograd_loops {
  /*
  ** Phases of lines -1 ... 4 down of one channel of one image, which begins at tile `first` of a row of tiles
  ** and is `n_across` tiles wide: relu(scale x + shift), or x itself, 0 outside the `height` lines of
  ** `width` that x has. Line 0 of the unit is x's line `top`. `staged` is room for 16 values a place of a phase;
  ** what it holds right of the images is taken as it is: zeros.
  */
  void (*stage)(real *staged, const cpu_winograd_unit *unit, int64_t first, int64_t n_across,
                const real *x, int64_t height, int64_t width, int64_t top, const real *scale,
                const real *shift);
  /* phases of what was staged for all images of the unit */
  void (*split)(real *phases, const real *staged, const cpu_winograd_unit *unit);
  /*
  ** Product f of B' x B at v + f * v_stride, its tiles packed with v_block from block to block. `inside` is two rows like phases: bits that are all set where a place
  ** has a left neighbour in its image, then where it has a right one. `half` is room for 24 phases.
  */
  void (*input)(real *v, int64_t v_stride, int64_t v_block, const real *phases,
                const cpu_winograd_unit *unit, const real *inside, real *half);
  /* A dy A' likewise */
  void (*gradient)(real *v, int64_t v_stride, int64_t v_block, const real *phases,
                   const cpu_winograd_unit *unit);
  /* lines[p * line_stride + 4 tile + q] = pixel (p, q) of A' m A */
  void (*output)(real *lines, int64_t line_stride, const real *m, int64_t m_stride,
                 int64_t n_tiles);
  /*
  ** B' x B of one tile for n_channels rounded up to CPU_SUM_LANES, which are neighbours: pixel (p, q) of x is at
  ** p * line + q * column, product f of v at f * v_stride.
  */
  void (*input_channels)(real *v, int64_t v_stride, const real *x, int64_t line, int64_t column,
                         int64_t n_channels);
  /* dw[tap * dw_stride + c] = G' m G for n values c of each product, a multiple of CPU_SUM_LANES; added. */
  void (*weight_gradient)(real *dw, int64_t dw_stride, const real *m, int64_t m_stride, int64_t n);
} cpu_winograd_loops;

#endif
