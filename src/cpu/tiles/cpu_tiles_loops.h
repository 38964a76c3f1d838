/*
** The loops of cpu_tiles.h for one instruction set: the file that includes this one is compiled
** with that set's flags and names the table (CPU_TILES_TABLE). All arithmetic is on the compiler's
** vector types, so the same lines become AVX-512, AVX2 or whatever the processor has.
*/
#include <string.h>

#include "cpu_tiles.h"

#if defined(__AVX512F__) && defined(CPU_TILES_AVX512)
enum { BYTES = 64, ROWS = 12, STEP = 4, OUTER_ROWS = 8, OUTER_STEP = 4, OUTER_WIDTH = 3 };
#elif defined(__AVX2__) && defined(CPU_TILES_AVX2)
enum { BYTES = 32, ROWS = 6, STEP = 3, OUTER_ROWS = 6, OUTER_STEP = 3, OUTER_WIDTH = 2 };
#else
enum { BYTES = 16, ROWS = 6, STEP = 3, OUTER_ROWS = 6, OUTER_STEP = 3, OUTER_WIDTH = 2 };
#endif
enum { LANES = BYTES / sizeof(real), WIDTH = 2 * LANES };
/*
** Steps of a product from one prefetched line to the next: as many multiplications for any width of vectors, so
** that memory is asked for lines evenly.
*/
enum { PREFETCH_STEPS = BYTES == 64 ? 1 : 4 };

#ifdef CPU_REAL_DOUBLE
typedef int64_t lane;
enum { FEW = 2 }; /* values, for lines that are shorter than a vector */
#else
typedef int32_t lane;
enum { FEW = 4 };
#endif
typedef real vec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef lane lane_mask __attribute__((vector_size(BYTES), may_alias));
typedef real few __attribute__((vector_size(16), aligned(4), may_alias));
typedef lane few_mask __attribute__((vector_size(16), may_alias));
#define INLINE static inline __attribute__((always_inline))
/* gcc places accumulators in registers only when their loops are taken apart; clang does it unasked. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 16")
#else
#define UNROLLED
#endif

INLINE vec load(const real *p) { return *(const vec *)p; }
INLINE void store(real *p, vec v) { *(vec *)p = v; }

/* v in the lanes where `of` is positive, else 0 */
INLINE vec where_positive(vec of, vec v) { return (vec)((lane_mask)v & (of > 0)); }

INLINE vec norm_relu_of(vec x, real scale, real shift) {
  const vec v = scale * x + shift;
  return where_positive(v, v);
}

/* n values, or a block of them, then zeros. */
INLINE void copy_block(real *to, const real *from, int64_t n) {
  if (n >= CPU_BLOCK) {
    for (int p = 0; p < CPU_BLOCK; p += LANES) store(to + p, load(from + p));
    return;
  }
  for (int64_t p = 0; p < CPU_BLOCK; p++) to[p] = p < n ? from[p] : 0;
}

static void norm_relu(real *packed, cpu_layout layout, const real *x, int64_t x_stride,
                      int64_t n_channels, int64_t n_pixels, const real *scale, const real *shift) {
  for (int64_t c = 0; c < n_channels; c++, x += x_stride)
    for (int64_t first = 0; first < n_pixels; first += CPU_BLOCK) {
      real *to = packed + c * layout.row + first / CPU_BLOCK * layout.block;
      const real *from = x + first;
      const int64_t n = n_pixels - first;
      if (!scale) {
        copy_block(to, from, n);
        continue;
      }
      if (n >= CPU_BLOCK) {
        for (int p = 0; p < CPU_BLOCK; p += LANES)
          store(to + p, norm_relu_of(load(from + p), scale[c], shift[c]));
        continue;
      }
      for (int64_t p = 0; p < CPU_BLOCK; p++) {
        const real v = p < n ? scale[c] * from[p] + shift[c] : 0;
        to[p] = v > 0 ? v : 0;
      }
    }
}

/* For short lines, where a call of memmove costs more than the copy. */
INLINE void copy_line(real *to, const real *from, int64_t n) {
  int64_t p = 0;
  for (; p + LANES <= n; p += LANES) store(to + p, load(from + p));
  for (; p + FEW <= n; p += FEW) *(few *)(to + p) = *(const few *)(from + p);
  for (; p < n; p++) to[p] = from[p];
}

