/*
** Pooling over windows of a plane. A thread makes one element of the result, the gradients' too: it
** gathers what flows into its element, in the order of the outputs, so that nothing is added to by
** two threads and the sums are the same at every run.
*/
#include "cuda_packet.h"
#include "cuda_planes.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_pool2d.h"
}

typedef struct pooling {
  dn_pool_axis height, width;
  bool counts_padding;
  cuda_planes in, out;               /* of the image, or its gradient; and of what is pooled */
  cuda_plane_walk in_walk, out_walk; /* over their elements */
  cuda_divisor by_in_width, by_out_width;
} pooling;

static pooling pooling_of(const dn_tensor *x, const dn_tensor *y, dn_pool2d options) {
  const pooling pool = {dn_pool_height(x->size[2], y->size[2], options),
                        dn_pool_width(x->size[3], y->size[3], options),
                        options.count_padding,
                        cuda_planes_of(x),
                        cuda_planes_of(y),
                        cuda_plane_walk_of(cuda_planes_of(x), 1),
                        cuda_plane_walk_of(cuda_planes_of(y), 1),
                        cuda_divisor_of(x->size[3]),
                        cuda_divisor_of(y->size[3])};
  return pool;
}

/* Element i of all, row-major, is (line, column) of plane c of image n. */
typedef struct place {
  int64_t n, c, within, line, column;
} place;

/* Nearly always a few instructions in 32 bits (cuda_divisor.h). */
template <typename I>
__device__ static inline place place_by(I i, const cuda_plane_walk &walk,
                                        const cuda_divisor &by_columns) {
  const cuda_plane_place<I> at = cuda_plane_place_of<I>(walk, i);
  I line, column;
  cuda_divide(at.packet, by_columns, &line, &column);
  const place found = {at.n, at.c, at.packet, line, column};
  return found;
}

__device__ static inline place place_of(int64_t i, const cuda_plane_walk &walk,
                                        const cuda_divisor &by_columns) {
  return cuda_counts_near(walk.n_packets) ? place_by<uint32_t>((uint32_t)i, walk, by_columns)
                                          : place_by<int64_t>(i, walk, by_columns);
}

/* Where its plane begins. */
__device__ static inline int64_t plane_of(const cuda_planes &planes, const place &at) {
  return at.n * planes.stride_n + at.c * planes.stride_c;
}

__device__ static inline int64_t length(dn_pool_span span) { return span.end - span.begin; }

/* ---- Average ---- */

/* What the average at output (p, q) is divided by. */
__device__ static inline int64_t divisor(const pooling &pool, int64_t p, int64_t q) {
  const dn_pool_span lines = dn_pool_window(&pool.height, p);
  const dn_pool_span columns = dn_pool_window(&pool.width, q);
  if (pool.counts_padding) return length(lines) * length(columns);
  return length(dn_pool_inside(&pool.height, lines)) * length(dn_pool_inside(&pool.width, columns));
}

template <typename T>
__global__ void avg_pool2d_forward_kernel(T *y, const T *x, const pooling pool) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, pool.out.n * pool.out.c * pool.out.size) {
    const place at = place_of(i, pool.out_walk, pool.by_out_width);
    const T *const from = x + plane_of(pool.in, at);
    const dn_pool_span lines = dn_pool_inside(&pool.height, dn_pool_window(&pool.height, at.line));
    const dn_pool_span columns =
        dn_pool_inside(&pool.width, dn_pool_window(&pool.width, at.column));
    C sum = 0;
    for (int64_t h = lines.begin; h < lines.end; h++)
      for (int64_t w = columns.begin; w < columns.end; w++)
        sum += cuda_load(from[h * pool.width.n_in + w]);
    cuda_store(&y[plane_of(pool.out, at) + at.within], sum / (C)divisor(pool, at.line, at.column));
  }
}

