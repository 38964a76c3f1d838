/*
** A batch norm as a table over channels, made of its statistics: in a launch of its own (norm_table), or by
** the last block of the kernel that makes the last of the statistics.
*/
#ifndef CUDA_NORM_TABLE_H
#define CUDA_NORM_TABLE_H

#include "cuda_norm.h"

/* The tensors and numbers, as norm_table has them; norm NULL: none is asked for. */
typedef struct cuda_norm_request {
  dn_tensor *norm, *running_mean, *running_var; /* the last two NULL together */
  const dn_tensor *stats, *gamma, *beta;
  int64_t n_values;
  double momentum, epsilon;
} cuda_norm_request;

/* Nothing, where none is asked for. */
dn_status cuda_norm_table_make(const cuda_norm_request &request);

/* The same for kernels. */
template <typename T>
struct cuda_norm_making {
  cuda_table<T> norm, stats;
  T *running_mean, *running_var;
  const T *gamma, *beta;
  int64_t n_channels; /* 0: none is asked for */
  double n_values, momentum, epsilon;
};

template <typename T>
static inline cuda_norm_making<T> cuda_norm_making_of(const cuda_norm_request &request) {
  cuda_norm_making<T> m;
  memset((void *)&m, 0, sizeof m);
  if (!request.norm) return m;
  m.norm = cuda_table_of<T>(request.norm);
  m.stats = cuda_table_of<T>(request.stats);
  if (request.running_mean) {
    m.running_mean = (T *)dn_tensor_data(request.running_mean);
    m.running_var = (T *)dn_tensor_data(request.running_var);
  }
  m.gamma = (const T *)dn_tensor_data(request.gamma);
  m.beta = (const T *)dn_tensor_data(request.beta);
  m.n_channels = request.norm->size[1];
  m.n_values = (double)request.n_values;
  m.momentum = request.momentum;
  m.epsilon = request.epsilon;
  return m;
}

/* One channel of it. */
template <typename T>
__device__ static inline void cuda_norm_make(const cuda_norm_making<T> &m, int64_t c) {
  const double mean = m.stats.data[DN_STATS_MEAN * m.stats.row + c];
  const double var = m.stats.data[DN_STATS_VAR * m.stats.row + c];
  const dn_norm_vectors own = dn_norm_of_stats(mean, var, m.gamma[c], m.beta[c], m.epsilon);
  cuda_round(&m.norm.data[DN_NORM_MEAN * m.norm.row + c], own.mean);
  cuda_round(&m.norm.data[DN_NORM_INV_STD * m.norm.row + c], own.inv_std);
  cuda_round(&m.norm.data[DN_NORM_SCALE * m.norm.row + c], own.scale);
  cuda_round(&m.norm.data[DN_NORM_SHIFT * m.norm.row + c], own.shift);
  if (!m.running_mean) return;
  cuda_round(&m.running_mean[c], dn_running_mean(m.running_mean[c], mean, m.momentum));
  cuda_round(&m.running_var[c], dn_running_var(m.running_var[c], var, m.n_values, m.momentum));
}

#endif
