/*
** How far vectors are from orthonormal, and the gradient: with Y the vectors as rows, divided by norms c
** that count as constants (1 where they are not), D = Y Y' - I and m elements of D in all matrices,
**   loss += sum D^2 / m,   dx += scale 4 / m D Y / c
*/
#include <math.h>

#include "../cpu_backend.h"
#include "../cpu_scratch.h"
#include "../elements/cpu_element.h"
#include "cpu_matrix_product.h"

static const double LEAST_NORM = 1e-8; /* added to a norm */

/* Where element `at` of vector v lies in a matrix of n vectors, which are its rows or columns. */
static int64_t place_of(bool by_columns, int64_t n, int64_t length, int64_t v, int64_t at) {
  return by_columns ? at * n + v : v * length + at;
}

/* One matrix of x, from element `first` on, as rows of unit length in y; their norms in c. */
static void take(const dn_tensor *x, int64_t first, bool by_columns, int64_t n, int64_t length,
                 void *y, double *c) {
  const void *const from = dn_tensor_data(x);
  for (int64_t v = 0; v < n; v++) {
    double squares = 0;
    for (int64_t i = 0; by_columns && i < length; i++) {
      const double value = cpu_load(from, x->dtype, first + place_of(true, n, length, v, i));
      squares += value * value;
    }
    c[v] = by_columns ? sqrt(squares) + LEAST_NORM : 1;
    for (int64_t i = 0; i < length; i++) {
      const double value = cpu_load(from, x->dtype, first + place_of(by_columns, n, length, v, i));
      cpu_store(y, x->dtype, v * length + i, value / c[v]);
    }
  }
}

/* Takes I off the products; returns the sum of squares. */
static double take_off_identity(void *gram, dn_dtype dtype, int64_t n) {
  double sum = 0;
  for (int64_t v = 0; v < n; v++)
    for (int64_t w = 0; w < n; w++) {
      const double off = cpu_load(gram, dtype, v * n + w) - (v == w ? 1 : 0);
      cpu_store(gram, dtype, v * n + w, off);
      sum += off * off;
    }
  return sum;
}

static void add(dn_tensor *dx, int64_t first, bool by_columns, int64_t n, int64_t length,
                const void *slope, const double *c, double scale) {
  void *const to = dn_tensor_data(dx);
  for (int64_t v = 0; v < n; v++)
    for (int64_t i = 0; i < length; i++) {
      const int64_t at = first + place_of(by_columns, n, length, v, i);
      const double more = cpu_load(slope, dx->dtype, v * length + i) / c[v] * scale;
      cpu_store(to, dx->dtype, at, cpu_load(to, dx->dtype, at) + more);
    }
}

dn_status cpu_orthonormality(dn_tensor *loss, dn_tensor *dx, const dn_tensor *x, bool by_columns,
                             double scale) {
  const int64_t n_matrices = x->size[0], n = x->size[by_columns ? 2 : 1];
  const int64_t length = x->size[by_columns ? 1 : 2], step = n * length;
  const dn_dtype dtype = x->dtype;
  const size_t size = dn_dtype_size(dtype);
  int64_t n_bytes = 0;
  const int64_t y_begin = cpu_scratch_place(&n_bytes, step, size);
  const int64_t slope_begin = cpu_scratch_place(&n_bytes, step, size);
  const int64_t gram_begin = cpu_scratch_place(&n_bytes, n * n, size);
  const int64_t norms_begin = cpu_scratch_place(&n_bytes, n, sizeof(double));
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  void *const y = cpu_scratch_at(block, y_begin), *const slope = cpu_scratch_at(block, slope_begin);
  void *const gram = cpu_scratch_at(block, gram_begin);
  double *const norms = cpu_scratch_at(block, norms_begin);
  const double m = (double)(n_matrices * n * n);
  double sum = 0;
  for (int64_t g = 0; g < n_matrices; g++) {
    take(x, g * step, by_columns, n, length, y, norms);
    cpu_matrix_product(dtype, n, n, length, gram, y, false, y, true);
    sum += take_off_identity(gram, dtype, n);
    cpu_matrix_product(dtype, n, length, n, slope, gram, false, y, false);
    add(dx, g * step, by_columns, n, length, slope, norms, scale * 4 / m);
  }
  void *const total = dn_tensor_data(loss);
  cpu_store(total, dtype, 0, cpu_load(total, dtype, 0) + sum / m);
  return DN_OK;
}
