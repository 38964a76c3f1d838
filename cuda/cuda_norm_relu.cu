#include "cuda_norm_relu.h"

/* Where the windows of a plane lie, and how many threads share one. */
typedef struct cuda_windows {
  int64_t height, width;  /* of the pooled plane */
  int64_t lines, columns; /* of a window */
  int64_t stride;         /* width of the input plane */
  cuda_divisor by_width, by_lines, by_columns, by_stride;
  int lanes;     /* 1, or a warp for large windows */
  bool is_plane; /* one window, which is the plane */
} cuda_windows;

static cuda_windows windows_of(const dn_tensor *pooled, const dn_tensor *x, int64_t lines,
                               int64_t columns) {
  const cuda_windows windows = {pooled->size[2],
                                pooled->size[3],
                                lines,
                                columns,
                                x->size[3],
                                cuda_divisor_of(pooled->size[3]),
                                cuda_divisor_of(lines),
                                cuda_divisor_of(columns),
                                cuda_divisor_of(x->size[3]),
                                lines * columns < 32 ? 1 : 32,
                                lines == x->size[2] && columns == x->size[3]};
  return windows;
}

/* ---- Forward ---- */

/* A thread takes packets of N elements, CUDA_AHEAD at once. */
template <typename T, int N, typename I, typename C>
__device__ static inline void rectify_packets(T *y, const T *x, const cuda_table<C> &norm,
                                              const cuda_planes &y_planes,
                                              const cuda_planes &x_planes,
                                              const cuda_plane_walk &walk) {
  const I n_packets = (I)walk.n_packets;
  CUDA_FOR_AHEAD(I, first, n_packets) {
    cuda_packet<T, N> ahead[CUDA_AHEAD];
    cuda_plane_place<I> at[CUDA_AHEAD];
    C scale[CUDA_AHEAD], shift[CUDA_AHEAD];
    CUDA_UNROLL
    for (int k = 0; k < CUDA_AHEAD; k++) {
      if (first + k * blockDim.x >= n_packets) continue;
      at[k] = cuda_plane_place_of<I>(walk, first + k * blockDim.x);
      scale[k] = norm.data[DN_NORM_SCALE * norm.row + at[k].c];
      shift[k] = norm.data[DN_NORM_SHIFT * norm.row + at[k].c];
      ahead[k] = cuda_packet_load<N>(x + cuda_plane_offset<N>(x_planes, at[k]));
    }
    CUDA_UNROLL
    for (int k = 0; k < CUDA_AHEAD; k++) {
      if (first + k * blockDim.x >= n_packets) continue;
      CUDA_UNROLL
      for (int e = 0; e < N; e++) {
        const C value = cuda_norm_apply(scale[k], cuda_load(ahead[k].at[e]), shift[k]);
        cuda_store(&ahead[k].at[e], cuda_norm_rectify(value));
      }
      cuda_packet_store(y + cuda_plane_offset<N>(y_planes, at[k]), ahead[k]);
    }
  }
}

template <typename T, int N>
__global__ void norm_relu_forward_kernel(T *y, const T *x,
                                         cuda_table<typename cuda_types<T>::computed> norm,
                                         const cuda_planes y_planes, const cuda_planes x_planes,
                                         const cuda_plane_walk walk) {
  if (cuda_counts_near(walk.n_packets))
    rectify_packets<T, N, uint32_t>(y, x, norm, y_planes, x_planes, walk);
  else
    rectify_packets<T, N, int64_t>(y, x, norm, y_planes, x_planes, walk);
}