template <typename T>
__global__ void avg_pool2d_backward_kernel(T *dx, const T *dy, const pooling pool) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, pool.in.n * pool.in.c * pool.in.size) {
    const place at = place_of(i, pool.in_walk, pool.by_in_width);
    const T *const from = dy + plane_of(pool.out, at);
    const dn_pool_span lines = dn_pool_seen_by(&pool.height, at.line);
    const dn_pool_span columns = dn_pool_seen_by(&pool.width, at.column);
    C sum = 0;
    for (int64_t p = lines.begin; p < lines.end; p++)
      for (int64_t q = columns.begin; q < columns.end; q++)
        sum += cuda_load(from[p * pool.width.n_out + q]) / (C)divisor(pool, p, q);
    cuda_store(&dx[plane_of(pool.in, at) + at.within], sum);
  }
}

dn_status cuda_avg_pool2d_forward(dn_tensor *y, const dn_tensor *x, dn_pool2d options) {
  const pooling pool = pooling_of(x, y, options);
  CUDA_FOR_REAL(
      y->dtype, T,
      CUDA_LAUNCH((avg_pool2d_forward_kernel<T>), cuda_blocks(dn_tensor_count(y)), CUDA_THREADS, 0,
                  cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), pool));
  return DN_OK;
}

dn_status cuda_avg_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, dn_pool2d options) {
  const pooling pool = pooling_of(dx, dy, options);
  CUDA_FOR_REAL(
      dx->dtype, T,
      CUDA_LAUNCH((avg_pool2d_backward_kernel<T>), cuda_blocks(dn_tensor_count(dx)), CUDA_THREADS,
                  0, cuda_stream(), (T *)dn_tensor_data(dx), (const T *)dn_tensor_data(dy), pool));
  return DN_OK;
}

/* ---- Maximum ---- */

/* The first of equals; NaN wins. */
template <typename T>
__global__ void max_pool2d_forward_kernel(T *y, int64_t *indices, const T *x, const pooling pool,
                                          const cuda_planes index_planes) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, pool.out.n * pool.out.c * pool.out.size) {
    const place at = place_of(i, pool.out_walk, pool.by_out_width);
    const T *const from = x + plane_of(pool.in, at);
    const dn_pool_span lines = dn_pool_inside(&pool.height, dn_pool_window(&pool.height, at.line));
    const dn_pool_span columns =
        dn_pool_inside(&pool.width, dn_pool_window(&pool.width, at.column));
    int64_t where = lines.begin * pool.width.n_in + columns.begin;
    C best = cuda_load(from[where]);
    for (int64_t h = lines.begin; h < lines.end; h++)
      for (int64_t w = columns.begin; w < columns.end; w++) {
        const C value = cuda_load(from[h * pool.width.n_in + w]);
        if (value > best || (value != value && best == best)) {
          best = value;
          where = h * pool.width.n_in + w;
        }
      }
    cuda_store(&y[plane_of(pool.out, at) + at.within], best);
    indices[plane_of(index_planes, at) + at.within] = where + 1;
  }
}

dn_status cuda_max_pool2d_forward(dn_tensor *y, dn_tensor *indices, const dn_tensor *x,
                                  dn_pool2d options) {
  const pooling pool = pooling_of(x, y, options);
  CUDA_FOR_REAL(
      y->dtype, T,
      CUDA_LAUNCH((max_pool2d_forward_kernel<T>), cuda_blocks(dn_tensor_count(y)), CUDA_THREADS, 0,
                  cuda_stream(), (T *)dn_tensor_data(y), (int64_t *)dn_tensor_data(indices),
                  (const T *)dn_tensor_data(x), pool, cuda_planes_of(indices)));
  return DN_OK;
}

/*
** The gradient is given positions and no windows, and positions can be any. So a first kernel notes
** for every line and every column of the input the first and the last line (column) of the output
** with a position there, over all planes: reach[0..n_places) the first ones, then the last ones,
** lines before columns. These are few where windows made the positions, and a second kernel looks
** through them for its element. Least and most are the same in whatever order they are found.
*/
typedef long long reach_place; /* a type that atomicMin takes */

/* Places that bytes of 0x7F make: beyond every output. */
static const int NO_FIRST = 0x7F, NO_LAST = 0xFF;

