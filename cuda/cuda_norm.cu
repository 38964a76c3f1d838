/*
** The dense layer's work that is not a convolution or a pooling: statistics of channels, tables of
** norms, and the deferred terms of a gradient.
*/
#include "cuda_norm.h"

/* Channels are few: kernels over them have a thread for each, and compute in double. */
#define LAUNCH_CHANNELS(kernel, n_channels, ...) \
  CUDA_LAUNCH(kernel, cuda_blocks(n_channels), CUDA_THREADS, 0, cuda_stream(), __VA_ARGS__)

/* ---- Statistics ---- */

/*
** Sums of x - center and of its square; center is the channel's first value, which is near enough to
** its mean that the variance loses few digits. A block takes a segment of a channel.
*/
template <typename T>
__global__ void channel_sums_kernel(double *sums, const T *x, const cuda_planes planes,
                                    int64_t n_segments) {
  typedef typename cuda_types<T>::computed C;
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  int64_t c, segment;
  cuda_divide(blockIdx.x, n_segments, &c, &segment);
  const T *own = x + c * planes.stride_c;
  const C center = cuda_load(own[0]);
  C sum = 0, squares = 0;
  for (cuda_walk w = cuda_walk_begin(planes, segment); w.i < w.end; cuda_walk_on(&w)) {
    const C off = cuda_load(own[w.n * planes.stride_n + w.p]) - center;
    sum += off;
    squares += off * off;
  }
  cuda_pair_store(sums + 2 * (int64_t)blockIdx.x, sum, squares, shared);
}

/* A warp per channel. */
template <typename T>
__global__ void channel_stats_kernel(cuda_table<typename cuda_types<T>::computed> stats,
                                     const double *sums, const T *x, const cuda_planes planes,
                                     int64_t n_segments) {
  const double count = (double)(planes.n * planes.size);
  for (int64_t c = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / CUDA_WARP; c < planes.c;
       c += (int64_t)gridDim.x * blockDim.x / CUDA_WARP) {
    double sum, squares;
    cuda_pairs_join(sums + 2 * c * n_segments, n_segments, &sum, &squares);
    if (threadIdx.x % CUDA_WARP != 0) continue;
    const double center = cuda_load(x[c * planes.stride_c]);
    const dn_moments moments = dn_moments_of(center, sum, squares, count);
    cuda_round(&stats.data[DN_STATS_MEAN * stats.row + c], moments.mean);
    cuda_round(&stats.data[DN_STATS_VAR * stats.row + c], moments.variance);
  }
}

int64_t cuda_channel_stats_sums(const dn_tensor *x) {
  const cuda_planes planes = cuda_planes_of(x);
  return 2 * planes.c * cuda_segments(planes);
}

dn_status cuda_channel_stats_in(dn_tensor *stats, const dn_tensor *x, double *sums) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t n_segments = cuda_segments(planes);
  CUDA_FOR_REAL(
      x->dtype, T, typedef cuda_types<T>::computed C; const T *from = (const T *)dn_tensor_data(x);
      CUDA_LAUNCH((channel_sums_kernel<T>), (unsigned)(planes.c * n_segments), CUDA_THREADS, 0,
                  cuda_stream(), sums, from, planes, n_segments);
      CUDA_LAUNCH((channel_stats_kernel<T>), cuda_blocks(planes.c * CUDA_WARP), CUDA_THREADS, 0,
                  cuda_stream(), cuda_table_of<C>(stats), sums, from, planes, n_segments));
  return DN_OK;
}

dn_status cuda_channel_stats(dn_tensor *stats, const dn_tensor *x) {
  void *sums;
  DN_TRY(cuda_scratch(cuda_channel_stats_sums(x) * (int64_t)sizeof(double), &sums));
  return cuda_channel_stats_in(stats, x, (double *)sums);
}

/* ---- Tables ---- */

template <typename T>
__global__ void norm_table_kernel(cuda_table<T> norm, T *running_mean, T *running_var,
                                  cuda_table<T> stats, const T *gamma, const T *beta,
                                  int64_t n_channels, int64_t n_values, double momentum,
                                  double epsilon) {
  CUDA_FOR(c, n_channels) {
    const double mean = stats.data[DN_STATS_MEAN * stats.row + c];
    const double var = stats.data[DN_STATS_VAR * stats.row + c];
    const dn_norm_vectors own = dn_norm_of_stats(mean, var, gamma[c], beta[c], epsilon);
    cuda_round(&norm.data[DN_NORM_MEAN * norm.row + c], own.mean);
    cuda_round(&norm.data[DN_NORM_INV_STD * norm.row + c], own.inv_std);
    cuda_round(&norm.data[DN_NORM_SCALE * norm.row + c], own.scale);
    cuda_round(&norm.data[DN_NORM_SHIFT * norm.row + c], own.shift);
    if (!running_mean) continue;
    cuda_round(&running_mean[c], dn_running_mean(running_mean[c], mean, momentum));
    cuda_round(&running_var[c], dn_running_var(running_var[c], var, (double)n_values, momentum));
  }
}

