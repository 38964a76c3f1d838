#include "cuda_norm_relu.h"

/* Where the windows of a plane lie, and how many threads share one. */
typedef struct cuda_windows {
  int64_t height, width;  /* of the pooled plane */
  int64_t lines, columns; /* of a window */
  int64_t stride;         /* width of the input plane */
  int lanes;              /* 1, or a warp for large windows */
} cuda_windows;

static cuda_windows windows_of(const dn_tensor *pooled, const dn_tensor *x, int64_t lines,
                               int64_t columns) {
  const cuda_windows windows = {pooled->size[2], pooled->size[3], lines,
                                columns,         x->size[3],      lines * columns < 32 ? 1 : 32};
  return windows;
}

/* Mean of a window that begins at x, shared by the lanes. */
template <typename T, typename C>
__device__ static inline C window_mean(const T *x, const cuda_windows &w, int lane, C scale,
                                       C shift) {
  C sum = 0;
  for (int64_t i = lane; i < w.lines * w.columns; i += w.lanes) {
    int64_t line, column;
    cuda_divide(i, w.columns, &line, &column);
    const C raw = cuda_load(x[line * w.stride + column]);
    sum += cuda_norm_rectify(cuda_norm_apply(scale, raw, shift));
  }
  if (w.lanes > 1) sum = cuda_warp_reduce(sum, cuda_add());
  return sum / (C)(w.lines * w.columns);
}

/* A thread, or a warp, takes windows i, i + threads, ...; a warp stays together. */
template <typename T>
__global__ void norm_relu_forward_kernel(T *y, const T *x,
                                         cuda_table<typename cuda_types<T>::computed> norm,
                                         const cuda_planes y_planes, const cuda_planes x_planes,
                                         const cuda_windows w) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, y_planes.n * y_planes.c * y_planes.size * w.lanes) {
    const int64_t window = w.lanes == 1 ? i : i / CUDA_WARP;
    const int lane = w.lanes == 1 ? 0 : (int)(i % CUDA_WARP);
    int64_t plane, at, n, c;
    cuda_divide(window, y_planes.size, &plane, &at);
    cuda_divide(plane, y_planes.c, &n, &c);
    const C scale = norm.data[DN_NORM_SCALE * norm.row + c];
    const C shift = norm.data[DN_NORM_SHIFT * norm.row + c];
    const T *from = x + n * x_planes.stride_n + c * x_planes.stride_c;
    C value;
    if (w.lines * w.columns == 1) {
      value = cuda_norm_rectify(cuda_norm_apply(scale, cuda_load(from[at]), shift));
    } else {
      int64_t p, q;
      cuda_divide(at, w.width, &p, &q);
      value = window_mean(from + p * w.lines * w.stride + q * w.columns, w, lane, scale, shift);
    }
    if (lane == 0) cuda_store(&y[n * y_planes.stride_n + c * y_planes.stride_c + at], value);
  }
}

dn_status cuda_norm_relu_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                 int64_t window_h, int64_t window_w) {
  const cuda_windows windows = windows_of(y, x, window_h, window_w);
  CUDA_FOR_REAL(x->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((norm_relu_forward_kernel<T>),
                            cuda_blocks(dn_tensor_count(y) * windows.lanes), CUDA_THREADS, 0,
                            cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
                            cuda_table_of<C>(norm), cuda_planes_of(y), cuda_planes_of(x), windows));
  return DN_OK;
}

dn_status cuda_norm_relu_pool_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *norm,
                                      int64_t window_h, int64_t window_w) {
  return cuda_norm_relu_forward(y, x, norm, window_h, window_w);
}

/* ---- Backward ---- */

/* The pooled gradient's share of element p of a plane; 0 where no window is. */
template <typename T, typename C>
__device__ static inline C spread(const T *dy, int64_t p, const cuda_windows &w, C share) {
  if (w.lines * w.columns == 1) return cuda_load(dy[p]);
  int64_t line, column;
  cuda_divide(p, w.stride, &line, &column);
  cuda_divide(line, w.lines, &line, &p);
  cuda_divide(column, w.columns, &column, &p);
  return line < w.height && column < w.width ? cuda_load(dy[line * w.width + column]) * share : 0;
}

