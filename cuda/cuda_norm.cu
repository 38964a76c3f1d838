/*
** The dense layer's work that is not a convolution or a pooling: statistics of channels, tables of
** norms, and the deferred terms of a gradient.
*/
#include "cuda_norm_gradient.h"
#include "cuda_norm_table.h"

/* Channels are few: kernels over them have a thread for each, and compute in double. */
#define LAUNCH_CHANNELS(kernel, n_channels, ...) \
  CUDA_LAUNCH(kernel, cuda_blocks(n_channels), CUDA_THREADS, 0, cuda_stream(), __VA_ARGS__)

/* ---- Statistics ---- */

/*
** Sums of x - center and of its square; center is the channel's first value, which is near enough to
** its mean that the variance loses few digits. A block takes a segment of a channel, a thread packets
** of N values of it, CUDA_AHEAD at once.
*/
template <typename T, int N, bool in_one, typename I>
__device__ static inline void sum_segment(double *sums, const T *x, const cuda_planes &planes,
                                          const cuda_channel_walk &walk, double *shared) {
  typedef typename cuda_types<T>::computed C;
  const cuda_segment<I> own = cuda_segment_of<N, I>(walk);
  const T *const from = x + own.c * planes.stride_c;
  const C center = cuda_load(from[0]);
  C sum = 0, squares = 0;
  CUDA_ROLLED
  for (I i = own.first + threadIdx.x; i < own.end; i += CUDA_AHEAD * blockDim.x) {
    cuda_packet<T, N> ahead[CUDA_AHEAD];
    CUDA_UNROLL
    for (int k = 0; k < CUDA_AHEAD; k++) {
      if (i + k * blockDim.x >= own.end) continue;
      I n, p;
      cuda_channel_place<N>(walk, i + k * blockDim.x, &n, &p);
      ahead[k] = cuda_packet_load<N, in_one>(from + n * planes.stride_n + p);
    }
    CUDA_UNROLL
    for (int k = 0; k < CUDA_AHEAD; k++) {
      if (i + k * blockDim.x >= own.end) continue;
      CUDA_UNROLL
      for (int e = 0; e < N; e++) {
        const C off = cuda_load(ahead[k].at[e]) - center;
        sum += off;
        squares += off * off;
      }
    }
  }
  cuda_pair_store(sums + 2 * (int64_t)blockIdx.x, sum, squares, shared);
}

template <typename T, int N, bool in_one>
__global__ void channel_sums_kernel(double *sums, const T *x, const cuda_planes planes,
                                    const cuda_channel_walk walk) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  if (cuda_counts_near(walk.n_packets * N))
    sum_segment<T, N, in_one, uint32_t>(sums, x, planes, walk, shared);
  else
    sum_segment<T, N, in_one, int64_t>(sums, x, planes, walk, shared);
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

template <typename T, int N, bool in_one>
static dn_status launch_sums(const dn_tensor *x, double *sums) {
  const cuda_planes planes = cuda_planes_of(x);
  CUDA_LAUNCH((channel_sums_kernel<T, N, in_one>), (unsigned)(planes.c * cuda_segments(planes)),
              CUDA_THREADS, 0, cuda_stream(), sums, (const T *)dn_tensor_data(x), planes,
              cuda_channel_walk_of(planes, N));
  return DN_OK;
}

template <typename T>
static dn_status sum_up(const dn_tensor *x, double *sums) {
  const int packet = cuda_packet_dividing(cuda_planes_of(x).size, sizeof(T));
  CUDA_FOR_PACKETS(T, packet, N,
                   return cuda_planes_fit(x, N) ? launch_sums<T, N, true>(x, sums)
                                                : launch_sums<T, N, N == 1>(x, sums));
}

dn_status cuda_channel_stats_in(dn_tensor *stats, const dn_tensor *x, double *sums) {
  const cuda_planes planes = cuda_planes_of(x);
  CUDA_FOR_REAL(x->dtype, T, typedef cuda_types<T>::computed C; DN_TRY(sum_up<T>(x, sums));
                CUDA_LAUNCH((channel_stats_kernel<T>), cuda_blocks(planes.c * CUDA_WARP),
                            CUDA_THREADS, 0, cuda_stream(), cuda_table_of<C>(stats), sums,
                            (const T *)dn_tensor_data(x), planes, cuda_segments(planes)));
  return DN_OK;
}

dn_status cuda_channel_stats(dn_tensor *stats, const dn_tensor *x) {
  void *sums;
  DN_TRY(cuda_scratch(cuda_channel_stats_sums(x) * (int64_t)sizeof(double), &sums));
  return cuda_channel_stats_in(stats, x, (double *)sums);
}

/* ---- Tables ---- */

template <typename T>
__global__ void norm_table_kernel(const cuda_norm_making<T> making) {
  CUDA_FOR(c, making.n_channels) cuda_norm_make(making, c);
}

dn_status cuda_norm_table_make(const cuda_norm_request &request) {
  if (!request.norm) return DN_OK;
  CUDA_FOR_COMPUTE(request.norm->dtype, T,
                   LAUNCH_CHANNELS((norm_table_kernel<T>), request.norm->size[1],
                                   cuda_norm_making_of<T>(request)));
  return DN_OK;
}