/* One line; x itself where scale is NULL. */
INLINE void norm_relu_line(real *to, const real *from, int64_t n, const real *scale,
                           const real *shift) {
  if (!scale) {
    copy_line(to, from, n);
    return;
  }
  int64_t p = 0;
  for (; p + LANES <= n; p += LANES) store(to + p, norm_relu_of(load(from + p), *scale, *shift));
  for (; p + FEW <= n; p += FEW) {
    const few v = *scale * *(const few *)(from + p) + *shift;
    *(few *)(to + p) = (few)((few_mask)v & (v > 0));
  }
  for (; p < n; p++) {
    const real v = *scale * from[p] + *shift;
    to[p] = v > 0 ? v : 0;
  }
}

static void norm_relu_lines(real *rows, int64_t stride, const real *x, int64_t x_stride,
                            int64_t n_channels, int64_t n_lines, int64_t width, int64_t line,
                            const real *scale, const real *shift) {
  for (int64_t c = 0; c < n_channels; c++)
    for (int64_t l = 0; l < n_lines; l++)
      norm_relu_line(rows + c * stride + l * line, x + c * x_stride + l * width, width,
                     scale ? scale + c : NULL, shift ? shift + c : NULL);
}

static void deferred(real *packed, cpu_layout layout, const real *dy, int64_t dy_stride,
                     const real *y, int64_t y_stride, int64_t n_channels, int64_t n_pixels,
                     cpu_deferred terms) {
  for (int64_t c = 0; c < n_channels; c++, dy += dy_stride, y += y_stride) {
    const real slope = terms.slope[c], mean = terms.mean[c], offset = terms.offset[c];
    for (int64_t first = 0; first < n_pixels; first += CPU_BLOCK) {
      real *to = packed + c * layout.row + first / CPU_BLOCK * layout.block;
      const real *d = dy + first, *value = y + first;
      const int64_t n = n_pixels - first;
      if (n >= CPU_BLOCK) {
        for (int p = 0; p < CPU_BLOCK; p += LANES)
          store(to + p, load(d + p) + (slope * (load(value + p) - mean) + offset));
        continue;
      }
      for (int64_t p = 0; p < CPU_BLOCK; p++)
        to[p] = p < n ? d[p] + (slope * (value[p] - mean) + offset) : 0;
    }
  }
}

/* Prefetches one line and moves the cursor on. */
INLINE void prefetch_line(cpu_prefetch *cursor) {
  __builtin_prefetch(cursor->at, 0, 2);
  cursor->at += CPU_LINE;
  if (--cursor->left == 0) {
    cursor->left = cursor->length;
    cursor->at += cursor->gap;
  }
}

/* After n lines: on to the next set of rows if this one is done. */
INLINE void prefetch_count(cpu_prefetch *cursor, int64_t n) {
  cursor->n_lines -= n;
  if (cursor->n_lines <= 0) cpu_prefetch_next(cursor);
}

INLINE void product_step(const int rows, vec acc[][2], const real *panel, const real *row) {
  const vec b0 = load(row), b1 = load(row + LANES);
  UNROLLED
  for (int m = 0; m < rows; m++) {
    acc[m][0] += panel[m] * b0;
    acc[m][1] += panel[m] * b1;
  }
}

/* acc[m] = row m of the panel times two vectors of b's rows. Prefetches on the way. */
INLINE void product_tile(const int rows, vec acc[][2], const real *panel, int64_t depth,
                         const real *b, const int32_t *b_offset, cpu_prefetch *prefetch) {
  UNROLLED
  for (int m = 0; m < rows; m++) acc[m][0] = acc[m][1] = (vec){0};
  cpu_prefetch now = {
      .at = prefetch->at, .left = prefetch->left, .length = prefetch->length, .gap = prefetch->gap};
  int64_t k = 0;
  for (; k + PREFETCH_STEPS <= depth; k += PREFETCH_STEPS, panel += PREFETCH_STEPS * rows) {
    prefetch_line(&now);
    UNROLLED
    for (int i = 0; i < PREFETCH_STEPS; i++)
      product_step(rows, acc, panel + i * rows, b + b_offset[k + i]);
  }
  for (; k < depth; k++, panel += rows) product_step(rows, acc, panel, b + b_offset[k]);
  prefetch->at = now.at;
  prefetch->left = now.left;
  prefetch_count(prefetch, depth / PREFETCH_STEPS);
}

