#include "cpu_relu_rows.h"

#include "../../dn_wide.h"

DN_WIDE static void rectify(real *out, const real *in, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = in[i] < 0 ? 0 : in[i];
}

DN_WIDE static void let_through(real *out, const real *in, const real *gate, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = gate[i] > 0 ? in[i] : 0;
}

void CPU_REAL(cpu_relu_forward_row)(const cpu_row *row, void *unused) {
  (void)unused;
  real *const out = (void *)row->data[0];
  const real *const in = (const void *)row->data[1];
  if (row->stride[0] == 1 && row->stride[1] == 1) {
    rectify(out, in, row->length);
    return;
  }
  for (int64_t i = 0; i < row->length; i++) {
    const real value = in[i * row->stride[1]];
    out[i * row->stride[0]] = value < 0 ? 0 : value;
  }
}

void CPU_REAL(cpu_relu_backward_row)(const cpu_row *row, void *unused) {
  (void)unused;
  real *const out = (void *)row->data[0];
  const real *const in = (const void *)row->data[1], *const gate = (const void *)row->data[2];
  if (row->stride[0] == 1 && row->stride[1] == 1 && row->stride[2] == 1) {
    let_through(out, in, gate, row->length);
    return;
  }
  for (int64_t i = 0; i < row->length; i++)
    out[i * row->stride[0]] = gate[i * row->stride[2]] > 0 ? in[i * row->stride[1]] : 0;
}
