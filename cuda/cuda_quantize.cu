#include "cuda_quantize.h"

#include "cuda_dtype.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_quantize.h"
}

/* Parts of the search for a scale, and the fewest elements worth one. The scale stands behind them. */
static const int64_t MOST_PARTS = 256, PART = 1024;

/* dn_quantize.h's formulas by the type of their numbers. */
#define FORMULAS(real)                                                                  \
  CUDA_INLINE real tanh_of(real x) { return dn_quantize_##real##_tanh(x); }             \
  CUDA_INLINE real larger(real a, real b) { return dn_quantize_##real##_larger(a, b); } \
  CUDA_INLINE real code_of(real t, real scale, real last) {                             \
    return dn_quantize_##real##_code(t, scale, last);                                   \
  }                                                                                     \
  CUDA_INLINE real value_of(real code, real scale, real last) {                         \
    return dn_quantize_##real##_value(code, scale, last);                               \
  }                                                                                     \
  CUDA_INLINE real slope_of(real dvalue, real t, real scale) {                          \
    return dn_quantize_##real##_slope(dvalue, t, scale);                                \
  }
FORMULAS(float)
FORMULAS(double)

struct join_larger {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return larger(a, b);
  }
};

/* A block takes one of gridDim.x parts, which are `part` elements long. */
template <typename T>
__global__ void quantize_parts_kernel(T *parts, const T *x, int64_t n, int64_t part) {
  CUDA_SHARED(T, shared, CUDA_MOST_WARPS);
  const int64_t begin = blockIdx.x * part;
  T most = 0;
  for (int64_t i = begin + threadIdx.x; i < begin + part && i < n; i += blockDim.x)
    most = larger(most, tanh_of(x[i]));
  most = cuda_block_reduce(most, (T)0, shared, join_larger());
  if (threadIdx.x == 0) parts[blockIdx.x] = most;
}

/* One block joins the parts. */
template <typename T>
__global__ void quantize_scale_kernel(T *scale, const T *parts, int64_t n_parts) {
  CUDA_SHARED(T, shared, CUDA_MOST_WARPS);
  T most = 0;
  for (int64_t i = threadIdx.x; i < n_parts; i += blockDim.x) most = larger(most, parts[i]);
  most = cuda_block_reduce(most, (T)0, shared, join_larger());
  if (threadIdx.x == 0) *scale = most;
}

template <typename T>
__global__ void quantize_values_kernel(T *value, const T *x, const T *scale, T last, int64_t n) {
  CUDA_FOR(i, n) value[i] = value_of(code_of(tanh_of(x[i]), *scale, last), *scale, last);
}

/* NaN, of which the scale tells, gives a code of 0. */
template <typename T>
__global__ void quantize_codes_kernel(int64_t *codes, const T *x, const T *scale, T last,
                                      int64_t n) {
  CUDA_FOR(i, n) {
    const T code = code_of(tanh_of(x[i]), *scale, last);
    codes[i] = code == code ? (int64_t)code : 0;
  }
}

template <typename T>
__global__ void dequantize_kernel(T *y, const int64_t *codes, const T *scale, T last, int64_t n) {
  CUDA_FOR(i, n) y[i] = value_of((T)codes[i], *scale, last);
}

template <typename T>
__global__ void quantize_pull_kernel(T *dx, const T *dvalue, const T *x, const T *scale,
                                     int64_t n) {
  CUDA_FOR(i, n) dx[i] += slope_of(dvalue[i], tanh_of(x[i]), *scale);
}

template <typename T>
__global__ void quantize_add_kernel(T *dx, const T *dvalue, int64_t n) {
  CUDA_FOR(i, n) dx[i] += dvalue[i];
}

int64_t cuda_quantize_search_bytes(dn_dtype dtype) {
  return (MOST_PARTS + 1) * (int64_t)(dtype == DN_FLOAT ? sizeof(float) : sizeof(double));
}

template <typename T>
static dn_status find_scale(T *scale, T *parts, const T *x, int64_t n) {
  const int64_t enough = (n + PART - 1) / PART, n_parts = enough < MOST_PARTS ? enough : MOST_PARTS;
  const int64_t part = (n + n_parts - 1) / n_parts;
  CUDA_LAUNCH((quantize_parts_kernel<T>), (unsigned)n_parts, cuda_block_threads(part), 0,
              cuda_stream(), parts, x, n, part);
  CUDA_LAUNCH((quantize_scale_kernel<T>), 1, cuda_block_threads(n_parts), 0, cuda_stream(), scale,
              (const T *)parts, n_parts);
  return DN_OK;
}

dn_status cuda_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *x,
                               int64_t bits, void *search) {
  const int64_t last = dn_quantize_last(bits);
  CUDA_FOR_COMPUTE(dtype, T, T *const parts = (T *)search; T *const scale = parts + MOST_PARTS;
                   DN_TRY(find_scale<T>(scale, parts, (const T *)x, count)); CUDA_LAUNCH(
                       (quantize_values_kernel<T>), cuda_blocks(count), CUDA_THREADS, 0,
                       cuda_stream(), (T *)value, (const T *)x, (const T *)scale, (T)last, count));
  return DN_OK;
}

dn_status cuda_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue,
                             const void *x, int64_t bits, void *search) {
  if (!dn_quantize_is(bits)) {
    CUDA_FOR_COMPUTE(dtype, T,
                     CUDA_LAUNCH((quantize_add_kernel<T>), cuda_blocks(count), CUDA_THREADS, 0,
                                 cuda_stream(), (T *)dx, (const T *)dvalue, count));
    return DN_OK;
  }
  CUDA_FOR_COMPUTE(
      dtype, T, T *const parts = (T *)search; T *const scale = parts + MOST_PARTS;
      DN_TRY(find_scale<T>(scale, parts, (const T *)x, count));
      CUDA_LAUNCH((quantize_pull_kernel<T>), cuda_blocks(count), CUDA_THREADS, 0, cuda_stream(),
                  (T *)dx, (const T *)dvalue, (const T *)x, (const T *)scale, count));
  return DN_OK;
}

dn_status cuda_quantize(dn_tensor *codes, dn_tensor *scale, const dn_tensor *x, int64_t bits) {
  const int64_t n = dn_tensor_count(x), last = dn_quantize_last(bits);
  void *search;
  DN_TRY(cuda_scratch(cuda_quantize_search_bytes(x->dtype), &search));
  CUDA_FOR_COMPUTE(x->dtype, T, T *const most = (T *)dn_tensor_data(scale);
                   DN_TRY(find_scale<T>(most, (T *)search, (const T *)dn_tensor_data(x), n));
                   CUDA_LAUNCH((quantize_codes_kernel<T>), cuda_blocks(n), CUDA_THREADS, 0,
                               cuda_stream(), (int64_t *)dn_tensor_data(codes),
                               (const T *)dn_tensor_data(x), (const T *)most, (T)last, n));
  return DN_OK;
}

dn_status cuda_dequantize(dn_tensor *y, const dn_tensor *codes, const dn_tensor *scale,
                          int64_t bits) {
  const int64_t n = dn_tensor_count(y), last = dn_quantize_last(bits);
  CUDA_FOR_COMPUTE(
      y->dtype, T,
      CUDA_LAUNCH((dequantize_kernel<T>), cuda_blocks(n), CUDA_THREADS, 0, cuda_stream(),
                  (T *)dn_tensor_data(y), (const int64_t *)dn_tensor_data(codes),
                  (const T *)dn_tensor_data(scale), (T)last, n));
  return DN_OK;
}
