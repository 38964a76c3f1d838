#include "cpu_matrix_product.h"

#include "../../dn_threads.h"
#include "../conv/cpu_blas.h"
#include "../elements/cpu_element.h"

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

dn_status cpu_matrix_product(dn_dtype dtype, int64_t m, int64_t n, int64_t k, void *c,
                             const void *a, bool a_is_transposed, const void *b,
                             bool b_is_transposed) {
  if (dn_reference()) {
    reference(dtype, m, n, k, c, a, a_is_transposed, b, b_is_transposed);
    return DN_OK;
  }
  return cpu_blas_gemm_team(dtype, m, n, k, 1, matrix_of(a, m, k, a_is_transposed),
                            matrix_of(b, k, n, b_is_transposed), 0, matrix_of(c, m, n, false));
}