/*
** Most threads find nothing to move, and a look is cheaper than an atomic operation. It is volatile
** because others move the places meanwhile; an old value only makes an atomic operation that changes
** nothing.
*/
__device__ static inline void widen(reach_place *first, reach_place *last, int64_t place) {
  const volatile reach_place *const first_now = first, *const last_now = last;
  if (place < *first_now) atomicMin(first, (reach_place)place);
  if (place > *last_now) atomicMax(last, (reach_place)place);
}

__global__ void max_pool2d_reach_kernel(reach_place *reach, const int64_t *indices,
                                        const cuda_planes index_planes, const pooling pool,
                                        const cuda_reporter reporter) {
  const int64_t height = pool.height.n_in, width = pool.width.n_in;
  reach_place *const first = reach, *const last = reach + height + width;
  CUDA_FOR(i, index_planes.n * index_planes.c * index_planes.size) {
    const place at = place_of(i, pool.out_walk, pool.by_out_width);
    const int64_t position = indices[plane_of(index_planes, at) + at.within];
    if (position < 1 || position > pool.in.size) {
      cuda_fault_report(reporter, i, position);
      continue;
    }
    int64_t line, column;
    cuda_divide(position - 1, pool.by_in_width, &line, &column);
    widen(&first[line], &last[line], at.line);
    widen(&first[height + column], &last[height + column], at.column);
  }
}

template <typename T>
__global__ void max_pool2d_backward_kernel(T *dx, const T *dy, const int64_t *indices,
                                           const reach_place *reach, const pooling pool,
                                           const cuda_planes index_planes) {
  typedef typename cuda_types<T>::computed C;
  const int64_t height = pool.height.n_in, width = pool.width.n_in;
  const reach_place *const first = reach, *const last = reach + height + width;
  CUDA_FOR(i, pool.in.n * pool.in.c * pool.in.size) {
    const place at = place_of(i, pool.in_walk, pool.by_in_width);
    const T *const from = dy + plane_of(pool.out, at);
    const int64_t *const position = indices + plane_of(index_planes, at);
    const int64_t left = first[height + at.column], right = last[height + at.column];
    C sum = 0;
    for (int64_t p = first[at.line]; p <= last[at.line]; p++)
      for (int64_t q = left; q <= right; q++) {
        const int64_t out = p * pool.width.n_out + q;
        if (position[out] == at.within + 1) sum += cuda_load(from[out]);
      }
    cuda_store(&dx[plane_of(pool.in, at) + at.within], sum);
  }
}

dn_status cuda_max_pool2d_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *indices) {
  const dn_pool2d no_windows = {};
  const pooling pool = pooling_of(dx, dy, no_windows);
  const cuda_planes index_planes = cuda_planes_of(indices);
  const int64_t n_places = pool.height.n_in + pool.width.n_in;
  int64_t n_bytes = 0;
  cuda_scratch_place(&n_bytes, 2 * n_places, (int64_t)sizeof(reach_place));
  void *block;
  DN_TRY(cuda_scratch(n_bytes, &block));
  reach_place *const reach = (reach_place *)block;
  const size_t half = (size_t)n_places * sizeof(reach_place);
  CUDA_TRY(cudaMemsetAsync(reach, NO_FIRST, half, cuda_stream()));
  CUDA_TRY(cudaMemsetAsync(reach + n_places, NO_LAST, half, cuda_stream()));
  CUDA_LAUNCH(max_pool2d_reach_kernel, cuda_blocks(dn_tensor_count(indices)), CUDA_THREADS, 0,
              cuda_stream(), reach, (const int64_t *)dn_tensor_data(indices), index_planes, pool,
              cuda_fault_reporter(CUDA_FAULT_POSITION, DN_OP_max_pool2d_backward, 3, pool.in.size));
  CUDA_FOR_REAL(
      dx->dtype, T,
      CUDA_LAUNCH((max_pool2d_backward_kernel<T>), cuda_blocks(dn_tensor_count(dx)), CUDA_THREADS,
                  0, cuda_stream(), (T *)dn_tensor_data(dx), (const T *)dn_tensor_data(dy),
                  (const int64_t *)dn_tensor_data(indices), reach, pool, index_planes));
  return DN_OK;
}

