/*
** The logarithm of softmax along the last dimension, shifted by the row's maximum so that no
** exponential overflows. Rows are short and few beside the network's other work, so one loop in
** double serves both dtypes.
*/
#include <math.h>

#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"

typedef struct rows {
  int64_t n, c;
} rows;

static rows rows_of(const dn_tensor *x) {
  const rows shape = {x->n_dim == 2 ? x->size[0] : 1, x->size[x->n_dim - 1]};
  return shape;
}

dn_status cpu_log_softmax_forward(dn_tensor *y, const dn_tensor *x) {
  const rows shape = rows_of(x);
  const dn_dtype dtype = x->dtype;
  const void *const in = dn_tensor_data(x);
  void *const out = dn_tensor_data(y);
  const int n_threads = cpu_team(8 * shape.n * shape.c);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t n = 0; n < shape.n; n++) {
    const int64_t first = n * shape.c;
    double most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < shape.c; c++) most = fmax(most, cpu_load(in, dtype, first + c));
    for (int64_t c = 0; c < shape.c; c++) sum += exp(cpu_load(in, dtype, first + c) - most);
    const double log_sum = most + log(sum);
    for (int64_t c = 0; c < shape.c; c++)
      cpu_store(out, dtype, first + c, cpu_load(in, dtype, first + c) - log_sum);
  }
  return DN_OK;
}

dn_status cpu_log_softmax_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  const rows shape = rows_of(y);
  const dn_dtype dtype = y->dtype;
  const void *const gradient = dn_tensor_data(dy), *const output = dn_tensor_data(y);
  void *const out = dn_tensor_data(dx);
  const int n_threads = cpu_team(8 * shape.n * shape.c);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t n = 0; n < shape.n; n++) {
    const int64_t first = n * shape.c;
    double sum = 0;
    for (int64_t c = 0; c < shape.c; c++) sum += cpu_load(gradient, dtype, first + c);
    for (int64_t c = 0; c < shape.c; c++) {
      const double probability = exp(cpu_load(output, dtype, first + c));
      cpu_store(out, dtype, first + c, cpu_load(gradient, dtype, first + c) - probability * sum);
    }
  }
  return DN_OK;
}