/* Windows of two columns: a thread reads packets of N elements, one below the other, and makes N / 2 means. */
template <typename T, int N, typename I, typename C>
__device__ static inline void pool_pairs(T *y, const T *x, const cuda_table<C> &norm,
                                         const cuda_planes &y_planes, const cuda_planes &x_planes,
                                         const cuda_plane_walk &walk, const cuda_windows &w) {
  enum { M = N / 2 };
  CUDA_FOR(i, walk.n_packets) {
    const cuda_plane_place<I> at = cuda_plane_place_of<I>(walk, (I)i);
    const C scale = norm.data[DN_NORM_SCALE * norm.row + at.c];
    const C shift = norm.data[DN_NORM_SHIFT * norm.row + at.c];
    I p, q;
    cuda_divide(at.packet * M, w.by_width, &p, &q);
    const T *from =
        x + at.n * x_planes.stride_n + at.c * x_planes.stride_c + p * w.lines * w.stride + 2 * q;
    C sum[M] = {};
    for (int64_t line = 0; line < w.lines; line++, from += w.stride) {
      const cuda_packet<T, N> raw = cuda_packet_load<N>(from);
      CUDA_UNROLL
      for (int e = 0; e < N; e++)
        sum[e / 2] += cuda_norm_rectify(cuda_norm_apply(scale, (C)cuda_load(raw.at[e]), shift));
    }
    cuda_packet<T, M> mean;
    CUDA_UNROLL
    for (int m = 0; m < M; m++) cuda_store(&mean.at[m], sum[m] / (C)(w.lines * 2));
    cuda_packet_store(y + cuda_plane_offset<M>(y_planes, at), mean);
  }
}

template <typename T, int N>
__global__ void norm_relu_pool_pairs_kernel(T *y, const T *x,
                                            cuda_table<typename cuda_types<T>::computed> norm,
                                            const cuda_planes y_planes, const cuda_planes x_planes,
                                            const cuda_plane_walk walk, const cuda_windows w) {
  if (cuda_counts_near(walk.n_packets * N / 2))
    pool_pairs<T, N, uint32_t>(y, x, norm, y_planes, x_planes, walk, w);
  else
    pool_pairs<T, N, int64_t>(y, x, norm, y_planes, x_planes, walk, w);
}

enum { PLANE_LANES = 8 };

/*
** Windows that are whole planes: PLANE_LANES neighbours take packets of N elements of one, and a warp of its
** lanes stays together behind the last plane, too.
*/
template <typename T, int N, bool in_one, typename I, typename C>
__device__ static inline void pool_planes(T *y, const T *x, const cuda_table<C> &norm,
                                          const cuda_planes &y_planes, const cuda_planes &x_planes,
                                          const cuda_plane_walk &walk) {
  const int64_t n_lanes = (walk.n_packets * PLANE_LANES + CUDA_WARP - 1) / CUDA_WARP * CUDA_WARP;
  CUDA_FOR(i, n_lanes) {
    const bool is_own = i / PLANE_LANES < walk.n_packets;
    const cuda_plane_place<I> at = cuda_plane_place_of<I>(walk, is_own ? (I)(i / PLANE_LANES) : 0);
    const C scale = norm.data[DN_NORM_SCALE * norm.row + at.c];
    const C shift = norm.data[DN_NORM_SHIFT * norm.row + at.c];
    const T *const from = x + at.n * x_planes.stride_n + at.c * x_planes.stride_c;
    C sum = 0;
    for (int64_t p = i % PLANE_LANES * N; is_own && p < x_planes.size; p += PLANE_LANES * N) {
      const cuda_packet<T, N> raw = cuda_packet_load<N, in_one>(from + p);
      CUDA_UNROLL
      for (int e = 0; e < N; e++)
        sum += cuda_norm_rectify(cuda_norm_apply(scale, (C)cuda_load(raw.at[e]), shift));
    }
    for (int distance = PLANE_LANES / 2; distance > 0; distance /= 2)
      sum += __shfl_xor_sync(0xFFFFFFFFu, sum, distance);
    if (is_own && i % PLANE_LANES == 0)
      cuda_store(&y[cuda_plane_offset<1>(y_planes, at)], sum / (C)x_planes.size);
  }
}

template <typename T, int N, bool in_one>
__global__ void norm_relu_pool_planes_kernel(T *y, const T *x,
                                             cuda_table<typename cuda_types<T>::computed> norm,
                                             const cuda_planes y_planes, const cuda_planes x_planes,
                                             const cuda_plane_walk walk) {
  if (cuda_counts_near(x_planes.n * x_planes.c * x_planes.size))
    pool_planes<T, N, in_one, uint32_t>(y, x, norm, y_planes, x_planes, walk);
  else
    pool_planes<T, N, in_one, int64_t>(y, x, norm, y_planes, x_planes, walk);
}

