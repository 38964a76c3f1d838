#include "cpu_gemm_tiles.h"

#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "../tiles/cpu_tiles.h"

enum {
  MOST_COLUMNS = 256,                 /* of a unit */
  VALUES = 512 * 1024 / sizeof(real), /* of a unit's right operand */
  SOME_ROWS = 96                      /* of the product at a time: it stays in the cache */
};

/* A matrix as rows and columns lie. */
typedef struct matrix {
  real *data;
  int64_t rows, columns, row_stride, column_stride;
} matrix;

static matrix matrix_of(const dn_tensor *x) {
  return (matrix){dn_tensor_data(x), x->size[0], x->size[1], x->stride[0], x->stride[1]};
}

static matrix transposed(matrix m) {
  return (matrix){m.data, m.columns, m.rows, m.column_stride, m.row_stride};
}

/* What the threads have in common: c = alpha a b + beta c, the columns of c cut into units. */
typedef struct job {
  const cpu_tiles *tiles;
  matrix a, b, c;
  double alpha, beta;
  int64_t depth, unit, n_units; /* terms of a sum; columns of a unit */
  int64_t n_b, n_own;           /* values of a thread: of its right operand; with its product */
  int n_threads;
  real *panels, *own;
  int32_t *offset;
} job;

/* Vectors run along the longer side of c; of the other operand all is packed at once. */
static job job_of(const dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha,
                  double beta) {
  job j = {.tiles = cpu_tiles_best(),
           .a = matrix_of(a),
           .b = matrix_of(b),
           .c = matrix_of(c),
           .alpha = alpha,
           .beta = beta,
           .depth = a->size[1]};
  j.n_threads = cpu_team(j.c.rows * j.c.columns / 8 * j.depth);
  if (j.c.rows > j.c.columns) {
    const matrix left = transposed(j.b);
    j.b = transposed(j.a);
    j.a = left;
    j.c = transposed(j.c);
  }
  j.unit = VALUES / j.depth / CPU_BLOCK * CPU_BLOCK;
  const int64_t fair = cpu_whole_blocks((j.c.columns + j.n_threads - 1) / j.n_threads);
  if (j.unit > MOST_COLUMNS) j.unit = MOST_COLUMNS;
  if (j.unit > fair) j.unit = fair;
  if (j.unit < CPU_BLOCK) j.unit = CPU_BLOCK;
  j.n_units = (j.c.columns + j.unit - 1) / j.unit;
  j.n_b = cpu_whole_lines(j.depth * j.unit + CPU_TILE_SLACK);
  j.n_own = cpu_scratch_apart(j.n_b + SOME_ROWS * j.unit, j.n_threads);
  return j;
}

static dn_status take_scratch(job *j) {
  int64_t n_bytes = 0;
  const int64_t n_panels = cpu_panels_count(j->tiles, j->c.rows, j->depth);
  const int64_t panels = cpu_scratch_place(&n_bytes, n_panels, sizeof *j->panels);
  const int64_t offset = cpu_scratch_place(&n_bytes, j->depth, sizeof *j->offset);
  const int64_t own = cpu_scratch_place(&n_bytes, j->n_threads * j->n_own, sizeof *j->own);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  j->panels = cpu_scratch_at(block, panels);
  j->offset = cpu_scratch_at(block, offset);
  j->own = cpu_scratch_at(block, own);
  return DN_OK;
}

/* As cpu_pack_panels, for strides of any size. */
static void pack_left(job *j) {
  const matrix *a = &j->a;
  real *to = j->panels;
  const int64_t most = j->tiles->panel_rows, step = j->tiles->panel_step;
  for (int64_t m = 0; m < a->rows; m += most) {
    const int64_t left = a->rows - m, padded = (left + step - 1) / step * step;
    const int64_t rows = padded < most ? padded : most;
    for (int64_t k = 0; k < j->depth; k++)
      for (int64_t i = 0; i < rows; i++)
        *to++ = i < left ? a->data[(m + i) * a->row_stride + k * a->column_stride] : 0;
  }
  cpu_offsets(j->offset, j->depth, CPU_BLOCK);
}

/* Columns first, first + 1, ... of b in blocks, zeros to the end of the last. */
static void pack_right(const job *j, int64_t first, int64_t n, real *to) {
  const matrix *b = &j->b;
  for (int64_t block = 0; block < n; block += CPU_BLOCK)
    for (int64_t k = 0; k < j->depth; k++, to += CPU_BLOCK) {
      const real *from = b->data + k * b->row_stride + (first + block) * b->column_stride;
      const int64_t here = n - block < CPU_BLOCK ? n - block : CPU_BLOCK;
      for (int64_t i = 0; i < here; i++) to[i] = from[i * b->column_stride];
      for (int64_t i = here; i < CPU_BLOCK; i++) to[i] = 0;
    }
}

/* Rows [m, m + n_rows) of c, n columns from `first` on, from the product. */
static void write_rows(const job *j, int64_t m, int64_t n_rows, int64_t first, int64_t n,
                       const real *product) {
  const real alpha = (real)j->alpha, beta = (real)j->beta;
  const int64_t step = j->c.column_stride;
  for (int64_t i = 0; i < n_rows; i++) {
    real *to = j->c.data + (m + i) * j->c.row_stride + first * step;
    const real *row = product + i * j->unit;
    if (j->beta == 0)
      for (int64_t p = 0; p < n; p++) to[p * step] = alpha * row[p];
    else
      for (int64_t p = 0; p < n; p++) to[p * step] = alpha * row[p] + beta * to[p * step];
  }
}

static void one_unit(const job *j, int64_t index) {
  real *right = j->own + cpu_thread() * j->n_own, *product = right + j->n_b;
  const int64_t first = index * j->unit, left = j->c.columns - first;
  const int64_t n = left < j->unit ? left : j->unit;
  pack_right(j, first, n, right);
  cpu_prefetch none =
      cpu_prefetch_of((cpu_prefetch_rows){0}, (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  const int64_t rows = SOME_ROWS / j->tiles->panel_rows * j->tiles->panel_rows;
  for (int64_t m = 0; m < j->c.rows; m += rows) {
    const int64_t n_rows = j->c.rows - m < rows ? j->c.rows - m : rows;
    j->tiles->product(product, j->unit, n_rows, j->panels + m * j->depth, j->depth, right,
                      j->offset, CPU_BLOCK * j->depth, n, &none);
    write_rows(j, m, n_rows, first, n, product);
  }
}

dn_status CPU_REAL(cpu_gemm_tiles)(dn_tensor *c, const dn_tensor *a, const dn_tensor *b,
                                   double alpha, double beta) {
  job j = job_of(c, a, b, alpha, beta);
  DN_TRY(take_scratch(&j));
  pack_left(&j);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(j.n_threads)
  for (int unit; (unit = cpu_next(&queue)) < j.n_units;) one_unit(&j, unit);
  return DN_OK;
}
