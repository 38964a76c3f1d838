/* One step of stochastic gradient descent (dn_sgd.h); a thread takes one parameter after the other. */
#include "cuda_dtype.h"
#include "cuda_number.h"

extern "C" {
#include "../src/dn_sgd.h"
}

CUDA_INLINE float moved(const dn_sgd_float &by, float p, const float *v, float g) {
  return dn_sgd_float_moved(&by, p, v, g);
}
CUDA_INLINE double moved(const dn_sgd_double &by, double p, const double *v, double g) {
  return dn_sgd_double_moved(&by, p, v, g);
}
CUDA_INLINE float stepped(const dn_sgd_float &by, float p, float v, float g) {
  return dn_sgd_float_stepped(&by, p, v, g);
}
CUDA_INLINE double stepped(const dn_sgd_double &by, double p, double v, double g) {
  return dn_sgd_double_stepped(&by, p, v, g);
}

/* velocity: NULL without momentum. rate_at, skip_at: NULL where there are none. */
template <typename T, typename F>
__global__ void sgd_step_kernel(T *parameter, T *velocity, const T *gradient, int64_t n, F by,
                                const double *rate_at, const double *skip_at) {
  if (cuda_number_of(0.0, skip_at) != 0) return;
  by.rate = cuda_number_of(by.rate, rate_at);
  CUDA_FOR(i, n) {
    const T p = parameter[i], g = gradient[i];
    T v = 0;
    if (velocity) velocity[i] = v = moved(by, p, &velocity[i], g);
    parameter[i] = stepped(by, p, v, g);
  }
}

dn_status cuda_sgd_step(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                        dn_sgd options, dn_number skip) {
  if (skip.value != 0) return DN_OK;
  const double *rate_at = cuda_number_at(options.learning_rate), *skip_at = cuda_number_at(skip);
  const int64_t n = dn_tensor_count(parameter);
  void *p = dn_tensor_data(parameter), *v = options.momentum == 0 ? NULL : dn_tensor_data(velocity);
  const void *g = dn_tensor_data(gradient);
  if (parameter->dtype == DN_FLOAT)
    CUDA_LAUNCH((sgd_step_kernel<float, dn_sgd_float>), cuda_blocks(n), CUDA_THREADS, 0,
                cuda_stream(), (float *)p, (float *)v, (const float *)g, n,
                dn_sgd_float_of(options), rate_at, skip_at);
  else
    CUDA_LAUNCH((sgd_step_kernel<double, dn_sgd_double>), cuda_blocks(n), CUDA_THREADS, 0,
                cuda_stream(), (double *)p, (double *)v, (const double *)g, n,
                dn_sgd_double_of(options), rate_at, skip_at);
  return DN_OK;
}
