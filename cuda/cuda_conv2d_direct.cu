#include "cuda_conv2d_direct.h"

#include "cuda_dtype.h"
#include "cuda_reduce.h"

/* Where an element lies: image, channel, line, column of the i-th, row-major. */
struct place {
  int64_t n, c, h, w;
};

__device__ static inline place place_of(const cuda_images &x, int64_t i) {
  place at;
  at.w = i % x.w;
  i /= x.w;
  at.h = i % x.h;
  i /= x.h;
  at.c = i % x.c;
  at.n = i / x.c;
  return at;
}

template <typename T>
__device__ static inline T *plane_of(const cuda_images &x, int64_t n, int64_t c) {
  return (T *)x.data + n * x.image_stride + c * x.channel_stride;
}

/* A thread makes elements i, i + threads, ... of y; the kernel's part outside of x adds nothing. */
template <typename T, typename C>
__global__ void conv2d_forward_kernel(const cuda_images y, const cuda_images x, const C *weight,
                                      const cuda_conv2d conv) {
  const int64_t depth = x.c / conv.options.groups, size = conv.r * conv.s;
  CUDA_FOR(i, y.n * y.c * y.h * y.w) {
    const place at = place_of(y, i);
    const int64_t first = at.c / (y.c / conv.options.groups) * depth;
    const int64_t top = at.h * conv.options.stride_h - conv.options.pad_h;
    const int64_t left = at.w * conv.options.stride_w - conv.options.pad_w;
    C sum = 0;
    for (int64_t c = 0; c < depth; c++) {
      const T *const plane = plane_of<T>(x, at.n, first + c);
      const C *const kernel = weight + (at.c * depth + c) * size;
      for (int64_t r = 0; r < conv.r; r++) {
        if (top + r < 0 || top + r >= x.h) continue;
        for (int64_t s = 0; s < conv.s; s++)
          if (left + s >= 0 && left + s < x.w)
            sum += kernel[r * conv.s + s] * cuda_load(plane[(top + r) * x.w + left + s]);
      }
    }
    cuda_store(plane_of<T>(y, at.n, at.c) + at.h * y.w + at.w, sum);
  }
}

/* The line of y that line `h` meets at `r` lines into the kernel, or -1. */
__device__ static inline int64_t met(int64_t h, int64_t pad, int64_t r, int64_t stride,
                                     int64_t n_lines) {
  const int64_t distance = h + pad - r;
  if (distance < 0 || distance % stride != 0) return -1;
  return distance / stride < n_lines ? distance / stride : -1;
}

template <typename T, typename C>
__global__ void conv2d_backward_data_kernel(const cuda_images dx, const cuda_images dy,
                                            const C *weight, const cuda_conv2d conv) {
  const int64_t depth = dx.c / conv.options.groups, width = dy.c / conv.options.groups;
  CUDA_FOR(i, dx.n * dx.c * dx.h * dx.w) {
    const place at = place_of(dx, i);
    const int64_t first = at.c / depth * width;
    C sum = 0;
    for (int64_t k = first; k < first + width; k++) {
      const T *const plane = plane_of<T>(dy, at.n, k);
      const C *const kernel = weight + (k * depth + at.c % depth) * conv.r * conv.s;
      for (int64_t r = 0; r < conv.r; r++) {
        const int64_t p = met(at.h, conv.options.pad_h, r, conv.options.stride_h, dy.h);
        if (p < 0) continue;
        for (int64_t s = 0; s < conv.s; s++) {
          const int64_t q = met(at.w, conv.options.pad_w, s, conv.options.stride_w, dy.w);
          if (q >= 0) sum += kernel[r * conv.s + s] * cuda_load(plane[p * dy.w + q]);
        }
      }
    }
    cuda_store(plane_of<T>(dx, at.n, at.c) + at.h * dx.w + at.w, sum);
  }
}

/* A block makes a number of dweight, and another one gridDim.x further on. */
template <typename T, typename C>
__global__ void conv2d_backward_weight_kernel(C *dweight, const cuda_images dy, const cuda_images x,
                                              const cuda_conv2d conv, double scale, int64_t n) {
  CUDA_SHARED(C, sums, CUDA_MOST_WARPS);
  const int64_t depth = x.c / conv.options.groups, width = dy.c / conv.options.groups;
  const int64_t plane = dy.h * dy.w;
  for (int64_t j = blockIdx.x; j < n; j += gridDim.x) {
    const int64_t s = j % conv.s, r = j / conv.s % conv.r;
    const int64_t c = j / (conv.s * conv.r) % depth, k = j / (conv.s * conv.r * depth);
    C sum = 0;
    for (int64_t i = threadIdx.x; i < dy.n * plane; i += blockDim.x) {
      const int64_t image = i / plane, p = i % plane / dy.w, q = i % dy.w;
      const int64_t h = p * conv.options.stride_h - conv.options.pad_h + r;
      const int64_t w = q * conv.options.stride_w - conv.options.pad_w + s;
      if (h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
      sum += cuda_load(plane_of<T>(dy, image, k)[p * dy.w + q]) *
             cuda_load(plane_of<T>(x, image, k / width * depth + c)[h * x.w + w]);
    }
    sum = cuda_block_reduce(sum, (C)0, sums, cuda_add());
    if (threadIdx.x == 0) dweight[j] += (C)scale * sum;
  }
}

/* ---- Their launches ---- */

static unsigned blocks_for(const cuda_images *x) { return cuda_blocks(x->n * x->c * x->h * x->w); }

dn_status cuda_conv2d_direct_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                     const cuda_conv2d *conv) {
  CUDA_FOR_REAL(y->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((conv2d_forward_kernel<T, C>), blocks_for(y), CUDA_THREADS, 0,
                            cuda_stream(), *y, *x, (const C *)weight, *conv));
  return DN_OK;
}

dn_status cuda_conv2d_direct_backward_data(const cuda_images *dx, const cuda_images *dy,
                                           const void *weight, const cuda_conv2d *conv) {
  CUDA_FOR_REAL(dx->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((conv2d_backward_data_kernel<T, C>), blocks_for(dx), CUDA_THREADS, 0,
                            cuda_stream(), *dx, *dy, (const C *)weight, *conv));
  return DN_OK;
}

dn_status cuda_conv2d_direct_backward_weight(void *dweight, const cuda_images *dy,
                                             const cuda_images *x, const cuda_conv2d *conv,
                                             double scale) {
  const int64_t n = dy->c * (x->c / conv->options.groups) * conv->r * conv->s;
  const unsigned blocks = (unsigned)(n < CUDA_MOST_BLOCKS ? n : CUDA_MOST_BLOCKS);
  CUDA_FOR_REAL(dy->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((conv2d_backward_weight_kernel<T, C>), blocks, CUDA_THREADS, 0,
                            cuda_stream(), (C *)dweight, *dy, *x, *conv, scale, n));
  return DN_OK;
}
