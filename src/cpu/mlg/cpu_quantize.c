#include "cpu_quantize.h"

#include "../../dn_quantize.h"
#include "../../dn_tensor.h"
#include "../cpu_backend.h"
#include "../cpu_parallel.h"

enum {
  SHARES = 64,       /* of the search for the largest, whatever the number of threads */
  STEPS_OF_TANH = 16 /* elementary ones */
};

static int team_of(int64_t count) { return cpu_team(STEPS_OF_TANH * count); }

#define CPU_QUANTIZE(real, name)                                                                   \
  static real scale_##name(const real *x, int64_t count) {                                         \
    real part[SHARES], scale = 0;                                                                  \
    const int n_threads = team_of(count);                                                          \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int s = 0;            \
                                                                             s < SHARES; s++) {    \
      int64_t begin, end;                                                                          \
      cpu_share(count, SHARES, s, &begin, &end);                                                   \
      real most = 0;                                                                               \
      for (int64_t i = begin; i < end; i++)                                                        \
        most = dn_quantize_##name##_larger(most, dn_quantize_##name##_tanh(x[i]));                 \
      part[s] = most;                                                                              \
    }                                                                                              \
    for (int s = 0; s < SHARES; s++) scale = dn_quantize_##name##_larger(scale, part[s]);          \
    return scale;                                                                                  \
  }                                                                                                \
                                                                                                   \
  static void values_##name(real *value, const real *x, int64_t count, real last) {                \
    const real scale = scale_##name(x, count);                                                     \
    const int n_threads = team_of(count);                                                          \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t i = 0;        \
                                                                             i < count; i++) {     \
      const real t = dn_quantize_##name##_tanh(x[i]);                                              \
      const real code = dn_quantize_##name##_code(t, scale, last);                                 \
      value[i] = dn_quantize_##name##_value(code, scale, last);                                    \
    }                                                                                              \
  }                                                                                                \
                                                                                                   \
  static void codes_##name(int64_t *codes, real *scale, const real *x, int64_t count, real last) { \
    const real most = scale_##name(x, count);                                                      \
    const int n_threads = team_of(count);                                                          \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t i = 0;        \
                                                                             i < count; i++) {     \
      const real code = dn_quantize_##name##_code(dn_quantize_##name##_tanh(x[i]), most, last);    \
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
  static void pull_##name(real *dx, const real *dvalue, const real *x, int64_t count) {            \
    const real scale = scale_##name(x, count);                                                     \
    const int n_threads = team_of(count);                                                          \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t i = 0;        \
                                                                             i < count; i++) {     \
      const real t = dn_quantize_##name##_tanh(x[i]);                                              \
      dx[i] += dn_quantize_##name##_slope(dvalue[i], t, scale);                                    \
    }                                                                                              \
  }                                                                                                \
                                                                                                   \
  static void add_##name(real *dx, const real *dvalue, int64_t count) {                            \
    for (int64_t i = 0; i < count; i++) dx[i] += dvalue[i];                                        \
  }

CPU_QUANTIZE(float, float)
CPU_QUANTIZE(double, double)

void cpu_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *x, int64_t bits) {
  const int64_t last = dn_quantize_last(bits);
  if (dtype == DN_FLOAT)
    values_float(value, x, count, (float)last);
  else
    values_double(value, x, count, (double)last);
}

void cpu_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue, const void *x,
                       int64_t bits) {
  if (dtype == DN_FLOAT) {
    if (dn_quantize_is(bits))
      pull_float(dx, dvalue, x, count);
    else
      add_float(dx, dvalue, count);
  } else {
    if (dn_quantize_is(bits))
      pull_double(dx, dvalue, x, count);
    else
      add_double(dx, dvalue, count);
  }
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
