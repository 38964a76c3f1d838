#include "cuda_parameters.h"

#include "cuda_dtype.h"
#include "cuda_reduce.h"

/* ---- Kernels ---- */

template <typename T>
__global__ void weight_narrow_kernel(T *to, const float *weight, int64_t n) {
  CUDA_FOR(i, n) cuda_store(&to[i], weight[i]);
}

/* Element i, row-major, of images with gaps. */
template <typename T>
__device__ static T *element(const cuda_images &x, int64_t i, int64_t *channel) {
  const int64_t plane = x.h * x.w, row = i / plane;
  *channel = row % x.c;
  return (T *)x.data + row / x.c * x.image_stride + *channel * x.channel_stride + i % plane;
}

template <typename T>
__global__ void images_widen_kernel(float *to, const cuda_images x, int64_t n) {
  CUDA_FOR(i, n) {
    int64_t channel;
    to[i] = cuda_load(*element<T>(x, i, &channel));
  }
}

template <typename T, typename C>
__global__ void bias_add_kernel(const cuda_images y, const C *bias, int64_t n) {
  CUDA_FOR(i, n) {
    int64_t channel;
    T *const at = element<T>(y, i, &channel);
    cuda_store(at, cuda_load(*at) + bias[channel]);
  }
}

/* A block sums up a channel. */
template <typename T, typename C>
__global__ void bias_backward_kernel(C *dbias, const cuda_images dy, double scale) {
  CUDA_SHARED(double, sums, CUDA_MOST_WARPS);
  const int64_t plane = dy.h * dy.w, channel = blockIdx.x;
  const T *const first = (const T *)dy.data + channel * dy.channel_stride;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < dy.n * plane; i += blockDim.x)
    sum += (double)cuda_load(first[i / plane * dy.image_stride + i % plane]);
  sum = cuda_block_reduce(sum, 0.0, sums, cuda_add());
  if (threadIdx.x == 0) dbias[channel] = (C)((double)dbias[channel] + scale * sum);
}

/* ---- Their launches ---- */

dn_status cuda_weight_narrow(void *to, dn_dtype dtype, const float *weight, int64_t n) {
  if (dtype == DN_HALF)
    CUDA_LAUNCH((weight_narrow_kernel<cuda_half>), cuda_blocks(n), CUDA_THREADS, 0, cuda_stream(),
                (cuda_half *)to, weight, n);
  else
    CUDA_LAUNCH((weight_narrow_kernel<cuda_bfloat16>), cuda_blocks(n), CUDA_THREADS, 0,
                cuda_stream(), (cuda_bfloat16 *)to, weight, n);
  return DN_OK;
}

static int64_t count(const cuda_images *x) { return x->n * x->c * x->h * x->w; }

dn_status cuda_images_widen(float *to, const cuda_images *x) {
  if (x->dtype == DN_HALF)
    CUDA_LAUNCH((images_widen_kernel<cuda_half>), cuda_blocks(count(x)), CUDA_THREADS, 0,
                cuda_stream(), to, *x, count(x));
  else
    CUDA_LAUNCH((images_widen_kernel<cuda_bfloat16>), cuda_blocks(count(x)), CUDA_THREADS, 0,
                cuda_stream(), to, *x, count(x));
  return DN_OK;
}

dn_status cuda_bias_add(const cuda_images *y, const void *bias) {
  CUDA_FOR_REAL(y->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((bias_add_kernel<T, C>), cuda_blocks(count(y)), CUDA_THREADS, 0,
                            cuda_stream(), *y, (const C *)bias, count(y)));
  return DN_OK;
}

dn_status cuda_bias_backward(void *dbias, const cuda_images *dy, double scale) {
  CUDA_FOR_REAL(dy->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((bias_backward_kernel<T, C>), (unsigned)dy->c, CUDA_THREADS, 0,
                            cuda_stream(), (C *)dbias, *dy, scale));
  return DN_OK;
}
