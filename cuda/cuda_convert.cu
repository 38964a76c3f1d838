/*
** Filling and copying: elements of one dtype move as plain bits, by their size; between dtypes they
** are converted by dn_copy's rules. A thread takes elements i, i + threads, ... of the walk.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"

/* statements with T as an unsigned type of the dtype's size. */
#define FOR_BITS(dtype, T, ...)               \
  switch (dn_dtype_size(dtype)) {             \
    CUDA_CASE(1, uint8_t, T, __VA_ARGS__);    \
    CUDA_CASE(2, uint16_t, T, __VA_ARGS__);   \
    CUDA_CASE(4, uint32_t, T, __VA_ARGS__);   \
    default:                                  \
      CUDA_CASE(8, uint64_t, T, __VA_ARGS__); \
  }

template <typename T>
__global__ void fill_kernel(T *y, T value, const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[1];
    cuda_offsets<1>(index, i, offset);
    y[offset[0]] = value;
  }
}

template <typename T>
__global__ void move_kernel(T *y, const T *x, const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[2];
    cuda_offsets<2>(index, i, offset);
    y[offset[0]] = x[offset[1]];
  }
}

template <typename To, typename From>
__global__ void convert_kernel(To *y, const From *x, const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[2];
    cuda_offsets<2>(index, i, offset);
    y[offset[0]] = cuda_convert<To>(x[offset[1]]);
  }
}

/* The bits of one element, in the low bytes. */
static uint64_t bits_of(dn_dtype dtype, double value) {
  uint64_t bits = 0;
  CUDA_FOR_ANY(dtype, T, const T element = cuda_convert<T>(value);
               memcpy(&bits, &element, sizeof element));
  return bits;
}

static dn_status fill_from(dn_tensor *y, const dn_tensor *at) {
  dn_tensor repeated = *y;
  repeated.storage = at->storage;
  repeated.dtype = at->dtype;
  repeated.offset = at->offset;
  for (int d = 0; d < y->n_dim; d++) repeated.stride[d] = 0;
  return cuda_copy(y, &repeated);
}

dn_status cuda_fill(dn_tensor *y, dn_number value) {
  if (value.at) return fill_from(y, value.at);
  const cuda_index index = cuda_index_of(1, y);
  const uint64_t bits = bits_of(y->dtype, value.value);
  FOR_BITS(y->dtype, T,
           CUDA_LAUNCH((fill_kernel<T>), cuda_blocks(index.n_elements), CUDA_THREADS, 0,
                       cuda_stream(), (T *)dn_tensor_data(y), (T)bits, index));
  return DN_OK;
}

static dn_status move(dn_tensor *y, const dn_tensor *x, const cuda_index &index) {
  FOR_BITS(y->dtype, T,
           CUDA_LAUNCH((move_kernel<T>), cuda_blocks(index.n_elements), CUDA_THREADS, 0,
                       cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), index));
  return DN_OK;
}

template <typename To>
static dn_status convert(dn_tensor *y, const dn_tensor *x, const cuda_index &index) {
  CUDA_FOR_ANY(
      x->dtype, From,
      CUDA_LAUNCH((convert_kernel<To, From>), cuda_blocks(index.n_elements), CUDA_THREADS, 0,
                  cuda_stream(), (To *)dn_tensor_data(y), (const From *)dn_tensor_data(x), index));
  return DN_OK;
}

dn_status cuda_copy(dn_tensor *y, const dn_tensor *x) {
  if (dn_tensor_is_same_view(y, x)) return DN_OK;
  const cuda_index index = cuda_index_of(2, y, x);
  if (y->dtype == x->dtype) return move(y, x, index);
  CUDA_FOR_ANY(y->dtype, To, return convert<To>(y, x, index));
  return DN_OK;
}