dn_status cuda_norm_table(dn_tensor *norm, dn_tensor *running_mean, dn_tensor *running_var,
                          const dn_tensor *stats, const dn_tensor *gamma, const dn_tensor *beta,
                          int64_t n_values, double momentum, double epsilon) {
  const cuda_norm_request request = {norm, running_mean, running_var, stats,  gamma,
                                     beta, n_values,     momentum,    epsilon};
  return cuda_norm_table_make(request);
}

template <typename T>
__global__ void deferred_update_kernel(const cuda_deferral<T> deferral, cuda_table<T> dnorm,
                                       int64_t n_channels) {
  CUDA_FOR(c, n_channels) {
    cuda_defer_beta(deferral, c, dnorm.data[DN_DNORM_BETA * dnorm.row + c]);
    cuda_defer_gamma(deferral, c, dnorm.data[DN_DNORM_GAMMA * dnorm.row + c]);
  }
}

dn_status cuda_deferred_update(dn_tensor *deferred, const dn_tensor *dnorm, const dn_tensor *norm,
                               int64_t n_values, bool accumulate) {
  const int64_t n_channels = norm->size[1];
  CUDA_FOR_COMPUTE(norm->dtype, T,
                   const cuda_deferral<T> deferral = {cuda_table_of<T>(deferred),
                                                      cuda_table_of<T>(norm), n_values, accumulate};
                   LAUNCH_CHANNELS((deferred_update_kernel<T>), n_channels, deferral,
                                   cuda_table_of<T>(dnorm), n_channels));
  return DN_OK;
}

/* ---- Deferred terms on elements ---- */

/*
** A thread takes packets of N elements, one after the other: it has two loads on the way, and of threads
** there are many. from and to may be the same, so neither is restrict.
*/
template <typename T, int N, typename I, typename C>
__device__ static inline void add_deferred(
    T *to, const T *from, const T *x, const cuda_table<C> &deferred, const cuda_planes &to_planes,
    const cuda_planes &from_planes, const cuda_planes &x_planes, const cuda_plane_walk &walk) {
  const I n_packets = (I)walk.n_packets;
  CUDA_ROLLED
  for (I i = (I)blockIdx.x * blockDim.x + threadIdx.x; i < n_packets;
       i += (I)gridDim.x * blockDim.x) {
    const cuda_plane_place<I> at = cuda_plane_place_of<I>(walk, i);
    const cuda_packet<T, N> before =
        cuda_packet_load<N>(from + cuda_plane_offset<N>(from_planes, at));
    const cuda_packet<T, N> raw = cuda_packet_load<N>(x + cuda_plane_offset<N>(x_planes, at));
    const C *const terms = deferred.data + at.c;
    const C offset = terms[DN_DEFERRED_OFFSET * deferred.row];
    const C slope = terms[DN_DEFERRED_SLOPE * deferred.row];
    const C mean = terms[DN_DEFERRED_MEAN * deferred.row];
    cuda_packet<T, N> sum;
    CUDA_UNROLL
    for (int e = 0; e < N; e++)
      cuda_store(&sum.at[e], cuda_deferred_add(cuda_load(before.at[e]), cuda_load(raw.at[e]),
                                               offset, slope, mean));
    cuda_packet_store(to + cuda_plane_offset<N>(to_planes, at), sum);
  }
}

template <typename T, int N>
__global__ void deferred_add_kernel(T *to, const T *from, const T *x,
                                    cuda_table<typename cuda_types<T>::computed> deferred,
                                    const cuda_planes to_planes, const cuda_planes from_planes,
                                    const cuda_planes x_planes, const cuda_plane_walk walk) {
  if (cuda_counts_near(walk.n_packets))
    add_deferred<T, N, uint32_t>(to, from, x, deferred, to_planes, from_planes, x_planes, walk);
  else
    add_deferred<T, N, int64_t>(to, from, x, deferred, to_planes, from_planes, x_planes, walk);
}

dn_status cuda_deferred_add_to(dn_tensor *to, const dn_tensor *from, const dn_tensor *x,
                               const dn_tensor *deferred) {
  const cuda_planes planes = cuda_planes_of(x);
  int packet = cuda_packet_dividing(planes.size, (int64_t)dn_dtype_size(x->dtype));
  if (!cuda_planes_fit(to, packet) || !cuda_planes_fit(from, packet) || !cuda_planes_fit(x, packet))
    packet = 1;
  const cuda_plane_walk walk = cuda_plane_walk_of(planes, packet);
  CUDA_FOR_REAL(
      x->dtype, T, typedef cuda_types<T>::computed C; CUDA_FOR_PACKETS(
          T, packet, N,
          CUDA_LAUNCH((deferred_add_kernel<T, N>), cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
                      cuda_stream(), (T *)dn_tensor_data(to), (const T *)dn_tensor_data(from),
                      (const T *)dn_tensor_data(x), cuda_table_of<C>(deferred), cuda_planes_of(to),
                      cuda_planes_of(from), planes, walk)));
  return DN_OK;
}

dn_status cuda_deferred_apply(dn_tensor *dx, const dn_tensor *x, const dn_tensor *deferred) {
  return cuda_deferred_add_to(dx, dx, x, deferred);
}
