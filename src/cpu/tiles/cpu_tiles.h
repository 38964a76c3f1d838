/*
** Tiles: the inner loops of convolutions, for float and for double (cpu_real.h). Their users
** (cpu_conv_*.c) cut the work; a table of these loops exists for each instruction set and is chosen once,
** when first asked for.
**
** Pixels are the vector dimension, and come in *blocks* of CPU_BLOCK: pixel p of channel c is at
** c * layout.row + p / CPU_BLOCK * layout.block + p % CPU_BLOCK, and the last block is filled up
** with zeros. With row = CPU_BLOCK the channels of a block are neighbours, which is what a product
** likes to read; with block = CPU_BLOCK the blocks of a channel are. The left operand of a product
** is packed in *panels* of panel_rows rows, column after column, so that the loop over the sum's
** index reads it in order; see cpu_pack_panels. Products move a prefetch cursor on while they compute.
*/
#ifndef CPU_TILES_H
#define CPU_TILES_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu_prefetch.h"
#include "cpu_real.h"
#include "cpu_winograd.h"

enum {
  CPU_BLOCK = 32,      /* pixels a tile covers */
  CPU_SUM_LANES = 16,  /* partial sums of one channel; their order never depends on threads */
  CPU_TILE_SLACK = 64, /* values that a tile may read past the end of its last row */
  CPU_OUTER_ROWS = 12  /* a multiple of the rows of every outer product's tile */
};

