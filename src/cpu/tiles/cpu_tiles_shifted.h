/*
** The product whose tiles are shifted and rectified while they are in registers: a part of
** cpu_tiles_loops.h, which includes it.
*/
#ifndef CPU_TILES_SHIFTED_H
#define CPU_TILES_SHIFTED_H

INLINE void shifted_store(const int rows, const bool rectifies, real *out, int64_t out_stride,
                          int64_t n_rows, const real *panel, int64_t depth, const real *b,
                          const int32_t *b_offset, int64_t n_pixels, const real *shift,
                          cpu_prefetch *prefetch) {
  vec acc[ROWS][2];
  product_tile(rows, acc, panel, depth, b, b_offset, prefetch);
  UNROLLED
  for (int m = 0; m < rows; m++) {
    const real own = shift && m < n_rows ? shift[m] : 0;
    for (int v = 0; v < 2; v++) {
      acc[m][v] += own;
      if (rectifies) acc[m][v] = where_positive(acc[m][v], acc[m][v]);
    }
  }
  if (n_pixels >= WIDTH && n_rows >= rows) {
    UNROLLED
    for (int m = 0; m < rows; m++) {
      store(out + m * out_stride, acc[m][0]);
      store(out + m * out_stride + LANES, acc[m][1]);
    }
    return;
  }
  const int64_t n = n_pixels < WIDTH ? n_pixels : WIDTH;
  for (int m = 0; m < rows && m < n_rows; m++)
    memcpy(out + m * out_stride, acc[m], (size_t)n * sizeof *out);
}

static void product_shifted(real *out, int64_t out_stride, int64_t n_rows, const real *panels,
                            int64_t depth, const real *b, const int32_t *b_offset, int64_t b_block,
                            int64_t n_pixels, const real *shift, bool rectifies,
                            cpu_prefetch *prefetch) {
  for (int64_t p = 0; p < n_pixels; p += WIDTH) {
    const real *panel = panels, *block = block_of(b, b_block, p);
    for (int64_t m = 0; m < n_rows; m += ROWS) {
      const int rows = rows_of_panel(n_rows - m);
      const real *own = shift ? shift + m : NULL;
#define RECTIFIED(constant_rows)                                                              \
  shifted_store(constant_rows, true, out + m * out_stride + p, out_stride, n_rows - m, panel, \
                depth, block, b_offset, n_pixels - p, own, prefetch)
#define SHIFTED(constant_rows)                                                                 \
  shifted_store(constant_rows, false, out + m * out_stride + p, out_stride, n_rows - m, panel, \
                depth, block, b_offset, n_pixels - p, own, prefetch)
      if (rectifies)
        WITH_CONSTANT_ROWS(rows, RECTIFIED);
      else
        WITH_CONSTANT_ROWS(rows, SHIFTED);
      panel += rows * depth;
    }
  }
}

#endif
