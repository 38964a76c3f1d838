/*
** General matrix product of float or double matrices: a fast BLAS multiplies large ones, where there is
** one, the tiles all others. Strides tell how a matrix lies: a unit stride along the columns is row-major,
** along the rows a transposed view, and BLAS reads either.
*/
#include "../cpu_backend.h"
#include "cpu_blas.h"
#include "cpu_blas_library.h"
#include "cpu_gemm_tiles.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "../tiles/cpu_tiles.h"

static void gemm_reference(dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha,
                           double beta) {
  const dn_dtype dtype = c->dtype;
  void *const out = dn_tensor_data(c);
  const void *const left = dn_tensor_data(a), *const right = dn_tensor_data(b);
  const int64_t n_rows = c->size[0], n_columns = c->size[1], depth = a->size[1];
  const int n_threads = cpu_team(n_rows * n_columns * depth);
#pragma omp parallel for collapse(2) schedule(static) num_threads(n_threads)
  for (int64_t m = 0; m < n_rows; m++)
    for (int64_t n = 0; n < n_columns; n++) {
      double sum = 0;
      for (int64_t k = 0; k < depth; k++)
        sum += cpu_load(left, dtype, m * a->stride[0] + k * a->stride[1]) *
               cpu_load(right, dtype, k * b->stride[0] + n * b->stride[1]);
      const int64_t at = m * c->stride[0] + n * c->stride[1];
      const double before = beta == 0 ? 0 : beta * cpu_load(out, dtype, at);
      cpu_store(out, dtype, at, alpha * sum + before);
    }
}

/*
** A side of size 1 may carry any stride, so the choice goes by the other side where there is one,
** and `ld` is at least what BLAS asks for.
*/
static cpu_matrix matrix_of(const dn_tensor *x) {
  const int64_t rows = x->size[0], columns = x->size[1];
  const bool row_major =
      (columns == 1 || x->stride[1] == 1) && (rows == 1 || x->stride[0] >= columns);
  const int64_t ld =
      row_major ? (rows == 1 ? columns : x->stride[0]) : (columns == 1 ? rows : x->stride[1]);
  const cpu_matrix matrix = {dn_tensor_data(x), ld > 0 ? ld : 1, !row_major};
  return matrix;
}

/* BLAS can read it: rows (or columns) that do not lie on one another, distances that fit an int. */
static bool fits_blas(const dn_tensor *x) {
  const cpu_matrix matrix = matrix_of(x);
  const int64_t unit = matrix.transposed ? 0 : 1;
  const bool has_unit = x->size[unit] <= 1 || x->stride[unit] == 1;
  return has_unit && matrix.ld >= x->size[unit] && matrix.ld <= INT32_MAX &&
         x->size[0] <= INT32_MAX && x->size[1] <= INT32_MAX;
}

/* c by BLAS; false where it cannot, and c is as it was. */
static bool multiply_by_blas(dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha,
                             double beta) {
  cpu_matrix left = matrix_of(a), right = matrix_of(b), out = matrix_of(c);
  if (!out.transposed)
    return cpu_blas_gemm_team(c->dtype, c->size[0], c->size[1], a->size[1], alpha, left, right,
                              beta, out);
  /* c' = b' a' */
  left.transposed = !left.transposed;
  right.transposed = !right.transposed;
  out.transposed = false;
  return cpu_blas_gemm_team(c->dtype, c->size[1], c->size[0], a->size[1], alpha, right, left, beta,
                            out);
}

/* Multiplications from which on a BLAS is worth asking. */
enum { LEAST_FOR_BLAS = 1 << 24, MOST_DEPTH = INT32_MAX / CPU_BLOCK };

dn_status cpu_gemm(dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha,
                   double beta) {
  const int64_t depth = a->size[1];
  if (dn_tensor_count(c) == 0 || dn_reference() || depth == 0 || depth > MOST_DEPTH) {
    DN_TRY(cpu_scratch_none());
    gemm_reference(c, a, b, alpha, beta);
    return DN_OK;
  }
  const bool is_large = (double)c->size[0] * (double)c->size[1] * (double)depth >= LEAST_FOR_BLAS;
  if (is_large && fits_blas(a) && fits_blas(b) && fits_blas(c) && cpu_blas_is_there()) {
    DN_TRY(cpu_scratch_none());
    if (multiply_by_blas(c, a, b, alpha, beta)) return DN_OK;
  }
  return CPU_REAL_OF(c->dtype, cpu_gemm_tiles)(c, a, b, alpha, beta);
}