/* A tile, stored: n_rows by n_pixels of it, if it has as many. */
INLINE void product_store(const int rows, real *out, int64_t out_stride, int64_t n_rows,
                          const real *panel, int64_t depth, const real *b, const int32_t *b_offset,
                          int64_t n_pixels, cpu_prefetch *prefetch) {
  vec acc[ROWS][2];
  product_tile(rows, acc, panel, depth, b, b_offset, prefetch);
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

/* Rows of the panel that holds the first of `left` rows. */
INLINE int rows_of_panel(int64_t left) {
  if (left > ROWS - STEP) return ROWS;
  return (int)((left + STEP - 1) / STEP) * STEP;
}

/* A panel's height must be a constant for its tile to stay in registers. */
#define WITH_CONSTANT_ROWS(rows, call) \
  do {                                 \
    if ((rows) == ROWS) {              \
      call(ROWS);                      \
    } else if ((rows) == STEP) {       \
      call(STEP);                      \
    } else {                           \
      call(ROWS - STEP);               \
    }                                  \
  } while (0)

/* Where a tile that begins at pixel p finds row 0 of b. */
INLINE const real *block_of(const real *b, int64_t b_block, int64_t p) {
  return b + p / CPU_BLOCK * b_block + p % CPU_BLOCK;
}

/* Not inlined: in a caller's midst gcc runs out of registers and adds up in memory. */
__attribute__((noinline)) static void product(real *out, int64_t out_stride, int64_t n_rows,
                                              const real *panels, int64_t depth, const real *b,
                                              const int32_t *b_offset, int64_t b_block,
                                              int64_t n_pixels, cpu_prefetch *prefetch) {
  for (int64_t p = 0; p < n_pixels; p += WIDTH) {
    const real *panel = panels, *block = block_of(b, b_block, p);
    for (int64_t m = 0; m < n_rows; m += ROWS) {
      const int rows = rows_of_panel(n_rows - m);
#define PRODUCT(constant_rows)                                                                 \
  product_store(constant_rows, out + m * out_stride + p, out_stride, n_rows - m, panel, depth, \
                block, b_offset, n_pixels - p, prefetch)
      WITH_CONSTANT_ROWS(rows, PRODUCT);
      panel += rows * depth;
    }
  }
}

/* norm_relu_backward for WIDTH pixels of channel m; the sums of d and of d (x - mean) stay in registers. */
INLINE void norm_relu_backward_step(real *dx, const real *d, const real *x, cpu_norm norm,
                                    int64_t m, vec beta[2], vec gamma[2], bool accumulate) {
  for (int v = 0; v < 2; v++) {
    const vec raw = load(x + v * LANES);
    const vec kept = where_positive(norm.scale[m] * raw + norm.shift[m], load(d + v * LANES));
    const vec before = accumulate ? load(dx + v * LANES) : (vec){0};
    beta[v] += kept;
    gamma[v] += kept * (raw - norm.mean[m]);
    store(dx + v * LANES, before + norm.scale[m] * kept);
  }
}

INLINE void norm_relu_backward_row(real *dx, const real *d, const real *x, int64_t n_pixels,
                                   cpu_norm norm, int64_t m, real *sums, bool accumulate) {
  vec beta[2] = {{0}, {0}}, gamma[2] = {{0}, {0}};
  int64_t p = 0;
  for (; p + WIDTH <= n_pixels; p += WIDTH)
    norm_relu_backward_step(dx + p, d + p, x + p, norm, m, beta, gamma, accumulate);
  if (p < n_pixels) { /* nothing is read or written beyond them */
    real d_rest[WIDTH] = {0}, x_rest[WIDTH] = {0}, dx_rest[WIDTH] = {0};
    const size_t n_bytes = (size_t)(n_pixels - p) * sizeof *d;
    memcpy(d_rest, d + p, n_bytes);
    memcpy(x_rest, x + p, n_bytes);
    if (accumulate) memcpy(dx_rest, dx + p, n_bytes);
    norm_relu_backward_step(dx_rest, d_rest, x_rest, norm, m, beta, gamma, accumulate);
    memcpy(dx + p, dx_rest, n_bytes);
  }
  /* Where a vector fills all lanes of the sums, the two go there together. */
  for (int v = 0; v < 2; v++) {
    real *sum = sums + v * LANES % CPU_SUM_LANES;
    store(sum, load(sum) + beta[v]);
    store(sum + CPU_SUM_LANES, load(sum + CPU_SUM_LANES) + gamma[v]);
  }
}

static void norm_relu_backward(real *dx, int64_t dx_stride, const real *d, int64_t d_stride,
                               const real *x, int64_t x_stride, int64_t n_rows, int64_t n_pixels,
                               cpu_norm norm, real *sums, bool accumulate) {
  for (int64_t m = 0; m < n_rows; m++) {
    real *to = dx + m * dx_stride, *sum = sums + m * 2 * CPU_SUM_LANES;
    if (accumulate)
      norm_relu_backward_row(to, d + m * d_stride, x + m * x_stride, n_pixels, norm, m, sum, true);
    else
      norm_relu_backward_row(to, d + m * d_stride, x + m * x_stride, n_pixels, norm, m, sum, false);
  }
}

/*
** The product of one panel stays in L1 until norm_relu_backward has read it; dx and x are accessed row
** by row, so the hardware prefetcher works.
*/
static void product_norm_relu_backward(real *dx, int64_t dx_stride, int64_t n_rows,
                                       const real *panels, int64_t depth, const real *b,
                                       const int32_t *b_offset, int64_t b_block, int64_t n_pixels,
                                       const real *x, int64_t x_stride, cpu_norm norm, real *sums,
                                       bool accumulate, cpu_prefetch *prefetch) {
  enum { SOME = 8 * CPU_BLOCK };
  real d[ROWS * SOME];
  for (int64_t p = 0; p < n_pixels; p += SOME) {
    const int64_t n = n_pixels - p < SOME ? n_pixels - p : SOME;
    const real *panel = panels;
    for (int64_t m = 0, rows; m < n_rows; m += rows) {
      rows = n_rows - m < ROWS ? n_rows - m : ROWS;
      product(d, SOME, rows, panel, depth, block_of(b, b_block, p), b_offset, b_block, n, prefetch);
      const cpu_norm own = {norm.mean + m, norm.inv_std + m, norm.scale + m, norm.shift + m};
      norm_relu_backward(dx + m * dx_stride + p, dx_stride, d, SOME, x + m * x_stride + p, x_stride,
                         rows, n, own, sums + m * 2 * CPU_SUM_LANES, accumulate);
      panel += ROWS * depth;
    }
  }
}

/*
** LANES vectors are transposed in place: each level swaps halves of vectors that lie d apart, for d
** = LANES / 2 down to 1.
*/
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (lane_mask){__VA_ARGS__})
#endif
#define FIRST(l, d) ((l) & (d) ? LANES + (l) - (d) : (l))
#define SECOND(l, d) ((l) & (d) ? LANES + (l) : (l) + (d))
/* Of two vectors every second value, from d = 0 or 1 on; and values in turn, from d = 0 or LANES / 2 on. */
#define UNZIP(l, d) (2 * (l) + (d))
#define ZIP(l, d) (((l)&1 ? LANES : 0) + (l) / 2 + (d))
#define OF_4(f, d, l) f(l, d), f(l + 1, d), f(l + 2, d), f(l + 3, d)
#if defined(CPU_TILES_AVX512)
#define HAS_BYTES 64
#elif defined(CPU_TILES_AVX2)
#define HAS_BYTES 32
#else
#define HAS_BYTES 16
#endif
#ifdef CPU_REAL_DOUBLE
#define HAS_LANES (HAS_BYTES / 8)
#else
#define HAS_LANES (HAS_BYTES / 4)
#endif
#if HAS_LANES == 16
#define OF_ALL(f, d) OF_4(f, d, 0), OF_4(f, d, 4), OF_4(f, d, 8), OF_4(f, d, 12)
#elif HAS_LANES == 8
#define OF_ALL(f, d) OF_4(f, d, 0), OF_4(f, d, 4)
#elif HAS_LANES == 4
#define OF_ALL(f, d) OF_4(f, d, 0)
#else
#define OF_ALL(f, d) f(0, d), f(1, d)
#endif
#define SWAP(v, d)                                   \
  UNROLLED                                           \
  for (int i = 0; i < LANES; i++) {                  \
    if (i & (d)) continue;                           \
    const vec a = (v)[i], b = (v)[i + (d)];          \
    (v)[i] = SHUFFLE(a, b, OF_ALL(FIRST, d));        \
    (v)[i + (d)] = SHUFFLE(a, b, OF_ALL(SECOND, d)); \
  }

