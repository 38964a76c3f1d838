/*
** What configure.sh asks of a BLAS.
**
**   compiled with -DLINKED and a library: prints the file that its cblas_sgemm comes from
**   without, given such a file: opens it as the module does, multiplies, and prints
**     "fast NAME" or "slow NAME"; the reference BLAS is slow: its loops are no better than ours below
**
** Exit status 1: there is no cblas_sgemm, or it does not multiply.
*/
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef void sgemm(int order, int a_how, int b_how, int m, int n, int k, float alpha,
                   const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

#ifdef LINKED

extern sgemm cblas_sgemm;

int main(void) {
  float a = 2, c = 0;
  cblas_sgemm(101, 111, 111, 1, 1, 1, 1, &a, 1, &a, 1, 0, &c, 1);
  /* Not &cblas_sgemm, which may be an address in this program. */
  void *const symbol = dlsym(RTLD_DEFAULT, "cblas_sgemm");
  Dl_info from;
  if (c != 4 || !symbol || !dladdr(symbol, &from) || !from.dli_fname) return 1;
  puts(from.dli_fname);
  return 0;
}

#else

enum { SIZE = 256, ROUNDS = 5, TIMES_AS_FAST = 3 };

static float a[SIZE * SIZE], b[SIZE * SIZE], c[SIZE * SIZE];

static const struct {
  const char *function, *library;
} known[] = {
    {"openblas_get_config", "OpenBLAS"},
    {"MKL_Get_Version", "MKL"},
    {"bli_info_get_version_str", "BLIS"},
    {"armplversion", "Arm Performance Libraries"},
};

static void multiply(sgemm *library) {
  if (library) {
    library(101, 111, 111, SIZE, SIZE, SIZE, 1, a, SIZE, b, SIZE, 0, c, SIZE);
    return;
  }
  memset(c, 0, sizeof c);
  for (int i = 0; i < SIZE; i++)
    for (int k = 0; k < SIZE; k++)
      for (int j = 0; j < SIZE; j++) c[i * SIZE + j] += a[i * SIZE + k] * b[k * SIZE + j];
}

static double least_seconds(sgemm *library) {
  double least = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    multiply(library);
    clock_gettime(CLOCK_MONOTONIC, &to);
    const double seconds =
        (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    if (seconds < least) least = seconds;
  }
  return least;
}

int main(int n_arguments, char **arguments) {
  void *const object = n_arguments > 1 ? dlopen(arguments[1], RTLD_NOW) : NULL;
  void *const symbol = object ? dlsym(object, "cblas_sgemm") : NULL;
  if (!symbol) return 1;
  sgemm *library;
  memcpy(&library, &symbol, sizeof library);
  for (int i = 0; i < SIZE * SIZE; i++) {
    a[i] = (float)(i % 7);
    b[i] = (float)(i % 5);
  }
  const double plain = least_seconds(NULL);
  const float expected = c[SIZE + 1];
  const double theirs = least_seconds(library);
  if (c[SIZE + 1] != expected) return 1;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (dlsym(object, known[i].function)) {
      printf("fast %s\n", known[i].library);
      return 0;
    }
  const int is_fast = TIMES_AS_FAST * theirs < plain;
  printf("%s\n", is_fast ? "fast BLAS" : "slow reference BLAS");
  return 0;
}

#endif
