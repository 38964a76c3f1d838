/*
** Filling and copying: elements of one dtype move as plain bits, by their size; between dtypes they
** are converted by dn_copy's rules.
*/
#include "cuda_map.h"

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
struct fill_map {
  T value;
  __device__ void operator()(T *y) const { *y = value; }
};

template <typename T>
struct move_map {
  __device__ void operator()(T *y, T x) const { *y = x; }
};

template <typename To, typename From>
struct convert_map {
  __device__ void operator()(To *y, From x) const { *y = cuda_convert<To>(x); }
};

CUDA_MAP0(fill)
CUDA_MAP1(move)
CUDA_MAP1(convert)

/* The bits of one element, in the low bytes. */
static uint64_t bits_of(dn_dtype dtype, double value) {
  uint64_t bits = 0;
  CUDA_FOR_ANY(dtype, T, const T element = cuda_convert<T>(value);
               memcpy(&bits, &element, sizeof element));
  return bits;
}

/* The number in memory as a tensor of y's shape that has it everywhere, copied. */
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
  const uint64_t bits = bits_of(y->dtype, value.value);
  FOR_BITS(y->dtype, T, const fill_map<T> map = {(T)bits}; return fill_each<T>(y, map));
  return DN_OK;
}

static dn_status move(dn_tensor *y, const dn_tensor *x) {
  FOR_BITS(y->dtype, T, return move_each<T, T>(y, x, move_map<T>()));
  return DN_OK;
}

template <typename To>
static dn_status convert(dn_tensor *y, const dn_tensor *x) {
  CUDA_FOR_ANY(x->dtype, From, return convert_each<To, From>(y, x, convert_map<To, From>()));
  return DN_OK;
}

dn_status cuda_copy(dn_tensor *y, const dn_tensor *x) {
  if (dn_tensor_is_same_view(y, x)) return DN_OK;
  if (y->dtype == x->dtype) return move(y, x);
  CUDA_FOR_ANY(y->dtype, To, return convert<To>(y, x));
  return DN_OK;
}