/* Mean of a window that begins at x, shared by the lanes. */
template <typename I, typename T, typename C>
__device__ static inline C window_mean(const T *x, const cuda_windows &w, int lane, C scale,
                                       C shift) {
  const I n_values = (I)(w.lines * w.columns);
  C sum = 0;
  for (I i = lane; i < n_values; i += w.lanes) {
    I line, column;
    cuda_divide(i, w.by_columns, &line, &column);
    const C raw = cuda_load(x[line * w.stride + column]);
    sum += cuda_norm_rectify(cuda_norm_apply(scale, raw, shift));
  }
  if (w.lanes > 1) sum = cuda_warp_reduce(sum, cuda_add());
  return sum / (C)(w.lines * w.columns);
}

/* A thread, or a warp, takes windows i, i + threads, ...; a warp stays together. */
template <typename I, typename T, typename C>
__device__ static inline void pool_windows(T *y, const T *x, const cuda_table<C> &norm,
                                           const cuda_planes &y_planes, const cuda_planes &x_planes,
                                           const cuda_plane_walk &walk, const cuda_windows &w) {
  CUDA_FOR(i, walk.n_packets * w.lanes) {
    const I window = (I)(w.lanes == 1 ? i : i / CUDA_WARP);
    const int lane = w.lanes == 1 ? 0 : (int)(threadIdx.x % CUDA_WARP);
    const cuda_plane_place<I> at = cuda_plane_place_of<I>(walk, window);
    const C scale = norm.data[DN_NORM_SCALE * norm.row + at.c];
    const C shift = norm.data[DN_NORM_SHIFT * norm.row + at.c];
    I p, q;
    cuda_divide(at.packet, w.by_width, &p, &q);
    const T *from = x + at.n * x_planes.stride_n + at.c * x_planes.stride_c +
                    p * w.lines * w.stride + q * w.columns;
    const C value = window_mean<I>(from, w, lane, scale, shift);
    if (lane == 0) cuda_store(&y[cuda_plane_offset<1>(y_planes, at)], value);
  }
}

template <typename T>
__global__ void norm_relu_pool_kernel(T *y, const T *x,
                                      cuda_table<typename cuda_types<T>::computed> norm,
                                      const cuda_planes y_planes, const cuda_planes x_planes,
                                      const cuda_plane_walk walk, const cuda_windows w) {
  if (cuda_counts_near(x_planes.n * x_planes.c * x_planes.size))
    pool_windows<uint32_t>(y, x, norm, y_planes, x_planes, walk, w);
  else
    pool_windows<int64_t>(y, x, norm, y_planes, x_planes, walk, w);
}

template <typename T>
static dn_status rectify(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm) {
  typedef typename cuda_types<T>::computed C;
  const cuda_planes planes = cuda_planes_of(x);
  int packet = cuda_packet_dividing(planes.size, sizeof(T));
  if (!cuda_planes_fit(y, packet) || !cuda_planes_fit(x, packet)) packet = 1;
  const cuda_plane_walk walk = cuda_plane_walk_of(planes, packet);
  const cuda_pace pace = cuda_pace_of(walk.n_packets);
  CUDA_FOR_PACKETS(T, packet, N,
                   CUDA_LAUNCH((norm_relu_forward_kernel<T, N>), pace.blocks, pace.threads, 0,
                               cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
                               cuda_table_of<C>(norm), cuda_planes_of(y), planes, walk));
  return DN_OK;
}

template <typename T, int N>
static dn_status pool_in_pairs(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                               const cuda_windows &windows) {
  typedef typename cuda_types<T>::computed C;
  const cuda_plane_walk walk = cuda_plane_walk_of(cuda_planes_of(y), N / 2);
  CUDA_LAUNCH((norm_relu_pool_pairs_kernel<T, N>), cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
              cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
              cuda_table_of<C>(norm), cuda_planes_of(y), cuda_planes_of(x), walk, windows);
  return DN_OK;
}

