/*
** Products of matrices by CBLAS (cpu_blas_library). Calls run on the calling thread alone: OpenBLAS is
** told so, and a team of our own cuts the product where there is more than one thread to use.
** Matrices are row-major; `ld` is the distance between rows in elements.
*/
#ifndef CPU_BLAS_H
#define CPU_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dn_dtype.h"

/* A matrix as it lies in memory: rows x columns of the product, read transposed if so. */
typedef struct cpu_matrix {
  void *data;
  int64_t ld;
  bool transposed;
} cpu_matrix;

/*
** c MxN = alpha a b + beta c, a MxK, b KxN, for float and double, on this thread. c is not
** transposed; its content is not read when beta is 0. Sizes may be 0 and must fit an int.
** Between cpu_blas_begin and cpu_blas_end only.
*/
void cpu_blas_gemm(dn_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, cpu_matrix a,
                   cpu_matrix b, double beta, cpu_matrix c);

/*
** The same, by a team of threads that share the longer side of c, begin and end included. False where the
** library finds no memory to work in; c is then as it was.
*/
bool cpu_blas_gemm_team(dn_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, cpu_matrix a,
                        cpu_matrix b, double beta, cpu_matrix c);

#endif
