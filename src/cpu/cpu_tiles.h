/*
** Tiles: the inner loops of the dense layer. Their users (cpu_norm_relu_*.c) cut the work; a table
** of these loops exists for each instruction set and is chosen once, when first asked for.
**
** Pixels are the vector dimension. *Rows* are channels of packed pixels: row c begins at
** rows + c * stride, holds a multiple of CPU_BLOCK pixels and is filled up with zeros. The left
** operand of a product is packed in *panels* of panel_rows rows, column after column, so that the
** loop over the sum's index reads it in order; see cpu_pack_panels.
*/
#ifndef CPU_TILES_H
#define CPU_TILES_H

#include <stdbool.h>
#include <stdint.h>

enum {
  CPU_BLOCK = 32,     /* pixels a tile covers */
  CPU_SUM_LANES = 16, /* partial sums of one channel; their order never depends on threads */
  CPU_TILE_SLACK = 64 /* values that a tile may read past the end of its last row */
};

/* One batch norm, channel by channel: x^ = (x - mean) * inv_std, z = relu(scale x + shift). */
typedef struct cpu_norm {
  const float *mean, *inv_std, *scale, *shift;
} cpu_norm;

/* What is still missing from a gradient: dy + offset + slope (y - mean), per channel of y. */
typedef struct cpu_deferred {
  const float *offset, *slope, *mean; /* NULL: nothing is missing */
} cpu_deferred;

typedef struct cpu_tiles {
  const char *name; /* "avx512", "avx2", "portable" */
  int panel_rows;   /* rows of a full panel */
  int panel_step;   /* rows of the last panel are a multiple of this */

  /* rows[c][p] = relu(scale[c] * x[c][p] + shift[c]) for p < n_pixels, then zeros to the next
  ** multiple of CPU_BLOCK. */
  void (*norm_relu)(float *rows, int64_t stride, const float *x, int64_t x_stride,
                    int64_t n_channels, int64_t n_pixels, const float *scale, const float *shift);

  /*
  ** The same for n_lines lines of `width` pixels, written width + 2 apart behind one free value on
  ** either side: the inside of a bordered image. Nothing else is touched.
  */
  void (*norm_relu_lines)(float *rows, int64_t stride, const float *x, int64_t x_stride,
                          int64_t n_channels, int64_t n_lines, int64_t width, const float *scale,
                          const float *shift);

  /* rows[c][p] = dy[c][p] + offset[c] + slope[c] * (y[c][p] - mean[c]), zeros likewise. */
  void (*deferred)(float *rows, int64_t stride, const float *dy, int64_t dy_stride, const float *y,
                   int64_t y_stride, int64_t n_channels, int64_t n_pixels, cpu_deferred terms);

  /*
  ** out[m][p] = sum over k of panels(m, k) * b[b_offset[k] + p] for m < n_rows, p < n_pixels.
  ** Reads b up to the next multiple of CPU_BLOCK pixels. `next` [or NULL]: n_pixels in each of
  ** `depth` rows next_stride apart that the caller will read soon; they are fetched on the side.
  */
  void (*product)(float *out, int64_t out_stride, int64_t n_rows, const float *panels,
                  int64_t depth, const float *b, const int32_t *b_offset, int64_t n_pixels,
                  const float *next, int64_t next_stride);

  /*
  ** The way back through ReLU and scale for n_rows channels, p < n_pixels, from the raw input x of
  ** the forward pass: with d = scale x + shift > 0 ? d : 0,
  **   dx = (accumulate ? dx : 0) + scale d;  sums[c] += d;  sums[c] + CPU_SUM_LANES += d x^.
  ** sums hold 2 * CPU_SUM_LANES values a channel.
  */
  void (*unmask)(float *dx, int64_t dx_stride, const float *d, int64_t d_stride, const float *x,
                 int64_t x_stride, int64_t n_rows, int64_t n_pixels, cpu_norm norm, float *sums,
                 bool accumulate);

  /* product and unmask in one, without storing d. `next`: what of x the caller will read soon. */
  void (*product_unmask)(float *dx, int64_t dx_stride, int64_t n_rows, const float *panels,
                         int64_t depth, const float *b, const int32_t *b_offset, int64_t n_pixels,
                         const float *x, int64_t x_stride, cpu_norm norm, float *sums,
                         bool accumulate, const float *next);

  /*
  ** dw[i][j] += sum over p < n_pixels of a[a_offset[i] + p] * b[b_offset[j] + p]; n_pixels is a
  ** multiple of CPU_SUM_LANES.
  */
  void (*dot)(float *dw, int64_t dw_stride, int64_t n_rows, int64_t n_columns, const float *a,
              const int32_t *a_offset, const float *b, const int32_t *b_offset, int64_t n_pixels);

  /* *mean and *m2 (sum of squared distances from it) of n contiguous values. */
  void (*moments)(const float *x, int64_t n, double *mean, double *m2);
} cpu_tiles;

/* The table for this processor, or the one that was selected. */
const cpu_tiles *cpu_tiles_best(void);

/* The tables that were built and that this processor can run, best first; returns how many. */
int cpu_tiles_all(const cpu_tiles *tables[3]);

/* Test hook, for the process: one of cpu_tiles_all's, to be used from now on. */
void cpu_tiles_select(const cpu_tiles *table);

/* Floats that cpu_pack_panels writes. */
int64_t cpu_panels_count(const cpu_tiles *tiles, int64_t n_rows, int64_t depth);

/* panels(m, k) = a[m * row_stride + column_offset[k]], rows filled up with zeros. */
void cpu_pack_panels(const cpu_tiles *tiles, float *panels, const float *a, int64_t n_rows,
                     int64_t row_stride, int64_t depth, const int32_t *column_offset);

#endif