template <typename T, int N, bool in_one>
static dn_status pool_whole(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm) {
  typedef typename cuda_types<T>::computed C;
  const cuda_plane_walk walk = cuda_plane_walk_of(cuda_planes_of(y), 1);
  CUDA_LAUNCH((norm_relu_pool_planes_kernel<T, N, in_one>),
              cuda_blocks(walk.n_packets * PLANE_LANES), CUDA_THREADS, 0, cuda_stream(),
              (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), cuda_table_of<C>(norm),
              cuda_planes_of(y), cuda_planes_of(x), walk);
  return DN_OK;
}

template <typename T>
static dn_status pool(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                      const cuda_windows &windows) {
  typedef typename cuda_types<T>::computed C;
  enum { FEW = sizeof(T) == 2 ? 4 : 2 };
  if (windows.is_plane) {
    const int whole = cuda_packet_dividing(cuda_planes_of(x).size, sizeof(T));
    CUDA_FOR_PACKETS(T, whole, N,
                     return cuda_planes_fit(x, N) ? pool_whole<T, N, true>(y, x, norm)
                                                  : pool_whole<T, N, N == 1>(y, x, norm));
  }
  const int packet = cuda_packet_dividing(x->size[3], sizeof(T));
  if (packet > 1 && windows.columns == 2 && 2 * windows.width == windows.stride &&
      cuda_planes_fit(x, packet) && cuda_planes_fit(y, packet / 2)) {
    if (packet == (int)cuda_packet_of<T>::MOST)
      return pool_in_pairs<T, cuda_packet_of<T>::MOST>(y, x, norm, windows);
    return pool_in_pairs<T, FEW>(y, x, norm, windows);
  }
  const cuda_plane_walk walk = cuda_plane_walk_of(cuda_planes_of(y), 1);
  CUDA_LAUNCH((norm_relu_pool_kernel<T>), cuda_blocks(walk.n_packets * windows.lanes), CUDA_THREADS,
              0, cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
              cuda_table_of<C>(norm), cuda_planes_of(y), cuda_planes_of(x), walk, windows);
  return DN_OK;
}

dn_status cuda_norm_relu_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                 int64_t window_h, int64_t window_w) {
  const bool is_plain = window_h == 1 && window_w == 1;
  const cuda_windows windows = windows_of(y, x, window_h, window_w);
  CUDA_FOR_REAL(x->dtype, T,
                return is_plain ? rectify<T>(y, x, norm) : pool<T>(y, x, norm, windows));
  return DN_OK;
}

dn_status cuda_norm_relu_pool_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                      int64_t window_h, int64_t window_w) {
  return cuda_norm_relu_forward(y, x, norm, window_h, window_w);
}

/* ---- Backward ---- */

/*
** The pooled gradient's share of each of N elements from place p of a plane on; 0 where no window is. They
** lie in one line.
*/
template <int N, typename I, typename T, typename C>
__device__ static inline void spread(C *slope, const T *dy, I p, const cuda_windows &w, C share) {
  if (w.is_plane) {
    CUDA_UNROLL
    for (int e = 0; e < N; e++) slope[e] = cuda_load(dy[0]) * share;
    return;
  }
  I line, column, rest;
  cuda_divide(p, w.by_stride, &line, &column);
  cuda_divide(line, w.by_lines, &line, &rest);
  CUDA_UNROLL
  for (int e = 0; e < N; e++) {
    I q;
    cuda_divide(column + e, w.by_columns, &q, &rest);
    slope[e] =
        line < (I)w.height && q < (I)w.width ? cuda_load(dy[line * w.width + q]) * share : (C)0;
  }
}

enum { BOTH = 2 }; /* packets that a thread of the backward reads before it uses the first */

/* Where a backward reads and writes. */
template <typename T>
struct backward_tensors {
  T *dx;
  const T *dy, *x;
  cuda_planes dx_planes, dy_planes, x_planes;
  cuda_table<typename cuda_types<T>::computed> norm;
  cuda_windows windows;
  double *sums;
  int64_t first_pair, n_pairs;
  bool accumulate;
};