INLINE void transpose_square(vec v[LANES]) {
#if HAS_LANES >= 16
  SWAP(v, 8);
#endif
#if HAS_LANES >= 8
  SWAP(v, 4);
#endif
#if HAS_LANES >= 4
  SWAP(v, 2);
#endif
  SWAP(v, 1);
}

static void transpose(real *to, const int32_t *offset, const real *x, int64_t x_stride,
                      int64_t n_channels, int64_t n_pixels, const real *scale, const real *shift) {
  const int64_t n_columns = (n_channels + CPU_SUM_LANES - 1) / CPU_SUM_LANES * CPU_SUM_LANES;
  for (int64_t c = 0; c < n_columns; c += LANES)
    for (int64_t p = 0; p < n_pixels; p += LANES) {
      const int64_t n = n_pixels - p < LANES ? n_pixels - p : LANES;
      vec square[LANES];
      for (int i = 0; i < LANES; i++) {
        square[i] = (vec){0};
        if (c + i >= n_channels) continue;
        const real *from = x + (c + i) * x_stride + p;
        if (n == LANES)
          square[i] = load(from);
        else
          memcpy(&square[i], from, (size_t)n * sizeof *from);
        if (scale) square[i] = norm_relu_of(square[i], scale[c + i], shift[c + i]);
      }
      transpose_square(square);
      for (int i = 0; i < n; i++) store(to + offset[p + i] + c, square[i]);
    }
}

