/*
** One step of stochastic gradient descent (dn_sgd.h), all of it in one sweep over the parameters.
*/
#include "../../dn_sgd.h"
#include "../cpu_backend.h"
#include "cpu_element.h"
#include "../cpu_parallel.h"

static void step_reference(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                           dn_sgd options) {
  const int64_t count = dn_tensor_count(parameter);
  const dn_dtype dtype = parameter->dtype;
  void *const p = dn_tensor_data(parameter);
  void *const v = velocity ? dn_tensor_data(velocity) : NULL;
  const void *const g = dn_tensor_data(gradient);
  const bool is_plain = options.momentum == 0;
  const dn_sgd_double by = dn_sgd_double_of(options);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads) firstprivate(by)
  for (int64_t i = 0; i < count; i++) {
    const double value = cpu_load(p, dtype, i), slope = cpu_load(g, dtype, i);
    double moved = 0;
    if (!is_plain) {
      const double before = cpu_load(v, dtype, i);
      moved = dn_sgd_double_moved(&by, value, &before, slope);
      cpu_store(v, dtype, i, moved);
    }
    cpu_store(p, dtype, i, dn_sgd_double_stepped(&by, value, moved, slope));
  }
}

dn_status cpu_sgd_step(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                       dn_sgd options, dn_number skip) {
  if (skip.value != 0) return DN_OK;
  if (parameter->dtype != DN_FLOAT || dn_reference()) {
    step_reference(parameter, velocity, gradient, options);
    return DN_OK;
  }
  float *const p = dn_tensor_data(parameter);
  const float *const g = dn_tensor_data(gradient);
  const dn_sgd_float by = dn_sgd_float_of(options);
  const int64_t count = dn_tensor_count(parameter);
  const int n_threads = cpu_team(count);
  if (options.momentum == 0) {
#pragma omp parallel for schedule(static) num_threads(n_threads) firstprivate(by)
    for (int64_t i = 0; i < count; i++) p[i] = dn_sgd_float_stepped(&by, p[i], 0, g[i]);
    return DN_OK;
  }
  float *const v = dn_tensor_data(velocity);
#pragma omp parallel for schedule(static) num_threads(n_threads) firstprivate(by)
  for (int64_t i = 0; i < count; i++) {
    const float moved = dn_sgd_float_moved(&by, p[i], &v[i], g[i]);
    v[i] = moved;
    p[i] = dn_sgd_float_stepped(&by, p[i], moved, g[i]);
  }
  return DN_OK;
}
