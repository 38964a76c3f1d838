#include "cpu_matrix_product.h"

#include "../../dn_threads.h"
#include "../conv/cpu_blas.h"
#include "../cpu_parallel.h"
#include "../elements/cpu_element.h"
#include "../../dn_wide.h"

static void reference(dn_dtype dtype, int64_t m, int64_t n, int64_t k, void *c, const void *a,
                      bool a_is_transposed, const void *b, bool b_is_transposed) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += cpu_load(a, dtype, a_is_transposed ? l * m + i : i * k + l) *
               cpu_load(b, dtype, b_is_transposed ? j * k + l : l * n + j);
      cpu_store(c, dtype, i * n + j, sum);
    }
}

/* BLAS only reads what it is given as a or b. */
static cpu_matrix matrix_of(const void *data, int64_t rows, int64_t columns, bool is_transposed) {
  union {
    const void *given;
    void *taken;
  } const place = {data};
  const cpu_matrix matrix = {place.taken, is_transposed ? rows : columns, is_transposed};
  return matrix;
}

/* Row i of c, as a sum of rows of b, or from dot products where b is transposed. */
#define CPU_PRODUCT_ROW(real, name)                                                    \
  DN_WIDE static void row_##name(int64_t i, int64_t m, int64_t n, int64_t k, real *c,  \
                                 const real *a, bool a_is_transposed, const real *b,   \
                                 bool b_is_transposed) {                               \
    real *const out = c + i * n;                                                       \
    const int64_t first = a_is_transposed ? i : i * k, step = a_is_transposed ? m : 1; \
    for (int64_t j = 0; j < n; j++) {                                                  \
      real sum = 0;                                                                    \
      if (b_is_transposed)                                                             \
        for (int64_t l = 0; l < k; l++) sum += a[first + l * step] * b[j * k + l];     \
      out[j] = sum;                                                                    \
    }                                                                                  \
    if (b_is_transposed) return;                                                       \
    for (int64_t l = 0; l < k; l++) {                                                  \
      const real factor = a[first + l * step], *const row = b + l * n;                 \
      for (int64_t j = 0; j < n; j++) out[j] += factor * row[j];                       \
    }                                                                                  \
  }

CPU_PRODUCT_ROW(float, float)
CPU_PRODUCT_ROW(double, double)

static void by_loops(dn_dtype dtype, int64_t m, int64_t n, int64_t k, void *c, const void *a,
                     bool a_is_transposed, const void *b, bool b_is_transposed) {
  const int n_threads = cpu_team(m * n * k);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < m; i++)
    if (dtype == DN_FLOAT)
      row_float(i, m, n, k, c, a, a_is_transposed, b, b_is_transposed);
    else
      row_double(i, m, n, k, c, a, a_is_transposed, b, b_is_transposed);
}

void cpu_matrix_product(dn_dtype dtype, int64_t m, int64_t n, int64_t k, void *c, const void *a,
                        bool a_is_transposed, const void *b, bool b_is_transposed) {
  if (dn_reference())
    reference(dtype, m, n, k, c, a, a_is_transposed, b, b_is_transposed);
  else if (!cpu_blas_gemm_team(dtype, m, n, k, 1, matrix_of(a, m, k, a_is_transposed),
                               matrix_of(b, k, n, b_is_transposed), 0, matrix_of(c, m, n, false)))
    by_loops(dtype, m, n, k, c, a, a_is_transposed, b, b_is_transposed);
}
