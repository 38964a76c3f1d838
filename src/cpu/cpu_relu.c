/*
** Rectified linear units: one read and one write an element, so the loops only have to be wide and
** shared among threads. The gradient needs no input: where the output is positive, the input was.
*/
#include "cpu_backend.h"
#include "cpu_element.h"
#include "cpu_parallel.h"
#include "cpu_planes.h"

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
  if (x->dtype != DN_FLOAT || dn_reference()) {
    forward_reference(y, x);
    return DN_OK;
  }
  const bool joined = dn_tensor_is_contiguous(x) && dn_tensor_is_contiguous(y);
  const cpu_planes from = cpu_planes_joined(x, joined), to = cpu_planes_joined(y, joined);
  const float *const x_data = dn_tensor_data(x);
  float *const y_data = dn_tensor_data(y);
  const int64_t count = dn_tensor_count(x);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    int64_t i, end;
    cpu_share(count, n_threads, t, &i, &end);
    while (i < end) {
      int64_t x_at, y_at;
      const int64_t run = cpu_planes_run(&from, i, end, &x_at);
      cpu_planes_run(&to, i, end, &y_at);
      const float *const in = x_data + x_at;
      float *const out = y_data + y_at;
#pragma omp simd
      for (int64_t j = 0; j < run; j++) out[j] = in[j] < 0 ? 0 : in[j];
      i += run;
    }
  }
  return DN_OK;
}

dn_status cpu_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  if (y->dtype != DN_FLOAT || dn_reference()) {
    backward_reference(dx, dy, y);
    return DN_OK;
  }
  const bool joined =
      dn_tensor_is_contiguous(dx) && dn_tensor_is_contiguous(dy) && dn_tensor_is_contiguous(y);
  const cpu_planes to = cpu_planes_joined(dx, joined), gradient = cpu_planes_joined(dy, joined);
  const cpu_planes output = cpu_planes_joined(y, joined);
  const float *const dy_data = dn_tensor_data(dy), *const y_data = dn_tensor_data(y);
  float *const dx_data = dn_tensor_data(dx);
  const int64_t count = dn_tensor_count(y);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    int64_t i, end;
    cpu_share(count, n_threads, t, &i, &end);
    while (i < end) {
      int64_t dx_at, dy_at, y_at;
      const int64_t run = cpu_planes_run(&to, i, end, &dx_at);
      cpu_planes_run(&gradient, i, end, &dy_at);
      cpu_planes_run(&output, i, end, &y_at);
      const float *const in = dy_data + dy_at, *const gate = y_data + y_at;
      float *const out = dx_data + dx_at;
#pragma omp simd
      for (int64_t j = 0; j < run; j++) out[j] = gate[j] > 0 ? in[j] : 0;
      i += run;
    }
  }
  return DN_OK;
}
