/*
** The two inner loops of convolution, for matrices whose rows are runs of pixels anywhere in
** memory: a row is given by its offset, a vector of pixels by its position, and element j of that
** vector in row k is base[offset[k] + position + j]. So an image with a border serves as the
** matrix of its own shifted copies.
*/
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H

#include <stdint.h>

#include "cpu_lanes.h"

/* Accumulators fill the registers: 24 of 32, or 12 of 16. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { CPU_PRODUCT_VECTORS = 4 };
#else
enum { CPU_PRODUCT_VECTORS = 2 };
#endif
enum { CPU_PRODUCT_ROWS = 6, CPU_PRODUCT_PIXELS = CPU_PRODUCT_VECTORS * CPU_LANES };

/*
** A tile of left * right: n_rows (1 to CPU_PRODUCT_ROWS) rows by CPU_PRODUCT_PIXELS pixels.
**   out[i * out_stride + v * CPU_LANES + j] = start[i]
**       + sum over k < depth of left[k * CPU_PRODUCT_ROWS + i] * pixels[v][offset[k] + j]
** pixels[v]: base + position of vector v.
*/
void cpu_product_tile(int n_rows, int64_t depth, const float *left, const float *start,
                      const float *const pixels[CPU_PRODUCT_VECTORS], const int64_t *offset,
                      float *out, int64_t out_stride);

/* The other tile: dot products of CPU_DOT_ROWS rows with CPU_DOT_COLUMNS. */
enum {
  CPU_DOT_ROWS = CPU_PRODUCT_VECTORS,
  CPU_DOT_COLUMNS = CPU_PRODUCT_ROWS,
};

/*
** A tile of left * right', pixels being summed over: n_vectors vectors of them.
**   sum[i * CPU_DOT_COLUMNS + k] = sum over v, j of
**       left[i * left_stride + v * CPU_LANES + j] * right[offset[k] + position[v] + j]
*/
void cpu_product_dots(int64_t n_vectors, const float *left, int64_t left_stride, const float *right,
                      const int64_t offset[CPU_DOT_COLUMNS], const int64_t *position, float *sum);

#endif