INLINE void outer_step(const int rows, const int vectors, vec acc[][OUTER_WIDTH], const real *a,
                       int64_t row, const real *right) {
  vec b[OUTER_WIDTH];
  for (int v = 0; v < vectors; v++) b[v] = load(right + v * LANES);
  UNROLLED
  for (int m = 0; m < rows; m++)
    for (int v = 0; v < vectors; v++) acc[m][v] += a[m * row] * b[v];
}

/* One tile of dw, its height and width in vectors constant; n_rows of them wanted. */
INLINE void outer_tile(const int rows, const int vectors, real *dw, int64_t dw_stride,
                       int64_t n_rows, const real *a, cpu_layout layout, const real *b,
                       const int32_t *b_offset, int64_t n_pixels, cpu_prefetch *prefetch) {
  vec acc[OUTER_ROWS][OUTER_WIDTH];
  UNROLLED
  for (int m = 0; m < rows; m++)
    for (int v = 0; v < vectors; v++) acc[m][v] = (vec){0};
  cpu_prefetch now = {
      .at = prefetch->at, .left = prefetch->left, .length = prefetch->length, .gap = prefetch->gap};
  for (int64_t first = 0; first < n_pixels; first += CPU_BLOCK, a += layout.block) {
    const int64_t n = n_pixels - first < CPU_BLOCK ? n_pixels - first : CPU_BLOCK;
    int64_t p = 0;
    for (; p + PREFETCH_STEPS <= n; p += PREFETCH_STEPS) {
      prefetch_line(&now);
      UNROLLED
      for (int i = 0; i < PREFETCH_STEPS; i++)
        outer_step(rows, vectors, acc, a + p + i, layout.row, b + b_offset[first + p + i]);
    }
    for (; p < n; p++) outer_step(rows, vectors, acc, a + p, layout.row, b + b_offset[first + p]);
  }
  prefetch->at = now.at;
  prefetch->left = now.left;
  prefetch_count(prefetch, n_pixels / PREFETCH_STEPS);
  UNROLLED
  for (int m = 0; m < rows; m++) {
    if (m >= n_rows) break;
    for (int v = 0; v < vectors; v++) {
      real *to = dw + m * dw_stride + v * LANES;
      store(to, load(to) + acc[m][v]);
    }
  }
}

static void outer(real *dw, int64_t dw_stride, int64_t n_rows, int64_t n_columns, const real *a,
                  cpu_layout layout, const real *b, const int32_t *b_offset, int64_t n_pixels,
                  cpu_prefetch *prefetch) {
  const int64_t n_padded = (n_columns + CPU_SUM_LANES - 1) / CPU_SUM_LANES * CPU_SUM_LANES;
  for (int64_t i = 0, rows; i < n_rows; i += rows) {
    rows = n_rows - i > OUTER_STEP ? OUTER_ROWS : OUTER_STEP;
    for (int64_t j = 0, left; j < n_padded; j += left * LANES) {
      left = (n_padded - j) / LANES;
      left = left == OUTER_WIDTH + 1 ? 2 : left > OUTER_WIDTH ? OUTER_WIDTH : left;
#define OUTER(constant_rows, constant_vectors)                                               \
  outer_tile(constant_rows, constant_vectors, dw + i * dw_stride + j, dw_stride, n_rows - i, \
             a + i * layout.row, layout, b + j, b_offset, n_pixels, prefetch)
#define OUTER_WIDE(constant_rows)        \
  do {                                   \
    if (left == OUTER_WIDTH) {           \
      OUTER(constant_rows, OUTER_WIDTH); \
    } else if (left == 2) {              \
      OUTER(constant_rows, 2);           \
    } else {                             \
      OUTER(constant_rows, 1);           \
    }                                    \
  } while (0)
      if (rows == OUTER_ROWS)
        OUTER_WIDE(OUTER_ROWS);
      else
        OUTER_WIDE(OUTER_STEP);
    }
  }
}