/* A block takes a segment of a channel. */
template <typename T>
__global__ void norm_relu_backward_kernel(T *dx, double *sums, const T *dy, const T *x,
                                          cuda_table<typename cuda_types<T>::computed> norm,
                                          const cuda_planes dx_planes, const cuda_planes dy_planes,
                                          const cuda_planes x_planes, int64_t n_segments,
                                          int64_t first_pair, int64_t n_pairs,
                                          const cuda_windows windows, bool accumulate) {
  typedef typename cuda_types<T>::computed C;
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  int64_t c, segment;
  cuda_divide(blockIdx.x, n_segments, &c, &segment);
  const C mean = norm.data[DN_NORM_MEAN * norm.row + c];
  const C scale = norm.data[DN_NORM_SCALE * norm.row + c];
  const C shift = norm.data[DN_NORM_SHIFT * norm.row + c];
  const C share = 1 / (C)(windows.lines * windows.columns);
  C sum = 0, products = 0;
  for (cuda_walk w = cuda_walk_begin(x_planes, segment); w.i < w.end; cuda_walk_on(&w)) {
    const C raw = cuda_load(x[w.n * x_planes.stride_n + c * x_planes.stride_c + w.p]);
    C dz = 0;
    if (cuda_norm_apply(scale, raw, shift) > 0)
      dz = spread(dy + w.n * dy_planes.stride_n + c * dy_planes.stride_c, w.p, windows, share);
    sum += dz;
    products += dz * (raw - mean);
    T *to = &dx[w.n * dx_planes.stride_n + c * dx_planes.stride_c + w.p];
    cuda_store(to, (accumulate ? cuda_load(*to) : 0) + scale * dz);
  }
  cuda_pair_store(sums + 2 * (c * n_pairs + first_pair + segment), sum, products, shared);
}

/* A warp per channel; dgamma's sum lacks its inv_std until here. */
template <typename T>
__global__ void norm_relu_backward_join_kernel(cuda_table<T> dnorm, const double *sums,
                                               cuda_table<T> norm, int64_t n_channels,
                                               int64_t n_pairs) {
  for (int64_t c = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / CUDA_WARP; c < n_channels;
       c += (int64_t)gridDim.x * blockDim.x / CUDA_WARP) {
    double sum, products;
    cuda_pairs_join(sums + 2 * c * n_pairs, n_pairs, &sum, &products);
    if (threadIdx.x % CUDA_WARP != 0) continue;
    const double inv_std = norm.data[DN_NORM_INV_STD * norm.row + c];
    cuda_round(&dnorm.data[DN_DNORM_BETA * dnorm.row + c], sum);
    cuda_round(&dnorm.data[DN_DNORM_GAMMA * dnorm.row + c], products * inv_std);
  }
}

dn_status cuda_norm_relu_backward(dn_tensor *dx, double *sums, int64_t first_pair, int64_t n_pairs,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *norm,
                                  int64_t window_h, int64_t window_w, bool accumulate) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t n_segments = cuda_segments(planes);
  const cuda_windows windows = windows_of(dy, x, window_h, window_w);
  CUDA_FOR_REAL(x->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((norm_relu_backward_kernel<T>), (unsigned)(planes.c * n_segments),
                            CUDA_THREADS, 0, cuda_stream(), (T *)dn_tensor_data(dx), sums,
                            (const T *)dn_tensor_data(dy), (const T *)dn_tensor_data(x),
                            cuda_table_of<C>(norm), cuda_planes_of(dx), cuda_planes_of(dy), planes,
                            n_segments, first_pair, n_pairs, windows, accumulate));
  return DN_OK;
}

dn_status cuda_norm_relu_backward_join(dn_tensor *dnorm, const double *sums, int64_t n_pairs,
                                       const dn_tensor *norm) {
  const int64_t n_channels = norm->size[1];
  CUDA_FOR_COMPUTE(
      norm->dtype, T,
      CUDA_LAUNCH((norm_relu_backward_join_kernel<T>), cuda_blocks(n_channels * CUDA_WARP),
                  CUDA_THREADS, 0, cuda_stream(), cuda_table_of<T>(dnorm), sums,
                  cuda_table_of<T>(norm), n_channels, n_pairs));
  return DN_OK;
}

dn_status cuda_norm_relu_pool_backward(dn_tensor *dx, dn_tensor *dnorm, const dn_tensor *dy,
                                       const dn_tensor *x, const dn_tensor *norm, int64_t window_h,
                                       int64_t window_w, bool accumulate) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t n_pairs = cuda_segments(planes);
  void *sums;
  DN_TRY(cuda_scratch(2 * planes.c * n_pairs * (int64_t)sizeof(double), &sums));
  DN_TRY(cuda_norm_relu_backward(dx, (double *)sums, 0, n_pairs, dy, x, norm, window_h, window_w,
                                 accumulate));
  return cuda_norm_relu_backward_join(dnorm, (const double *)sums, n_pairs, norm);
}
