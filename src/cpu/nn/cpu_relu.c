/*
** Rectified linear units: one read and one write an element, so the loops only have to be wide and
** shared among threads. The gradient needs no input: where the output is positive, the input was.
*/
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "cpu_relu_rows.h"

static void forward_reference(dn_tensor *y, const dn_tensor *x) {
  const int64_t count = dn_tensor_count(x);
  const int n_threads = cpu_team(count);
  void *const to = dn_tensor_data(y);
  const void *const from = dn_tensor_data(x);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const double value = cpu_load(from, x->dtype, cpu_offset(x, x, i));
    cpu_store(to, y->dtype, cpu_offset(y, y, i), value < 0 ? 0 : value);
  }
}

static void backward_reference(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  const int64_t count = dn_tensor_count(y);
  const int n_threads = cpu_team(count);
  void *const to = dn_tensor_data(dx);
  const void *const gradient = dn_tensor_data(dy), *const output = dn_tensor_data(y);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const bool passes = cpu_load(output, y->dtype, cpu_offset(y, y, i)) > 0;
    const double value = cpu_load(gradient, dy->dtype, cpu_offset(dy, dy, i));
    cpu_store(to, dx->dtype, cpu_offset(dx, dx, i), passes ? value : 0);
  }
}

dn_status cpu_relu_forward(dn_tensor *y, const dn_tensor *x) {
  if (!cpu_is_real(x->dtype) || dn_reference()) {
    forward_reference(y, x);
    return DN_OK;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 2, (const dn_tensor *const[]){y, x});
  cpu_rows_run(&rows, 1, CPU_REAL_OF(x->dtype, cpu_relu_forward_row), NULL);
  return DN_OK;
}

dn_status cpu_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  if (!cpu_is_real(y->dtype) || dn_reference()) {
    backward_reference(dx, dy, y);
    return DN_OK;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 3, (const dn_tensor *const[]){dx, dy, y});
  cpu_rows_run(&rows, 1, CPU_REAL_OF(y->dtype, cpu_relu_backward_row), NULL);
  return DN_OK;
}