/* A block takes a segment of a channel, a thread packets of N elements of it. pools: windows are not 1x1. */
template <int N, bool in_one, bool pools, typename I, typename T>
__device__ static inline void unrectify_segment(const backward_tensors<T> &job,
                                                const cuda_channel_walk &walk, double *shared) {
  typedef typename cuda_types<T>::computed C;
  const cuda_segment<I> own = cuda_segment_of<N, I>(walk);
  const C mean = job.norm.data[DN_NORM_MEAN * job.norm.row + own.c];
  const C scale = job.norm.data[DN_NORM_SCALE * job.norm.row + own.c];
  const C shift = job.norm.data[DN_NORM_SHIFT * job.norm.row + own.c];
  const C share = 1 / (C)(job.windows.lines * job.windows.columns);
  T *const to = job.dx + own.c * job.dx_planes.stride_c;
  const T *const from = job.x + own.c * job.x_planes.stride_c;
  const T *const gradient = job.dy + own.c * job.dy_planes.stride_c;
  C sum = 0, products = 0;
  for (I i = own.first + threadIdx.x; i < own.end; i += BOTH * blockDim.x) {
    cuda_packet<T, N> raw[BOTH], before[BOTH] = {};
    C slope[BOTH][N];
    I n[BOTH], p[BOTH];
    CUDA_UNROLL
    for (int k = 0; k < BOTH; k++) {
      if (i + k * blockDim.x >= own.end) continue;
      cuda_channel_place<N>(walk, i + k * blockDim.x, &n[k], &p[k]);
      raw[k] = cuda_packet_load<N, in_one>(from + n[k] * job.x_planes.stride_n + p[k]);
      if (job.accumulate)
        before[k] = cuda_packet_load<N, in_one>(to + n[k] * job.dx_planes.stride_n + p[k]);
      const T *const slopes = gradient + n[k] * job.dy_planes.stride_n;
      if constexpr (pools) {
        spread<N>(slope[k], slopes, p[k], job.windows, share);
      } else {
        const cuda_packet<T, N> plain = cuda_packet_load<N, in_one>(slopes + p[k]);
        CUDA_UNROLL
        for (int e = 0; e < N; e++) slope[k][e] = cuda_load(plain.at[e]);
      }
    }
    CUDA_UNROLL
    for (int k = 0; k < BOTH; k++) {
      if (i + k * blockDim.x >= own.end) continue;
      cuda_packet<T, N> result;
      CUDA_UNROLL
      for (int e = 0; e < N; e++) {
        const C value = cuda_load(raw[k].at[e]);
        const C dz = cuda_norm_apply(scale, value, shift) > 0 ? slope[k][e] : (C)0;
        sum += dz;
        products += dz * (value - mean);
        cuda_store(&result.at[e], cuda_load(before[k].at[e]) + scale * dz);
      }
      cuda_packet_store<in_one>(to + n[k] * job.dx_planes.stride_n + p[k], result);
    }
  }
  cuda_pair_store(job.sums + 2 * (own.c * job.n_pairs + job.first_pair + own.segment), sum,
                  products, shared);
}

template <typename T, int N, bool in_one, bool pools>
__global__ void norm_relu_backward_kernel(const backward_tensors<T> job,
                                          const cuda_channel_walk walk) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  if (cuda_counts_near(walk.n_packets * N))
    unrectify_segment<N, in_one, pools, uint32_t>(job, walk, shared);
  else
    unrectify_segment<N, in_one, pools, int64_t>(job, walk, shared);
}

/* A warp per channel. */
template <typename T>
__global__ void norm_relu_backward_join_kernel(const cuda_norm_outputs<T> to, const double *sums,
                                               int64_t n_channels, int64_t n_pairs) {
  for (int64_t c = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / CUDA_WARP; c < n_channels;
       c += (int64_t)gridDim.x * blockDim.x / CUDA_WARP) {
    double sum, products;
    cuda_pairs_join(sums + 2 * c * n_pairs, n_pairs, &sum, &products);
    if (threadIdx.x % CUDA_WARP != 0) continue;
    cuda_norm_end_beta(to, c, sum);
    cuda_norm_end_gamma(to, c, products);
  }
}

