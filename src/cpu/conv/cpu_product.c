/*
** What clang does unasked and gcc does not: fuse a product and a sum (not under -std=c11, which
** would halve the speed here), and take loops over accumulators apart before it places them.
*/
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#define UNROLLED _Pragma("GCC unroll 8")
#else
#define UNROLLED
#endif

#include "cpu_product.h"

enum { ROWS = CPU_PRODUCT_ROWS, VECTORS = CPU_PRODUCT_VECTORS };

#define SPECIALIZED static inline __attribute__((always_inline))

/* Called with a constant n_rows, so that the accumulators are registers. */
SPECIALIZED void tile(int n_rows, int64_t depth, const float *left, const float *start,
                      const float *const pixels[VECTORS], const int64_t *offset, float *out,
                      int64_t out_stride) {
  cpu_lanes sum[ROWS][VECTORS];
  UNROLLED
  for (int i = 0; i < n_rows; i++)
    for (int v = 0; v < VECTORS; v++) sum[i][v] = cpu_lanes_all(start[i]);
  for (int64_t k = 0; k < depth; k++) {
    cpu_lanes right[VECTORS];
    for (int v = 0; v < VECTORS; v++) right[v] = cpu_lanes_load(pixels[v] + offset[k]);
    for (int i = 0; i < n_rows; i++) {
      const float factor = left[k * ROWS + i];
      for (int v = 0; v < VECTORS; v++) sum[i][v] += factor * right[v];
    }
  }
  UNROLLED
  for (int i = 0; i < n_rows; i++)
    for (int v = 0; v < VECTORS; v++)
      cpu_lanes_store(out + i * out_stride + v * CPU_LANES, sum[i][v]);
}

void cpu_product_tile(int n_rows, int64_t depth, const float *left, const float *start,
                      const float *const pixels[VECTORS], const int64_t *offset, float *out,
                      int64_t out_stride) {
  switch (n_rows) {
    case 1:
      tile(1, depth, left, start, pixels, offset, out, out_stride);
      return;
    case 2:
      tile(2, depth, left, start, pixels, offset, out, out_stride);
      return;
    case 3:
      tile(3, depth, left, start, pixels, offset, out, out_stride);
      return;
    case 4:
      tile(4, depth, left, start, pixels, offset, out, out_stride);
      return;
    case 5:
      tile(5, depth, left, start, pixels, offset, out, out_stride);
      return;
    default:
      tile(6, depth, left, start, pixels, offset, out, out_stride);
      return;
  }
}

/* The sum of n stored lanes, a multiple of four. */
typedef float four_lanes __attribute__((vector_size(4 * sizeof(float))));

SPECIALIZED float total_of(int n, const float *lanes) {
  four_lanes sum = {0};
  for (int j = 0; j < n; j += 4) {
    four_lanes part;
    memcpy(&part, lanes + j, sizeof part);
    sum += part;
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void cpu_product_dots(int64_t n_vectors, const float *left, int64_t left_stride, const float *right,
                      const int64_t offset[CPU_DOT_COLUMNS], const int64_t *position, float *sum) {
  enum { LEFT = CPU_DOT_ROWS, RIGHT = CPU_DOT_COLUMNS };
  const float *columns[RIGHT];
  cpu_lanes total[RIGHT][LEFT];
  UNROLLED
  for (int k = 0; k < RIGHT; k++) {
    columns[k] = right + offset[k];
    for (int i = 0; i < LEFT; i++) total[k][i] = cpu_lanes_all(0);
  }
  for (int64_t v = 0; v < n_vectors; v++) {
    cpu_lanes factor[LEFT];
    for (int i = 0; i < LEFT; i++)
      factor[i] = cpu_lanes_load(left + i * left_stride + v * CPU_LANES);
    for (int k = 0; k < RIGHT; k++) {
      const cpu_lanes pixels = cpu_lanes_load(columns[k] + position[v]);
      for (int i = 0; i < LEFT; i++) total[k][i] += factor[i] * pixels;
    }
  }
  float lanes[LEFT * RIGHT][CPU_LANES];
  UNROLLED
  for (int k = 0; k < RIGHT; k++)
    for (int i = 0; i < LEFT; i++) cpu_lanes_store(lanes[i * RIGHT + k], total[k][i]);
  for (int i = 0; i < LEFT * RIGHT; i++) sum[i] = total_of(CPU_LANES, lanes[i]);
}
