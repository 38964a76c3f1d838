#include "cpu_quantize.h"

#include "../../dn_quantize.h"
#include "../../dn_tensor.h"
#include "../cpu_backend.h"
#include "../cpu_parallel.h"

enum {
  SHARES = 64,       /* of the search for the largest, whatever the number of threads */
  STEPS_OF_TANH = 16 /* elementary ones */
};

#define CPU_QUANTIZE(real, name)                                                                   \
  static double tanh_##name(real *t, const real *x, int64_t count) {                               \
    real part[SHARES], scale = 0;                                                                  \
    const int n_threads = cpu_team(STEPS_OF_TANH * count);                                         \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int s = 0;            \
                                                                             s < SHARES; s++) {    \
      int64_t begin, end;                                                                          \
      cpu_share(count, SHARES, s, &begin, &end);                                                   \
      real most = 0;                                                                               \
      for (int64_t i = begin; i < end; i++) {                                                      \
        t[i] = dn_quantize_##name##_tanh(x[i]);                                                    \
        most = dn_quantize_##name##_larger(most, t[i]);                                            \
      }                                                                                            \
      part[s] = most;                                                                              \
    }                                                                                              \
    for (int s = 0; s < SHARES; s++) scale = dn_quantize_##name##_larger(scale, part[s]);          \
    return (double)scale;                                                                          \
  }                                                                                                \
                                                                                                   \
  static void values_##name(real *value, const real *t, int64_t count, real scale, real last) {    \
    const int n_threads = cpu_team(count);                                                         \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t i = 0;        \
                                                                             i < count; i++) {     \
      const real code = dn_quantize_##name##_code(t[i], scale, last);                              \
      value[i] = dn_quantize_##name##_value(code, scale, last);                                    \
    }                                                                                              \
  }                                                                                                \
                                                                                                   \
  /* As cpu_quantize_tanh, one element after the other, without a place for t. */                  \
  static void codes_##name(int64_t *codes, real *scale, const real *x, int64_t count, real last) { \
    real most = 0;                                                                                 \
    for (int64_t i = 0; i < count; i++)                                                            \
      most = dn_quantize_##name##_larger(most, dn_quantize_##name##_tanh(x[i]));                   \
    for (int64_t i = 0; i < count; i++) {                                                          \
      const real t = dn_quantize_##name##_tanh(x[i]);                                              \
      const real code = dn_quantize_##name##_code(t, most, last);                                  \
      codes[i] = code == code ? (int64_t)code : 0; /* the scale says that there is NaN */          \
    }                                                                                              \
    *scale = most;                                                                                 \
  }                                                                                                \
                                                                                                   \
  static void decode_##name(real *y, const int64_t *codes, real scale, int64_t count, real last) { \
    for (int64_t i = 0; i < count; i++)                                                            \
      y[i] = dn_quantize_##name##_value((real)codes[i], scale, last);                              \
  }                                                                                                \
                                                                                                   \
  static void pull_##name(real *dx, const real *dvalue, const real *t, int64_t count,              \
                          real scale) {                                                            \
    const int n_threads = cpu_team(count);                                                         \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t i = 0;        \
                                                                             i < count; i++)       \
        dx[i] += dn_quantize_##name##_slope(dvalue[i], t[i], scale);                               \
  }                                                                                                \
                                                                                                   \
  static void add_##name(real *dx, const real *dvalue, int64_t count) {                            \
    for (int64_t i = 0; i < count; i++) dx[i] += dvalue[i];                                        \
  }

CPU_QUANTIZE(float, float)
CPU_QUANTIZE(double, double)

double cpu_quantize_tanh(dn_dtype dtype, int64_t count, void *t, const void *x) {
  return dtype == DN_FLOAT ? tanh_float(t, x, count) : tanh_double(t, x, count);
}

void cpu_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *t, double scale,
                         int64_t bits) {
  const int64_t last = dn_quantize_last(bits);
  if (dtype == DN_FLOAT)
    values_float(value, t, count, (float)scale, (float)last);
  else
    values_double(value, t, count, scale, (double)last);
}

void cpu_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue, const void *t,
                       double scale) {
  if (dtype == DN_FLOAT)
    pull_float(dx, dvalue, t, count, (float)scale);
  else
    pull_double(dx, dvalue, t, count, scale);
}

void cpu_quantize_add(dn_dtype dtype, int64_t count, void *dx, const void *dvalue) {
  if (dtype == DN_FLOAT)
    add_float(dx, dvalue, count);
  else
    add_double(dx, dvalue, count);
}

dn_status cpu_quantize(dn_tensor *codes, dn_tensor *scale, const dn_tensor *x, int64_t bits) {
  const int64_t count = dn_tensor_count(x), last = dn_quantize_last(bits);
  if (x->dtype == DN_FLOAT)
    codes_float(dn_tensor_data(codes), dn_tensor_data(scale), dn_tensor_data(x), count,
                (float)last);
  else
    codes_double(dn_tensor_data(codes), dn_tensor_data(scale), dn_tensor_data(x), count,
                 (double)last);
  return DN_OK;
}

dn_status cpu_dequantize(dn_tensor *y, const dn_tensor *codes, const dn_tensor *scale,
                         int64_t bits) {
  const int64_t count = dn_tensor_count(y), last = dn_quantize_last(bits);
  const void *const s = dn_tensor_data(scale);
  if (y->dtype == DN_FLOAT)
    decode_float(dn_tensor_data(y), dn_tensor_data(codes), *(const float *)s, count, (float)last);
  else
    decode_double(dn_tensor_data(y), dn_tensor_data(codes), *(const double *)s, count,
                  (double)last);
  return DN_OK;
}