/* The tensors and numbers of a backward, for the launch in every type. */
typedef struct backward {
  dn_tensor *dx;
  double *sums;
  int64_t first_pair, n_pairs;
  const dn_tensor *dy, *x, *norm;
  cuda_windows windows;
  bool pools, accumulate;
} backward;

template <typename T, int N, bool in_one, bool pools>
static dn_status launch_backward(const backward &job) {
  typedef typename cuda_types<T>::computed C;
  const cuda_planes planes = cuda_planes_of(job.x);
  const backward_tensors<T> tensors = {(T *)dn_tensor_data(job.dx),
                                       (const T *)dn_tensor_data(job.dy),
                                       (const T *)dn_tensor_data(job.x),
                                       cuda_planes_of(job.dx),
                                       cuda_planes_of(job.dy),
                                       planes,
                                       cuda_table_of<C>(job.norm),
                                       job.windows,
                                       job.sums,
                                       job.first_pair,
                                       job.n_pairs,
                                       job.accumulate};
  CUDA_LAUNCH((norm_relu_backward_kernel<T, N, in_one, pools>),
              (unsigned)(planes.c * cuda_segments(planes)), CUDA_THREADS, 0, cuda_stream(), tensors,
              cuda_channel_walk_of(planes, N));
  return DN_OK;
}

/* Of windows, a packet's elements lie in one line. */
template <typename T>
static dn_status run_backward(const backward &job) {
  const int64_t run = job.pools ? job.x->size[3] : cuda_planes_of(job.x).size;
  const int packet = cuda_packet_dividing(run, sizeof(T));
  const bool fit = cuda_planes_fit(job.dx, packet) && cuda_planes_fit(job.x, packet) &&
                   (job.pools || cuda_planes_fit(job.dy, packet));
  CUDA_FOR_PACKETS(
      T, packet, N,
      if (job.pools) {
        if (fit) return launch_backward<T, N, true, true>(job);
        return launch_backward<T, N, N == 1, true>(job);
      } if (fit) return launch_backward<T, N, true, false>(job);
      return launch_backward<T, N, N == 1, false>(job));
}

dn_status cuda_norm_relu_backward(dn_tensor *dx, double *sums, int64_t first_pair, int64_t n_pairs,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                  int64_t window_h, int64_t window_w, bool accumulate) {
  const bool pools = window_h > 1 || window_w > 1;
  const backward job = {dx,    sums,      first_pair, n_pairs,
                        dy,    x,         norm,       windows_of(dy, x, window_h, window_w),
                        pools, accumulate};
  CUDA_FOR_REAL(x->dtype, T, return run_backward<T>(job));
  return DN_OK;
}

dn_status cuda_norm_relu_backward_join(const cuda_norm_gradient &gradient, const double *sums,
                                       int64_t n_pairs) {
  const int64_t n_channels = gradient.norm->size[1];
  CUDA_FOR_COMPUTE(gradient.norm->dtype, T,
                   CUDA_LAUNCH((norm_relu_backward_join_kernel<T>),
                               cuda_blocks(n_channels * CUDA_WARP), CUDA_THREADS, 0, cuda_stream(),
                               cuda_norm_outputs_of<T>(gradient), sums, n_channels, n_pairs));
  return DN_OK;
}

dn_status cuda_norm_relu_pool_backward(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                                       const dn_tensor *x, const dn_tensor *norm, int64_t window_h,
                                       int64_t window_w, bool accumulate, double scale,
                                       dn_tensor *dgamma, dn_tensor *dbeta,
                                       dn_tensor *dx_deferred) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t n_pairs = cuda_segments(planes);
  void *sums;
  DN_TRY(cuda_scratch(2 * planes.c * n_pairs * (int64_t)sizeof(double), &sums));
  DN_TRY(cuda_norm_relu_backward(dx, (double *)sums, 0, n_pairs, dy, x, norm, window_h, window_w,
                                 accumulate));
  const cuda_norm_gradient gradient =
      cuda_norm_gradient_of(dnorm, x, norm, accumulate, scale, dgamma, dbeta, dx_deferred);
  return cuda_norm_relu_backward_join(gradient, (const double *)sums, n_pairs);
}
