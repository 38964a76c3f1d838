#include "cpu_linear_few.h"

#include "../../dn_threads.h"
#include "../../dn_wide.h"
#include "../cpu_parallel.h"
#include "../tiles/cpu_real.h"

enum { MOST_ROWS = 4 };

bool cpu_linear_is_few(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight) {
  return cpu_is_real(y->dtype) && !dn_reference() && y->size[0] <= MOST_ROWS &&
         dn_tensor_is_contiguous(y) && dn_tensor_is_contiguous(x) &&
         dn_tensor_is_contiguous(weight);
}

DN_WIDE static float dot_float(const float *restrict a, const float *restrict b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

DN_WIDE static double dot_double(const double *restrict a, const double *restrict b, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

void cpu_linear_few(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight) {
  const int64_t n_rows = y->size[0], n_out = y->size[1], n_in = x->size[1];
  void *to = dn_tensor_data(y);
  const void *from = dn_tensor_data(x), *w = dn_tensor_data(weight);
  const bool is_double = y->dtype == DN_DOUBLE;
  const int n_threads = cpu_team(n_rows * n_out * n_in / 8);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t k = 0; k < n_out; k++)
    for (int64_t n = 0; n < n_rows; n++) {
      if (is_double)
        ((double *)to)[n * n_out + k] =
            dot_double((const double *)from + n * n_in, (const double *)w + k * n_in, n_in);
      else
        ((float *)to)[n * n_out + k] =
            dot_float((const float *)from + n * n_in, (const float *)w + k * n_in, n_in);
    }
}