#include "cpu_tiles_winograd.h"

static int64_t multiply_add(int64_t n_rounds, real *sink) {
  vec acc[ROWS][2];
  const vec b0 = load(sink), b1 = load(sink + LANES);
  /* Different ones: the compiler would compute equal ones once. */
  UNROLLED
  for (int m = 0; m < ROWS; m++) {
    acc[m][0] = b0 + (real)m;
    acc[m][1] = b1 - (real)m;
  }
  for (int64_t i = 0; i < n_rounds; i++) {
    UNROLLED
    for (int m = 0; m < ROWS; m++) {
      acc[m][0] = acc[m][0] * b0 + b1;
      acc[m][1] = acc[m][1] * b1 + b0;
    }
  }
  vec sum = acc[0][0];
  for (int m = 0; m < ROWS; m++) sum += acc[m][0] + acc[m][1];
  store(sink, sum);
  return 2 * 2 * ROWS * LANES;
}

/* Lanes of `real` within a run, double across. */
static void moments(cpu_moments *sums, const real *x, int64_t n, real *to) {
  enum { RUN = 64 * CPU_SUM_LANES, PARTS = CPU_SUM_LANES / LANES };
  if (n > 0 && !sums->is_open) {
    sums->is_open = true;
    sums->pivot = x[0];
  }
  const real pivot = sums->pivot;
  for (int64_t begin = 0; begin < n; begin += RUN) {
    const int64_t end = n - begin < RUN ? n : begin + RUN;
    vec sum[PARTS], squares[PARTS];
    for (int i = 0; i < PARTS; i++) sum[i] = squares[i] = (vec){0};
    int64_t p = begin;
    for (; p + CPU_SUM_LANES <= end; p += CPU_SUM_LANES)
      for (int i = 0; i < PARTS; i++) {
        const vec value = load(x + p + i * LANES), d = value - pivot;
        sum[i] += d;
        squares[i] += d * d;
        if (to) store(to + p + i * LANES, value);
      }
    real lane_sum[CPU_SUM_LANES], lane_squares[CPU_SUM_LANES];
    memcpy(lane_sum, sum, sizeof sum);
    memcpy(lane_squares, squares, sizeof squares);
    for (int l = 0; p < end; p++, l++) {
      const real d = x[p] - pivot;
      lane_sum[l] += d;
      lane_squares[l] += d * d;
      if (to) to[p] = x[p];
    }
    for (int l = 0; l < CPU_SUM_LANES; l++) {
      sums->sum[l] += (double)lane_sum[l];
      sums->squares[l] += (double)lane_squares[l];
    }
  }
}

#include "cpu_tiles_shifted.h"
#include "cpu_tiles_winograd2.h"

const cpu_tiles CPU_REAL(CPU_TILES_TABLE) = {
    .panel_rows = ROWS,
    .panel_step = STEP,
    .norm_relu = norm_relu,
    .norm_relu_lines = norm_relu_lines,
    .deferred = deferred,
    .product = product,
    .product_shifted = product_shifted,
    .winograd2_split = winograd2_split,
    .winograd2_input = winograd2_input,
    .winograd2_output = winograd2_output,
    .norm_relu_backward = norm_relu_backward,
    .product_norm_relu_backward = product_norm_relu_backward,
    .transpose = transpose,
    .outer = outer,
    .multiply_add = multiply_add,
    .moments = moments,
    .winograd = {.stage = winograd_stage,
                 .split = winograd_split,
                 .input = winograd_input,
                 .gradient = winograd_gradient,
                 .output = winograd_output,
                 .input_channels = winograd_input_channels,
                 .weight_gradient = winograd_weight_gradient},
};
