/*
** The fast CBLAS that configure.sh found, if it found one, opened when it is first needed. OpenBLAS cannot simply be
** linked: on being loaded it starts a thread for every processor, which nothing here uses, and where
** the system refuses it 128 MB for a call it asks again for ever, in those threads too.
*/
#ifndef CPU_BLAS_LIBRARY_H
#define CPU_BLAS_LIBRARY_H

#include <stdbool.h>

/* The values of CBLAS's enumerations, which are the same in every library. */
enum { CPU_CBLAS_ROW_MAJOR = 101, CPU_CBLAS_NO_TRANS = 111, CPU_CBLAS_TRANS = 112 };

/* cblas_sgemm and cblas_dgemm. */
typedef void cpu_cblas_sgemm(int order, int a_how, int b_how, int m, int n, int k, float alpha,
                             const float *a, int lda, const float *b, int ldb, float beta, float *c,
                             int ldc);
typedef void cpu_cblas_dgemm(int order, int a_how, int b_how, int m, int n, int k, double alpha,
                             const double *a, int lda, const double *b, int ldb, double beta,
                             double *c, int ldc);

typedef struct cpu_blas_library {
  cpu_cblas_sgemm *sgemm;
  cpu_cblas_dgemm *dgemm;
} cpu_blas_library;

/* Between cpu_blas_begin and cpu_blas_end only. */
extern cpu_blas_library cpu_blas;

/* Whether there is one; opens it when it is first asked. */
bool cpu_blas_is_there(void);

/*
** Announces that n_threads will call the library at once, until cpu_blas_end(n_threads). False where there
** is none, or none that would find memory to work in.
*/
bool cpu_blas_begin(int n_threads);
void cpu_blas_end(int n_threads);

#endif
