#include "cuda_parameters.h"

#include "cuda_packet.h"
#include "cuda_planes.h"
#include "cuda_reduce.h"

/* ---- Kernels ---- */

/* A thread takes packets of N elements in turn; so do the others here. */
template <typename T, int N>
__global__ void weight_narrow_kernel(T *to, const float *weight, int64_t n_packets) {
  CUDA_ROLLED
  CUDA_FOR(i, n_packets) {
    const cuda_packet<float, N> wide = cuda_packet_load<N>(weight + i * N);
    cuda_packet<T, N> narrow;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) cuda_store(&narrow.at[e], wide.at[e]);
    cuda_packet_store(to + i * N, narrow);
  }
}

/* Where packet i of images with gaps begins; row-major over the packets. */
template <int N>
__device__ static inline int64_t packet_of(const cuda_planes &planes, const cuda_plane_walk &walk,
                                           int64_t i, int64_t *channel) {
  if (cuda_counts_near(walk.n_packets)) {
    const cuda_plane_place<uint32_t> at = cuda_plane_place_of<uint32_t>(walk, (uint32_t)i);
    *channel = at.c;
    return cuda_plane_offset<N>(planes, at);
  }
  const cuda_plane_place<int64_t> at = cuda_plane_place_of<int64_t>(walk, i);
  *channel = at.c;
  return cuda_plane_offset<N>(planes, at);
}

template <typename T, int N>
__global__ void images_widen_kernel(float *to, const T *x, const cuda_planes planes,
                                    const cuda_plane_walk walk) {
  CUDA_ROLLED
  CUDA_FOR(i, walk.n_packets) {
    int64_t channel;
    const cuda_packet<T, N> narrow =
        cuda_packet_load<N>(x + packet_of<N>(planes, walk, i, &channel));
    cuda_packet<float, N> wide;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) wide.at[e] = cuda_load(narrow.at[e]);
    cuda_packet_store(to + i * N, wide);
  }
}

template <typename T, int N, typename C>
__global__ void bias_add_kernel(T *y, const C *bias, const cuda_planes planes,
                                const cuda_plane_walk walk) {
  CUDA_ROLLED
  CUDA_FOR(i, walk.n_packets) {
    int64_t channel;
    T *const at = y + packet_of<N>(planes, walk, i, &channel);
    const C own = bias[channel];
    cuda_packet<T, N> packet = cuda_packet_load<N>(at);
    CUDA_UNROLL
    for (int e = 0; e < N; e++) cuda_store(&packet.at[e], cuda_load(packet.at[e]) + own);
    cuda_packet_store(at, packet);
  }
}

/* A block sums up a channel. */
template <typename T, typename C>
__global__ void bias_backward_kernel(C *dbias, const T *dy, const cuda_planes planes,
                                     const cuda_divisor by_plane, double scale) {
  CUDA_SHARED(double, sums, CUDA_MOST_WARPS);
  const int64_t channel = blockIdx.x, n_values = planes.n * planes.size;
  const T *const first = dy + channel * planes.stride_c;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n_values; i += blockDim.x) {
    int64_t n, p;
    cuda_divide(i, by_plane, &n, &p);
    sum += (double)cuda_load(first[n * planes.stride_n + p]);
  }
  sum = cuda_block_reduce(sum, 0.0, sums, cuda_add());
  if (threadIdx.x == 0) dbias[channel] = (C)((double)dbias[channel] + scale * sum);
}

/* ---- Their launches ---- */

static bool is_at(const void *address, int64_t n_bytes) {
  return (uintptr_t)address % (uintptr_t)n_bytes == 0;
}

template <typename T>
static dn_status narrow(T *to, const float *weight, int64_t n) {
  if (n % 4 == 0 && is_at(to, 8) && is_at(weight, 16))
    CUDA_LAUNCH((weight_narrow_kernel<T, 4>), cuda_blocks(n / 4), CUDA_THREADS, 0, cuda_stream(),
                to, weight, n / 4);
  else
    CUDA_LAUNCH((weight_narrow_kernel<T, 1>), cuda_blocks(n), CUDA_THREADS, 0, cuda_stream(), to,
                weight, n);
  return DN_OK;
}

dn_status cuda_weight_narrow(void *to, dn_dtype dtype, const float *weight, int64_t n) {
  return dtype == DN_HALF ? narrow((cuda_half *)to, weight, n)
                          : narrow((cuda_bfloat16 *)to, weight, n);
}

static cuda_planes planes_of(const cuda_images *x) {
  const cuda_planes planes = {x->n, x->c, x->h * x->w, x->image_stride, x->channel_stride};
  return planes;
}

template <typename T>
static dn_status widen(float *to, const cuda_images *x) {
  const cuda_planes planes = planes_of(x);
  const bool fits =
      planes.size % 4 == 0 && is_at(to, 16) && cuda_planes_fit(planes, x->data, 4, sizeof(T));
  const cuda_plane_walk walk = cuda_plane_walk_of(planes, fits ? 4 : 1);
  if (fits)
    CUDA_LAUNCH((images_widen_kernel<T, 4>), cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
                cuda_stream(), to, (const T *)x->data, planes, walk);
  else
    CUDA_LAUNCH((images_widen_kernel<T, 1>), cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
                cuda_stream(), to, (const T *)x->data, planes, walk);
  return DN_OK;
}

dn_status cuda_images_widen(float *to, const cuda_images *x) {
  return x->dtype == DN_HALF ? widen<cuda_half>(to, x) : widen<cuda_bfloat16>(to, x);
}

dn_status cuda_bias_add(const cuda_images *y, const void *bias) {
  const cuda_planes planes = planes_of(y);
  const int64_t size = (int64_t)dn_dtype_size(y->dtype);
  int packet = cuda_packet_dividing(planes.size, size);
  if (!cuda_planes_fit(planes, y->data, packet, size)) packet = 1;
  const cuda_plane_walk walk = cuda_plane_walk_of(planes, packet);
  CUDA_FOR_REAL(
      y->dtype, T, typedef cuda_types<T>::computed C; CUDA_FOR_PACKETS(
          T, packet, N,
          CUDA_LAUNCH((bias_add_kernel<T, N, C>), cuda_blocks(walk.n_packets), CUDA_THREADS, 0,
                      cuda_stream(), (T *)y->data, (const C *)bias, planes, walk)));
  return DN_OK;
}

dn_status cuda_bias_backward(void *dbias, const cuda_images *dy, double scale) {
  const cuda_planes planes = planes_of(dy);
  CUDA_FOR_REAL(dy->dtype, T, typedef cuda_types<T>::computed C; CUDA_LAUNCH(
                    (bias_backward_kernel<T, C>), (unsigned)dy->c, CUDA_THREADS, 0, cuda_stream(),
                    (C *)dbias, (const T *)dy->data, planes, cuda_divisor_of(planes.size), scale));
  return DN_OK;
}
