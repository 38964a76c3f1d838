/*
** Rectified linear units: one read and one write an element, so the loops only have to be wide and
** shared among threads. The gradient needs no input: where the output is positive, the input was.
*/
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../elements/cpu_rows.h"

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

static void forward_row(const cpu_row *row, void *unused) {
  (void)unused;
  float *const out = (void *)row->data[0];
  const float *const in = (const void *)row->data[1];
  if (row->stride[0] == 1 && row->stride[1] == 1) {
#pragma omp simd
    for (int64_t i = 0; i < row->length; i++) out[i] = in[i] < 0 ? 0 : in[i];
    return;
  }
  for (int64_t i = 0; i < row->length; i++) {
    const float value = in[i * row->stride[1]];
    out[i * row->stride[0]] = value < 0 ? 0 : value;
  }
}

static void backward_row(const cpu_row *row, void *unused) {
  (void)unused;
  float *const out = (void *)row->data[0];
  const float *const in = (const void *)row->data[1], *const gate = (const void *)row->data[2];
  if (row->stride[0] == 1 && row->stride[1] == 1 && row->stride[2] == 1) {
#pragma omp simd
    for (int64_t i = 0; i < row->length; i++) out[i] = gate[i] > 0 ? in[i] : 0;
    return;
  }
  for (int64_t i = 0; i < row->length; i++)
    out[i * row->stride[0]] = gate[i * row->stride[2]] > 0 ? in[i * row->stride[1]] : 0;
}

dn_status cpu_relu_forward(dn_tensor *y, const dn_tensor *x) {
  if (x->dtype != DN_FLOAT || dn_reference()) {
    forward_reference(y, x);
    return DN_OK;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 2, (const dn_tensor *const[]){y, x});
  cpu_rows_run(&rows, 1, forward_row, NULL);
  return DN_OK;
}

dn_status cpu_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  if (y->dtype != DN_FLOAT || dn_reference()) {
    backward_reference(dx, dy, y);
    return DN_OK;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 3, (const dn_tensor *const[]){dx, dy, y});
  cpu_rows_run(&rows, 1, backward_row, NULL);
  return DN_OK;
}