/* n pixels, the last block filled up. */
static inline int64_t cpu_whole_blocks(int64_t n) {
  return (n + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
}

/* One batch norm, channel by channel: x^ = (x - mean) * inv_std, z = relu(scale x + shift). */
typedef struct cpu_norm {
  const real *mean, *inv_std, *scale, *shift;
} cpu_norm;

/* What is still missing from a gradient: dy + offset + slope (y - mean), per channel of y. */
typedef struct cpu_deferred {
  const real *offset, *slope, *mean; /* NULL: nothing is missing */
} cpu_deferred;

/* Where packed pixels lie, in values from one channel or block to the next. */
typedef struct cpu_layout {
  int64_t row, block;
} cpu_layout;

/*
** Sums of a channel's values and of their squares, both less `pivot`, a value of the channel's own:
** so a large mean costs no digits. In lanes, whose order never depends on threads.
*/
typedef struct cpu_moments {
  real pivot;
  bool is_open; /* pivot is set */
  double sum[CPU_SUM_LANES], squares[CPU_SUM_LANES];
} cpu_moments;

typedef struct cpu_tiles {
  int panel_rows; /* rows of a full panel */
  int panel_step; /* rows of the last panel are a multiple of this */

  /*
  ** relu(scale[c] * x[c][p] + shift[c]), or x[c][p] where scale is NULL, for p < n_pixels, packed, then
  ** zeros to the block's end.
  */
  void (*norm_relu)(real *packed, cpu_layout layout, const real *x, int64_t x_stride,
                    int64_t n_channels, int64_t n_pixels, const real *scale, const real *shift);

  /*
  ** The same for n_lines lines of `width` pixels, written `line` apart: the inside of a bordered image.
  ** Nothing else is touched.
  */
  void (*norm_relu_lines)(real *rows, int64_t stride, const real *x, int64_t x_stride,
                          int64_t n_channels, int64_t n_lines, int64_t width, int64_t line,
                          const real *scale, const real *shift);

  /* dy[c][p] + offset[c] + slope[c] * (y[c][p] - mean[c]), packed, zeros likewise. */
  void (*deferred)(real *packed, cpu_layout layout, const real *dy, int64_t dy_stride,
                   const real *y, int64_t y_stride, int64_t n_channels, int64_t n_pixels,
                   cpu_deferred terms);

  /*
  ** out[m][p] = sum over k of panels(m, k) * b(k, p) for m < n_rows, p < n_pixels, where row k of b
  ** begins at b + b_offset[k] and its blocks are b_block apart. Whole blocks of b are read.
  */
  void (*product)(real *out, int64_t out_stride, int64_t n_rows, const real *panels, int64_t depth,
                  const real *b, const int32_t *b_offset, int64_t b_block, int64_t n_pixels,
                  cpu_prefetch *prefetch);

  /*
  ** product, then out + shift[m] (or out, where shift is NULL), and 0 in place of what is not above 0 where
  ** it `rectifies`: from registers.
  */
  void (*product_shifted)(real *out, int64_t out_stride, int64_t n_rows, const real *panels,
                          int64_t depth, const real *b, const int32_t *b_offset, int64_t b_block,
                          int64_t n_pixels, const real *shift, bool rectifies,
                          cpu_prefetch *prefetch);

  /*
  ** F(2x2, 3x3) (cpu_tiles_winograd2.h). A line of the image, bordered and split into n even and n odd columns,
  ** read as norm_relu reads it (*scale, or NULL); the transformed input of n tiles from four such lines,
  ** 16 vectors v_stride apart, each written up to CPU_SUM_LANES - 1 values beyond n, and as many of the lines
  ** read; and n_values of one or two (lower may be NULL) lines of the output, from 16 vectors of sums, plus
  ** shift and rectified.
  */
  void (*winograd2_split)(real *even, real *odd, const real *line, int64_t width, int64_t n,
                          const real *scale, const real *shift);
  void (*winograd2_input)(real *v, int64_t v_stride, const real *const even[4],
                          const real *const odd[4], int64_t n);
  void (*winograd2_output)(real *upper, real *lower, int64_t n_values, const real *m,
                           int64_t m_stride, real shift, bool rectifies);

  /*
  ** Backward of norm_relu for n_rows channels, p < n_pixels, from the raw input x of the forward pass:
  ** with d = scale x + shift > 0 ? d : 0,
  **   dx = (accumulate ? dx : 0) + scale d;  sums[c] += d;
  **   sums[c] + CPU_SUM_LANES += d (x - mean).
  ** sums hold 2 * CPU_SUM_LANES values a channel.
  */
  void (*norm_relu_backward)(real *dx, int64_t dx_stride, const real *d, int64_t d_stride,
                             const real *x, int64_t x_stride, int64_t n_rows, int64_t n_pixels,
                             cpu_norm norm, real *sums, bool accumulate);

  /* product and norm_relu_backward in one, without storing d. */
  void (*product_norm_relu_backward)(real *dx, int64_t dx_stride, int64_t n_rows,
                                     const real *panels, int64_t depth, const real *b,
                                     const int32_t *b_offset, int64_t b_block, int64_t n_pixels,
                                     const real *x, int64_t x_stride, cpu_norm norm, real *sums,
                                     bool accumulate, cpu_prefetch *prefetch);

  /*
  ** to[offset[p] + c] = relu(scale[c] * x(c, p) + shift[c]), or x(c, p) where scale is NULL, for p <
  ** n_pixels and c < n_channels; zeros for c up to the next multiple of CPU_SUM_LANES. Row c of x
  ** begins at x + c * x_stride.
  */
  void (*transpose)(real *to, const int32_t *offset, const real *x, int64_t x_stride,
                    int64_t n_channels, int64_t n_pixels, const real *scale, const real *shift);

  /*
  ** dw[i][j] += sum over p < n_pixels of a(i, p) * b[b_offset[p] + j] for i < n_rows, j < n_columns
  ** rounded up to CPU_SUM_LANES; a is packed. Rows of a may be read up to the next multiple of
  ** CPU_OUTER_ROWS.
  */
  void (*outer)(real *dw, int64_t dw_stride, int64_t n_rows, int64_t n_columns, const real *a,
                cpu_layout layout, const real *b, const int32_t *b_offset, int64_t n_pixels,
                cpu_prefetch *prefetch);

  /*
  ** The products' innermost loop without memory: n_rounds times as many multiplications and additions as it
  ** returns, in registers. What came of them goes to sink, at least CPU_BLOCK values, so that they are made.
  */
  int64_t (*multiply_add)(int64_t n_rounds, real *sink);

  /* n values of one channel into its sums; copied to `to` on the way, unless that is NULL. */
  void (*moments)(cpu_moments *sums, const real *x, int64_t n, real *to);

  cpu_winograd_loops winograd;
} cpu_tiles;

#define cpu_tiles_best CPU_REAL(cpu_tiles_best)
#define cpu_moments_result CPU_REAL(cpu_moments_result)
#define cpu_panels_count CPU_REAL(cpu_panels_count)
#define cpu_panels_place CPU_REAL(cpu_panels_place)
#define cpu_pack_panels CPU_REAL(cpu_pack_panels)

/* The table for this processor, or the one that was selected (cpu_tiles_choice.h). */
const cpu_tiles *cpu_tiles_best(void);

/* Mean and squared distances from it of the n values behind the sums. */
void cpu_moments_result(const cpu_moments *sums, double n, double *mean, double *m2);

/* Values that cpu_pack_panels writes. */
int64_t cpu_panels_count(const cpu_tiles *tiles, int64_t n_rows, int64_t depth);

/* Where panels(m, k) is. */
int64_t cpu_panels_place(const cpu_tiles *tiles, int64_t n_rows, int64_t depth, int64_t m,
                         int64_t k);

/* offset[i] = i * stride: the rows of a packed right operand, or the columns of a matrix. */
static inline void cpu_offsets(int32_t *offset, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; i++) offset[i] = (int32_t)(i * stride);
}

/* panels(m, k) = a[m * row_stride + column_offset[k]], rows filled up with zeros. */
void cpu_pack_panels(const cpu_tiles *tiles, real *panels, const real *a, int64_t n_rows,
                     int64_t row_stride, int64_t depth, const int32_t *column_offset);

#endif
