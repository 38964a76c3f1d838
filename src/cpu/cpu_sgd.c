/*
** One step of stochastic gradient descent, all of it in one sweep over the parameters.
** Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
** learning", in the form of Torch's optim.sgd.
*/
#include "cpu_backend.h"
#include "cpu_element.h"
#include "cpu_parallel.h"

static void step_reference(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                           dn_sgd options) {
  const int64_t count = dn_tensor_count(parameter);
  const dn_dtype dtype = parameter->dtype;
  void *const p = dn_tensor_data(parameter);
  void *const v = velocity ? dn_tensor_data(velocity) : NULL;
  const void *const g = dn_tensor_data(gradient);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const double value = cpu_load(p, dtype, i);
    const double slope = cpu_load(g, dtype, i) + options.weight_decay * value;
    double step = slope;
    if (options.momentum != 0) {
      const double moved = options.is_first ? slope
                                            : options.momentum * cpu_load(v, dtype, i) +
                                                  (1 - options.dampening) * slope;
      cpu_store(v, dtype, i, moved);
      step = options.nesterov ? slope + options.momentum * moved : moved;
    }
    cpu_store(p, dtype, i, value - options.learning_rate * step);
  }
}

dn_status cpu_sgd_step(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                       dn_sgd options) {
  if (parameter->dtype != DN_FLOAT || dn_reference()) {
    step_reference(parameter, velocity, gradient, options);
    return DN_OK;
  }
  float *const p = dn_tensor_data(parameter);
  const float *const g = dn_tensor_data(gradient);
  const float rate = (float)options.learning_rate, decay = (float)options.weight_decay;
  const int64_t count = dn_tensor_count(parameter);
  const int n_threads = cpu_team(count);
  if (options.momentum == 0) {
#pragma omp parallel for schedule(static) num_threads(n_threads)
    for (int64_t i = 0; i < count; i++) p[i] -= rate * (g[i] + decay * p[i]);
    return DN_OK;
  }
  float *const v = dn_tensor_data(velocity);
  const float momentum = (float)options.momentum;
  const float fresh = options.is_first ? 1 : (float)(1 - options.dampening);
  const float look_ahead = options.nesterov ? momentum : 1;
  const float direct = options.nesterov ? 1 : 0;
  const bool is_first = options.is_first;
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const float slope = g[i] + decay * p[i];
    /* a velocity without history may hold anything, NaN included */
    const float past = is_first ? 0 : momentum * v[i];
    const float moved = past + fresh * slope;
    v[i] = moved;
    p[i] -= rate * (direct * slope + look_ahead * moved);
  }
  return DN_OK;
}
