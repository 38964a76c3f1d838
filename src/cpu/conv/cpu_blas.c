#include "cpu_blas.h"

#include "cpu_blas_library.h"
#include "../cpu_parallel.h"

void cpu_blas_gemm(dn_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, cpu_matrix a,
                   cpu_matrix b, double beta, cpu_matrix c) {
  if (m == 0 || n == 0) return;
  const int a_how = a.transposed ? CPU_CBLAS_TRANS : CPU_CBLAS_NO_TRANS;
  const int b_how = b.transposed ? CPU_CBLAS_TRANS : CPU_CBLAS_NO_TRANS;
  if (dtype == DN_FLOAT)
    cpu_blas.sgemm(CPU_CBLAS_ROW_MAJOR, a_how, b_how, (int)m, (int)n, (int)k, (float)alpha, a.data,
                   (int)a.ld, b.data, (int)b.ld, (float)beta, c.data, (int)c.ld);
  else
    cpu_blas.dgemm(CPU_CBLAS_ROW_MAJOR, a_how, b_how, (int)m, (int)n, (int)k, alpha, a.data,
                   (int)a.ld, b.data, (int)b.ld, beta, c.data, (int)c.ld);
}

/* The matrix from its row (or column) `start` on. */
static cpu_matrix from_row(cpu_matrix matrix, dn_dtype dtype, int64_t start) {
  const int64_t n_elements = matrix.transposed ? start : start * matrix.ld;
  matrix.data = (char *)matrix.data + n_elements * (int64_t)dn_dtype_size(dtype);
  return matrix;
}

static cpu_matrix from_column(cpu_matrix matrix, dn_dtype dtype, int64_t start) {
  const int64_t n_elements = matrix.transposed ? start * matrix.ld : start;
  matrix.data = (char *)matrix.data + n_elements * (int64_t)dn_dtype_size(dtype);
  return matrix;
}

bool cpu_blas_gemm_team(dn_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, cpu_matrix a,
                        cpu_matrix b, double beta, cpu_matrix c) {
  const int64_t longer = m > n ? m : n;
  int n_threads = cpu_team(m * n / 8 * k);
  if (n_threads > longer) n_threads = longer > 0 ? (int)longer : 1;
  if (!cpu_blas_begin(n_threads)) return false;
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    int64_t begin, end;
    cpu_share(longer, n_threads, t, &begin, &end);
    if (m > n)
      cpu_blas_gemm(dtype, end - begin, n, k, alpha, from_row(a, dtype, begin), b, beta,
                    from_row(c, dtype, begin));
    else
      cpu_blas_gemm(dtype, m, end - begin, k, alpha, a, from_column(b, dtype, begin), beta,
                    from_column(c, dtype, begin));
  }
  cpu_blas_end(n_threads);
  return true;
}