dn_status cuda_norm_table(dn_tensor *norm, dn_tensor *running_mean, dn_tensor *running_var,
                          const dn_tensor *stats, const dn_tensor *gamma, const dn_tensor *beta,
                          int64_t n_values, double momentum, double epsilon) {
  const int64_t n_channels = norm->size[1];
  CUDA_FOR_COMPUTE(
      norm->dtype, T,
      LAUNCH_CHANNELS((norm_table_kernel<T>), n_channels, cuda_table_of<T>(norm),
                      running_mean ? (T *)dn_tensor_data(running_mean) : NULL,
                      running_var ? (T *)dn_tensor_data(running_var) : NULL,
                      cuda_table_of<T>(stats), (const T *)dn_tensor_data(gamma),
                      (const T *)dn_tensor_data(beta), n_channels, n_values, momentum, epsilon));
  return DN_OK;
}

template <typename T>
__global__ void deferred_update_kernel(cuda_table<T> deferred, cuda_table<T> dnorm,
                                       cuda_table<T> norm, int64_t n_channels, int64_t n_values,
                                       bool accumulate) {
  CUDA_FOR(c, n_channels) {
    const double scale = norm.data[DN_NORM_SCALE * norm.row + c];
    const double inv_std = norm.data[DN_NORM_INV_STD * norm.row + c];
    const double dbeta = dnorm.data[DN_DNORM_BETA * dnorm.row + c];
    const double dgamma = dnorm.data[DN_DNORM_GAMMA * dnorm.row + c];
    T *offset = &deferred.data[DN_DEFERRED_OFFSET * deferred.row + c];
    T *slope = &deferred.data[DN_DEFERRED_SLOPE * deferred.row + c];
    const double offset_before = accumulate ? *offset : 0, slope_before = accumulate ? *slope : 0;
    cuda_round(offset, offset_before + dn_deferred_offset(scale, dbeta, n_values));
    cuda_round(slope, slope_before + dn_deferred_slope(scale, inv_std, dgamma, n_values));
    deferred.data[DN_DEFERRED_MEAN * deferred.row + c] = norm.data[DN_NORM_MEAN * norm.row + c];
  }
}

dn_status cuda_deferred_update(dn_tensor *deferred, const dn_tensor *dnorm, const dn_tensor *norm,
                               int64_t n_values, bool accumulate) {
  const int64_t n_channels = norm->size[1];
  CUDA_FOR_COMPUTE(norm->dtype, T,
                   LAUNCH_CHANNELS((deferred_update_kernel<T>), n_channels,
                                   cuda_table_of<T>(deferred), cuda_table_of<T>(dnorm),
                                   cuda_table_of<T>(norm), n_channels, n_values, accumulate));
  return DN_OK;
}

/* ---- Deferred terms on elements ---- */

/* A thread takes elements i, i + threads, ...; from and to may be the same, so neither is restrict. */
template <typename T>
__global__ void deferred_add_kernel(T *to, const T *from, const T *x,
                                    cuda_table<typename cuda_types<T>::computed> deferred,
                                    const cuda_planes to_planes, const cuda_planes from_planes,
                                    const cuda_planes x_planes) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, x_planes.n * x_planes.c * x_planes.size) {
    int64_t plane, p, n, c;
    cuda_divide(i, x_planes.size, &plane, &p);
    cuda_divide(plane, x_planes.c, &n, &c);
    const C before = cuda_load(from[n * from_planes.stride_n + c * from_planes.stride_c + p]);
    const C raw = cuda_load(x[n * x_planes.stride_n + c * x_planes.stride_c + p]);
    cuda_store(&to[n * to_planes.stride_n + c * to_planes.stride_c + p],
               cuda_deferred_add(before, raw, deferred.data[DN_DEFERRED_OFFSET * deferred.row + c],
                                 deferred.data[DN_DEFERRED_SLOPE * deferred.row + c],
                                 deferred.data[DN_DEFERRED_MEAN * deferred.row + c]));
  }
}

dn_status cuda_deferred_add_to(dn_tensor *to, const dn_tensor *from, const dn_tensor *x,
                               const dn_tensor *deferred) {
  CUDA_FOR_REAL(
      x->dtype, T, typedef cuda_types<T>::computed C; CUDA_LAUNCH(
          (deferred_add_kernel<T>), cuda_blocks(dn_tensor_count(x)), CUDA_THREADS, 0, cuda_stream(),
          (T *)dn_tensor_data(to), (const T *)dn_tensor_data(from), (const T *)dn_tensor_data(x),
          cuda_table_of<C>(deferred), cuda_planes_of(to), cuda_planes_of(from), cuda_planes_of(x)));
  return DN_OK;
}

dn_status cuda_deferred_apply(dn_tensor *dx, const dn_tensor *x, const dn_tensor *deferred) {
  return cuda_deferred_add_to(dx, dx, x, deferred);
}
