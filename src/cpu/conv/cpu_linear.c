/*
** A fully connected layer is a matrix product; what is left is the bias: added forward, summed over the
** batch backward.
*/
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_linear_few.h"

/* The transposed view, borrowed from x. */
static dn_tensor transposed(const dn_tensor *x) {
  dn_tensor view = *x;
  view.size[0] = x->size[1];
  view.size[1] = x->size[0];
  view.stride[0] = x->stride[1];
  view.stride[1] = x->stride[0];
  return view;
}

dn_status cpu_linear_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                             const dn_tensor *bias) {
  if (cpu_linear_is_few(y, x, weight)) {
    DN_TRY(cpu_scratch_none());
    cpu_linear_few(y, x, weight);
  } else {
    const dn_tensor weight_t = transposed(weight);
    DN_TRY(cpu_gemm(y, x, &weight_t, 1, 0));
  }
  if (!bias) return DN_OK;
  void *const out = dn_tensor_data(y);
  const void *const start = dn_tensor_data(bias);
  for (int64_t n = 0; n < y->size[0]; n++)
    for (int64_t k = 0; k < y->size[1]; k++) {
      const int64_t at = n * y->size[1] + k;
      cpu_store(out, y->dtype, at, cpu_load(out, y->dtype, at) + cpu_load(start, y->dtype, k));
    }
  return DN_OK;
}

dn_status cpu_linear_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight) {
  return cpu_gemm(dx, dy, weight, 1, 0);
}

dn_status cpu_linear_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                     const dn_tensor *x, double scale) {
  const dn_tensor dy_t = transposed(dy);
  DN_TRY(cpu_gemm(dweight, &dy_t, x, scale, 1));
  /* Last: a call that ran out of memory is repeated, and must not have added anything yet. */
  if (!dbias) return DN_OK;
  void *const out = dn_tensor_data(dbias);
  const void *const gradient = dn_tensor_data(dy);
  const int64_t n_rows = dy->size[0], n_columns = dy->size[1];
  const int n_threads = cpu_team(n_rows * n_columns);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t k = 0; k < n_columns; k++) {
    double sum = 0;
    for (int64_t n = 0; n < n_rows; n++) sum += cpu_load(gradient, dy->dtype, n * n_columns + k);
    cpu_store(out, dbias->dtype, k, cpu_load(out, dbias->dtype, k) + scale * sum);
  }
  return DN_OK;
}