/* ---- Global average ---- */

/*
** A warp takes a plane, a lane packets of N elements of it. Sums in double: there are few of them, and planes
** may be long.
*/
template <typename T, int N, bool in_one>
__global__ void global_avg_pool_forward_kernel(T *y, const T *x, const cuda_planes planes,
                                               const cuda_divisor by_channels) {
  typedef typename cuda_types<T>::computed C;
  const int lane = (int)threadIdx.x % CUDA_WARP;
  const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  const int64_t n_warps = (int64_t)gridDim.x * blockDim.x / CUDA_WARP;
  for (int64_t plane = thread / CUDA_WARP; plane < planes.n * planes.c; plane += n_warps) {
    int64_t n, c;
    cuda_divide(plane, by_channels, &n, &c);
    const T *const from = x + n * planes.stride_n + c * planes.stride_c;
    double sum = 0;
    for (int64_t i = lane * N; i < planes.size; i += CUDA_WARP * N) {
      const cuda_packet<T, N> packet = cuda_packet_load<N, in_one>(from + i);
      CUDA_UNROLL
      for (int e = 0; e < N; e++) sum += (double)cuda_load(packet.at[e]);
    }
    sum = cuda_warp_reduce(sum, cuda_add());
    if (lane == 0) cuda_store(&y[plane], (C)(sum / (double)planes.size));
  }
}

template <typename T, int N>
__global__ void global_avg_pool_backward_kernel(T *dx, const T *dy, const cuda_planes planes,
                                                const cuda_plane_walk walk) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, walk.n_packets) {
    const place at = place_of(i, walk, walk.size);
    cuda_packet<T, N> packet;
    const C share = cuda_load(dy[at.n * planes.c + at.c]) / (C)planes.size;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) cuda_store(&packet.at[e], share);
    cuda_packet_store(dx + plane_of(planes, at) + at.within * N, packet);
  }
}

template <typename T, int N, bool in_one>
static dn_status launch_global(dn_tensor *y, const dn_tensor *x) {
  const cuda_planes planes = cuda_planes_of(x);
  CUDA_LAUNCH((global_avg_pool_forward_kernel<T, N, in_one>),
              cuda_blocks(planes.n * planes.c * CUDA_WARP), CUDA_THREADS, 0, cuda_stream(),
              (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), planes,
              cuda_divisor_of(planes.c));
  return DN_OK;
}

dn_status cuda_global_avg_pool_forward(dn_tensor *y, const dn_tensor *x) {
  const int packet = cuda_packet_dividing(cuda_planes_of(x).size, (int64_t)dn_dtype_size(x->dtype));
  CUDA_FOR_REAL(x->dtype, T,
                CUDA_FOR_PACKETS(T, packet, N,
                                 return cuda_planes_fit(x, N) ? launch_global<T, N, true>(y, x)
                                                              : launch_global<T, N, N == 1>(y, x)));
  return DN_OK;
}

dn_status cuda_global_avg_pool_backward(dn_tensor *dx, const dn_tensor *dy) {
  const cuda_planes planes = cuda_planes_of(dx);
  int packet = cuda_packet_dividing(planes.size, (int64_t)dn_dtype_size(dx->dtype));
  if (!cuda_planes_fit(dx, packet)) packet = 1;
  const cuda_plane_walk walk = cuda_plane_walk_of(planes, packet);
  CUDA_FOR_REAL(dx->dtype, T,
                CUDA_FOR_PACKETS(T, packet, N,
                                 CUDA_LAUNCH((global_avg_pool_backward_kernel<T, N>),
                                             cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
                                             cuda_stream(), (T *)dn_tensor_data(dx),
                                             (const T *)dn_tensor_data(dy), planes, walk)));
  return DN_OK;
}
