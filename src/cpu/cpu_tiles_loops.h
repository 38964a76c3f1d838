/*
** The loops of cpu_tiles.h for one instruction set: the file that includes this one is compiled
** with that set's flags and names the table (CPU_TILES_TABLE). All arithmetic is on the compiler's
** vector types, so the same lines become AVX-512, AVX2 or whatever the processor has.
*/
#include <string.h>

#include "cpu_tiles.h"

#if defined(__AVX512F__) && defined(CPU_TILES_AVX512)
enum { LANES = 16, ROWS = 12, STEP = 4, DOT_ROWS = 6, DOT_COLUMNS = 4 };
#elif defined(__AVX2__) && defined(CPU_TILES_AVX2)
enum { LANES = 8, ROWS = 6, STEP = 3, DOT_ROWS = 3, DOT_COLUMNS = 3 };
#else
enum { LANES = 4, ROWS = 6, STEP = 3, DOT_ROWS = 3, DOT_COLUMNS = 3 };
#endif
enum { WIDTH = 2 * LANES };

typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));
typedef int32_t lane_mask __attribute__((vector_size(LANES * sizeof(float)), may_alias));
/* Four values, for lines that are shorter than a vector. */
typedef float quad __attribute__((vector_size(4 * sizeof(float)), aligned(4), may_alias));
typedef int32_t quad_mask __attribute__((vector_size(4 * sizeof(float)), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }

/* v in the lanes where `of` is positive, else 0 */
INLINE vec where_positive(vec of, vec v) { return (vec)((lane_mask)v & (of > 0)); }

static void norm_relu(float *rows, int64_t stride, const float *x, int64_t x_stride,
                      int64_t n_channels, int64_t n_pixels, const float *scale,
                      const float *shift) {
  const int64_t n_end = (n_pixels + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
  for (int64_t c = 0; c < n_channels; c++, rows += stride, x += x_stride) {
    int64_t p = 0;
    for (; p + LANES <= n_pixels; p += LANES) {
      const vec v = scale[c] * load(x + p) + shift[c];
      store(rows + p, where_positive(v, v));
    }
    for (; p < n_pixels; p++) {
      const float v = scale[c] * x[p] + shift[c];
      rows[p] = v > 0 ? v : 0;
    }
    for (; p < n_end; p++) rows[p] = 0;
  }
}

static void norm_relu_lines(float *rows, int64_t stride, const float *x, int64_t x_stride,
                            int64_t n_channels, int64_t n_lines, int64_t width, const float *scale,
                            const float *shift) {
  for (int64_t c = 0; c < n_channels; c++)
    for (int64_t line = 0; line < n_lines; line++) {
      float *to = rows + c * stride + line * (width + 2) + 1;
      const float *from = x + c * x_stride + line * width;
      int64_t p = 0;
      for (; p + LANES <= width; p += LANES) {
        const vec v = scale[c] * load(from + p) + shift[c];
        store(to + p, where_positive(v, v));
      }
      for (; p + 4 <= width; p += 4) {
        const quad v = scale[c] * *(const quad *)(from + p) + shift[c];
        *(quad *)(to + p) = (quad)((quad_mask)v & (v > 0));
      }
      for (; p < width; p++) {
        const float v = scale[c] * from[p] + shift[c];
        to[p] = v > 0 ? v : 0;
      }
    }
}

static void deferred(float *rows, int64_t stride, const float *dy, int64_t dy_stride,
                     const float *y, int64_t y_stride, int64_t n_channels, int64_t n_pixels,
                     cpu_deferred terms) {
  const int64_t n_end = (n_pixels + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
  for (int64_t c = 0; c < n_channels; c++, rows += stride, dy += dy_stride, y += y_stride) {
    int64_t p = 0;
    for (; p + LANES <= n_pixels; p += LANES)
      store(rows + p,
            load(dy + p) + (terms.slope[c] * (load(y + p) - terms.mean[c]) + terms.offset[c]));
    for (; p < n_pixels; p++)
      rows[p] = dy[p] + (terms.slope[c] * (y[p] - terms.mean[c]) + terms.offset[c]);
    for (; p < n_end; p++) rows[p] = 0;
  }
}

/*
** What will be wanted from far memory while a tile is computed: the tile's own pixels in rows of
** other arrays. A row is asked for every n_steps steps of the sum, because a burst of requests
** would fill the queue to memory and stall the product itself.
*/
typedef struct ahead {
  const float *read;    /* row 0 of what is read soon */
  const float *written; /* of what is read and written soon; NULL: nothing */
  int64_t read_stride, written_stride;
  int64_t n_rows, n_steps;
} ahead;

INLINE void fetch(const ahead *soon, int64_t row, int64_t p) {
  for (int i = 0; i < WIDTH; i += 16) {
    __builtin_prefetch(soon->read + row * soon->read_stride + p + i, 0, 2);
    if (soon->written) __builtin_prefetch(soon->written + row * soon->written_stride + p + i, 1, 3);
  }
}

INLINE void product_step(const int rows, vec acc[][2], const float *panel, const float *row) {
  const vec b0 = load(row), b1 = load(row + LANES);
  for (int m = 0; m < rows; m++) {
    acc[m][0] += panel[m] * b0;
    acc[m][1] += panel[m] * b1;
  }
}

/* acc[m] = row m of the panel times two vectors of b's rows, pixels p.. */
INLINE void product_tile(const int rows, vec acc[][2], const float *panel, int64_t depth,
                         const float *b, const int32_t *b_offset, int64_t p, const ahead *soon) {
  for (int m = 0; m < rows; m++) acc[m][0] = acc[m][1] = (vec){0};
  b += p;
  int64_t k = 0;
  for (int64_t row = 0; row < soon->n_rows && k + soon->n_steps <= depth; row++) {
    fetch(soon, row, p);
    for (const int64_t end = k + soon->n_steps; k < end; k++, panel += rows)
      product_step(rows, acc, panel, b + b_offset[k]);
  }
  for (; k < depth; k++, panel += rows) product_step(rows, acc, panel, b + b_offset[k]);
}

INLINE void product_panel(const int rows, float *out, int64_t out_stride, int64_t n_rows,
                          const float *panel, int64_t depth, const float *b,
                          const int32_t *b_offset, int64_t n_pixels, const ahead *soon) {
  for (int64_t p = 0; p < n_pixels; p += WIDTH) {
    vec acc[ROWS][2];
    product_tile(rows, acc, panel, depth, b, b_offset, p, soon);
    if (n_pixels - p >= WIDTH && n_rows >= rows) {
      for (int m = 0; m < rows; m++) {
        store(out + m * out_stride + p, acc[m][0]);
        store(out + m * out_stride + p + LANES, acc[m][1]);
      }
    } else {
      const int64_t n = n_pixels - p < WIDTH ? n_pixels - p : WIDTH;
      for (int m = 0; m < rows && m < n_rows; m++)
        memcpy(out + m * out_stride + p, acc[m], (size_t)n * sizeof *out);
    }
  }
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

static void product(float *out, int64_t out_stride, int64_t n_rows, const float *panels,
                    int64_t depth, const float *b, const int32_t *b_offset, int64_t n_pixels,
                    const float *next, int64_t next_stride) {
  const int64_t n_panels = (n_rows + ROWS - 1) / ROWS;
  for (int64_t p = 0; p < n_pixels; p += CPU_BLOCK) {
    const int64_t n = n_pixels - p < CPU_BLOCK ? n_pixels - p : CPU_BLOCK;
    const float *panel = panels;
    ahead soon = {.read_stride = next_stride, .n_steps = n_panels};
    if (next) {
      soon.read = next + p;
      soon.n_rows = depth / n_panels;
    }
    for (int64_t m = 0; m < n_rows; m += ROWS) {
      const int rows = rows_of_panel(n_rows - m);
#define PRODUCT(constant_rows)                                                                 \
  product_panel(constant_rows, out + m * out_stride + p, out_stride, n_rows - m, panel, depth, \
                b + p, b_offset, n, &soon)
      WITH_CONSTANT_ROWS(rows, PRODUCT);
      panel += rows * depth;
      if (next) soon.read += soon.n_rows * next_stride;
    }
  }
}

/* unmask for WIDTH pixels of one row, d in registers. */
INLINE void unmask_tile(float *dx, const vec d[2], const float *x, cpu_norm norm, int64_t m,
                        float *sums, bool accumulate) {
  vec beta[2], gamma[2];
  for (int v = 0; v < 2; v++) {
    const vec raw = load(x + v * LANES);
    const vec kept = where_positive(norm.scale[m] * raw + norm.shift[m], d[v]);
    beta[v] = kept;
    gamma[v] = kept * (raw - norm.mean[m]);
    vec out = norm.scale[m] * kept;
    if (accumulate) out += load(dx + v * LANES);
    store(dx + v * LANES, out);
  }
  /* Where a vector fills all lanes of the sums, the two go there together. */
  const bool together = (int)LANES == (int)CPU_SUM_LANES;
  if (together) {
    beta[0] += beta[1];
    gamma[0] += gamma[1];
  }
  for (int v = 0; v < (together ? 1 : 2); v++) {
    float *sum = sums + v * LANES;
    store(sum, load(sum) + beta[v]);
    store(sum + CPU_SUM_LANES, load(sum + CPU_SUM_LANES) + gamma[v] * norm.inv_std[m]);
  }
}

/* The same for n < WIDTH pixels: neither x nor dx is touched beyond them, and d is zero there. */
INLINE void unmask_tail(float *dx, const vec d[2], const float *x, int64_t n, cpu_norm norm,
                        int64_t m, float *sums, bool accumulate) {
  float x_tail[WIDTH] = {0}, dx_tail[WIDTH] = {0};
  memcpy(x_tail, x, (size_t)n * sizeof *x);
  if (accumulate) memcpy(dx_tail, dx, (size_t)n * sizeof *dx);
  unmask_tile(dx_tail, d, x_tail, norm, m, sums, accumulate);
  memcpy(dx, dx_tail, (size_t)n * sizeof *dx);
}

static void unmask(float *dx, int64_t dx_stride, const float *d, int64_t d_stride, const float *x,
                   int64_t x_stride, int64_t n_rows, int64_t n_pixels, cpu_norm norm, float *sums,
                   bool accumulate) {
  for (int64_t m = 0; m < n_rows; m++, sums += 2 * CPU_SUM_LANES) {
    for (int64_t p = 0; p < n_pixels; p += WIDTH) {
      const float *d_at = d + m * d_stride + p, *x_at = x + m * x_stride + p;
      float *dx_at = dx + m * dx_stride + p;
      if (n_pixels - p >= WIDTH) {
        const vec value[2] = {load(d_at), load(d_at + LANES)};
        unmask_tile(dx_at, value, x_at, norm, m, sums, accumulate);
      } else {
        float d_tail[WIDTH] = {0};
        memcpy(d_tail, d_at, (size_t)(n_pixels - p) * sizeof *d);
        const vec value[2] = {load(d_tail), load(d_tail + LANES)};
        unmask_tail(dx_at, value, x_at, n_pixels - p, norm, m, sums, accumulate);
      }
    }
  }
}

INLINE void product_unmask_panel(const int rows, float *dx, int64_t dx_stride, int64_t n_rows,
                                 const float *panel, int64_t depth, const float *b,
                                 const int32_t *b_offset, int64_t n_pixels, const float *x,
                                 int64_t x_stride, cpu_norm norm, int64_t first, float *sums,
                                 bool accumulate, const float *next) {
  const ahead soon = {.read = next,
                      .written = dx + 2 * WIDTH, /* by the tile after the next one */
                      .read_stride = x_stride,
                      .written_stride = dx_stride,
                      .n_rows = n_rows < rows ? n_rows : rows,
                      .n_steps = depth > rows ? depth / rows : 1};
  for (int64_t p = 0; p < n_pixels; p += WIDTH) {
    vec acc[ROWS][2];
    product_tile(rows, acc, panel, depth, b, b_offset, p, &soon);
    for (int m = 0; m < rows; m++) {
      if (m >= n_rows) break;
      const float *x_at = x + m * x_stride + p;
      float *dx_at = dx + m * dx_stride + p, *sum = sums + m * 2 * CPU_SUM_LANES;
      if (n_pixels - p >= WIDTH)
        unmask_tile(dx_at, acc[m], x_at, norm, first + m, sum, accumulate);
      else
        unmask_tail(dx_at, acc[m], x_at, n_pixels - p, norm, first + m, sum, accumulate);
    }
  }
}

/* Panel by panel, so that dx and x are walked along their rows, as memory likes it. */
static void product_unmask(float *dx, int64_t dx_stride, int64_t n_rows, const float *panels,
                           int64_t depth, const float *b, const int32_t *b_offset, int64_t n_pixels,
                           const float *x, int64_t x_stride, cpu_norm norm, float *sums,
                           bool accumulate, const float *next) {
  const float *panel = panels;
  for (int64_t m = 0; m < n_rows; m += ROWS) {
    const int rows = rows_of_panel(n_rows - m);
#define PRODUCT_UNMASK(constant_rows)                                                             \
  product_unmask_panel(constant_rows, dx + m * dx_stride, dx_stride, n_rows - m, panel, depth, b, \
                       b_offset, n_pixels, x + m * x_stride, x_stride, norm, m,                   \
                       sums + m * 2 * CPU_SUM_LANES, accumulate, next + m * x_stride)
    WITH_CONSTANT_ROWS(rows, PRODUCT_UNMASK);
    panel += rows * depth;
  }
}

/*
** Transposing sum: lane l of the result is the sum of the lanes of v[l]. Each level folds the
** vectors in pairs, first LANES/2 apart, then LANES/4, and so on.
*/
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (lane_mask){__VA_ARGS__})
#endif
#define FIRST(l, d) ((l) & (d) ? LANES + (l) - (d) : (l))
#define SECOND(l, d) ((l) & (d) ? LANES + (l) : (l) + (d))
#define OF_4(f, d, l) f(l, d), f(l + 1, d), f(l + 2, d), f(l + 3, d)
#if defined(CPU_TILES_AVX512)
#define OF_ALL(f, d) OF_4(f, d, 0), OF_4(f, d, 4), OF_4(f, d, 8), OF_4(f, d, 12)
#elif defined(CPU_TILES_AVX2)
#define OF_ALL(f, d) OF_4(f, d, 0), OF_4(f, d, 4)
#else
#define OF_ALL(f, d) OF_4(f, d, 0)
#endif
#define FOLD(v, d)                                           \
  for (int i = 0; i < (d); i++)                              \
  (v)[i] = SHUFFLE((v)[i], (v)[i + (d)], OF_ALL(FIRST, d)) + \
           SHUFFLE((v)[i], (v)[i + (d)], OF_ALL(SECOND, d))

INLINE vec sums_of_lanes(vec v[LANES]) {
#if defined(CPU_TILES_AVX512)
  FOLD(v, 8);
#endif
#if defined(CPU_TILES_AVX512) || defined(CPU_TILES_AVX2)
  FOLD(v, 4);
#endif
  FOLD(v, 2);
  FOLD(v, 1);
  return v[0];
}

/* One tile of dw: DOT_ROWS rows by DOT_COLUMNS columns, n_rows and n_columns of them wanted. */
INLINE void dot_tile(float *dw, int64_t dw_stride, int64_t n_rows, int64_t n_columns,
                     const float *const a[], const float *const b[], int64_t n_pixels) {
  vec acc[DOT_ROWS][DOT_COLUMNS];
  for (int m = 0; m < DOT_ROWS; m++)
    for (int c = 0; c < DOT_COLUMNS; c++) acc[m][c] = (vec){0};
  for (int64_t p = 0; p < n_pixels; p += LANES) {
    vec right[DOT_COLUMNS];
    for (int c = 0; c < DOT_COLUMNS; c++) right[c] = load(b[c] + p);
    for (int m = 0; m < DOT_ROWS; m++) {
      const vec left = load(a[m] + p);
      for (int c = 0; c < DOT_COLUMNS; c++) acc[m][c] += left * right[c];
    }
  }
  enum { N_SUMS = (DOT_ROWS * DOT_COLUMNS + LANES - 1) / LANES * LANES };
  vec all[N_SUMS] = {{0}};
  float total[N_SUMS];
  for (int m = 0; m < DOT_ROWS; m++)
    for (int c = 0; c < DOT_COLUMNS; c++) all[m * DOT_COLUMNS + c] = acc[m][c];
  for (int s = 0; s < N_SUMS; s += LANES) store(total + s, sums_of_lanes(all + s));
  for (int m = 0; m < DOT_ROWS && m < n_rows; m++)
    for (int c = 0; c < DOT_COLUMNS && c < n_columns; c++)
      dw[m * dw_stride + c] += total[m * DOT_COLUMNS + c];
}

static void dot(float *dw, int64_t dw_stride, int64_t n_rows, int64_t n_columns, const float *a,
                const int32_t *a_offset, const float *b, const int32_t *b_offset,
                int64_t n_pixels) {
  for (int64_t i = 0; i < n_rows; i += DOT_ROWS) {
    const float *a_row[DOT_ROWS];
    for (int m = 0; m < DOT_ROWS; m++) a_row[m] = a + a_offset[i + m < n_rows ? i + m : n_rows - 1];
    for (int64_t j = 0; j < n_columns; j += DOT_COLUMNS) {
      const float *b_row[DOT_COLUMNS];
      for (int c = 0; c < DOT_COLUMNS; c++)
        b_row[c] = b + b_offset[j + c < n_columns ? j + c : n_columns - 1];
      dot_tile(dw + i * dw_stride + j, dw_stride, n_rows - i, n_columns - j, a_row, b_row,
               n_pixels);
    }
  }
}

/* Two passes, so that a large mean costs no digits; float lanes within a run, double across. */
static void moments(const float *x, int64_t n, double *mean, double *m2) {
  enum { RUN = 64 * LANES };
  double sum = 0, squares = 0;
  for (int64_t begin = 0; begin < n; begin += RUN) {
    const int64_t end = n - begin < RUN ? n : begin + RUN;
    vec lanes = {0};
    int64_t p = begin;
    for (; p + LANES <= end; p += LANES) lanes += load(x + p);
    for (int l = 0; l < LANES; l++) sum += (double)lanes[l];
    for (; p < end; p++) sum += (double)x[p];
  }
  const float centre = (float)(sum / (double)n);
  for (int64_t begin = 0; begin < n; begin += RUN) {
    const int64_t end = n - begin < RUN ? n : begin + RUN;
    vec lanes = {0};
    int64_t p = begin;
    for (; p + LANES <= end; p += LANES) {
      const vec d = load(x + p) - centre;
      lanes += d * d;
    }
    for (int l = 0; l < LANES; l++) squares += (double)lanes[l];
    for (; p < end; p++)
      squares += ((double)x[p] - (double)centre) * ((double)x[p] - (double)centre);
  }
  const double rest = sum / (double)n - (double)centre;
  *mean = sum / (double)n;
  *m2 = squares - rest * rest * (double)n;
}

const cpu_tiles CPU_TILES_TABLE = {
    .name = CPU_TILES_NAME,
    .panel_rows = ROWS,
    .panel_step = STEP,
    .norm_relu = norm_relu,
    .norm_relu_lines = norm_relu_lines,
    .deferred = deferred,
    .product = product,
    .unmask = unmask,
    .product_unmask = product_unmask,
    .dot = dot,
    .moments = moments,
};
