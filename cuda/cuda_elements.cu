/*
** Arithmetic on elements: unary, binary with a tensor or a number, y = a + scale b, and comparisons.
** The formulas are those of dn_element.h, in the type in which the dtype is computed.
*/
#include "cuda_map.h"
#include "cuda_number.h"

/* ---- The formulas by type ---- */

CUDA_INLINE float unary_one(int kind, float x) { return dn_unary_float(kind, x); }
CUDA_INLINE double unary_one(int kind, double x) { return dn_unary_double(kind, x); }
CUDA_INLINE int64_t unary_one(int kind, int64_t x) { return dn_unary_long(kind, x); }

CUDA_INLINE float binary_one(int kind, float a, float b) { return dn_binary_float(kind, a, b); }
CUDA_INLINE double binary_one(int kind, double a, double b) { return dn_binary_double(kind, a, b); }
CUDA_INLINE int64_t binary_one(int kind, int64_t a, int64_t b) {
  return dn_binary_long(kind, a, b);
}

CUDA_INLINE float add_scaled_one(float a, float scale, float b) { return a + scale * b; }
CUDA_INLINE double add_scaled_one(double a, double scale, double b) { return a + scale * b; }
CUDA_INLINE int64_t add_scaled_one(int64_t a, int64_t scale, int64_t b) {
  return dn_add_long(a, dn_mul_long(scale, b));
}

CUDA_INLINE int compare_one(int kind, float a, float b) { return dn_compare_float(kind, a, b); }
CUDA_INLINE int compare_one(int kind, double a, double b) { return dn_compare_double(kind, a, b); }
CUDA_INLINE int compare_one(int kind, int64_t a, int64_t b) { return dn_compare_long(kind, a, b); }

/* ---- What is done with elements; T is the stored type, C the computed one ---- */

template <typename T>
struct unary_map {
  int kind;
  __device__ void operator()(T *y, T x) const { cuda_store(y, unary_one(kind, cuda_load(x))); }
};

template <typename T>
struct binary_map {
  int kind;
  __device__ void operator()(T *y, T a, T b) const {
    cuda_store(y, binary_one(kind, cuda_load(a), cuda_load(b)));
  }
};

template <typename T, typename C>
struct binary_scalar_map {
  int kind;
  C value;
  const double *at; /* a number in memory goes before the value */
  __device__ void operator()(T *y, T a) const {
    cuda_store(y, binary_one(kind, cuda_load(a), cuda_number_of(value, at)));
  }
};

template <typename T, typename C>
struct add_scaled_map {
  C value;
  const double *at; /* as above */
  __device__ void operator()(T *y, T a, T b) const {
    cuda_store(y, add_scaled_one(cuda_load(a), cuda_number_of(value, at), cuda_load(b)));
  }
};

template <typename T>
struct compare_map {
  int kind;
  __device__ void operator()(uint8_t *y, T a, T b) const {
    *y = (uint8_t)compare_one(kind, cuda_load(a), cuda_load(b));
  }
};

template <typename T, typename C>
struct compare_scalar_map {
  int kind;
  C b;
  __device__ void operator()(uint8_t *y, T a) const {
    *y = (uint8_t)compare_one(kind, cuda_load(a), b);
  }
};

CUDA_MAP1(unary)
CUDA_MAP2(binary)
CUDA_MAP1(binary_scalar)
CUDA_MAP2(add_scaled)
CUDA_MAP2(compare)
CUDA_MAP1(compare_scalar)

/* long and byte, element by element; a zero divisor is reported, and the quotient is 0. */
template <typename T>
__global__ void divide_kernel(T *y, const T *a, const T *b, const cuda_reporter reporter,
                              const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[3];
    cuda_offsets<3>(index, i, offset);
    const int64_t divisor = cuda_load(b[offset[2]]);
    if (divisor == 0) cuda_fault_report(reporter, i, 0);
    const int64_t quotient = divisor == 0 ? 0 : dn_div_long(cuda_load(a[offset[1]]), divisor);
    cuda_store(&y[offset[0]], quotient);
  }
}

/* ---- Operations ---- */

/* A number joins a float, half or bfloat16 tensor as a float, a long or byte one as an int64. */
static void join(double number, float *joined) { *joined = (float)number; }
static void join(double number, double *joined) { *joined = number; }
static void join(double number, int64_t *joined) { *joined = dn_long_from_double(number); }

dn_status cuda_unary(dn_tensor *y, const dn_tensor *x, dn_unary_kind kind) {
  CUDA_FOR_ANY(y->dtype, T, const unary_map<T> map = {(int)kind};
               return unary_each<T, T>(y, x, map));
  return DN_OK;
}

static dn_status divide_whole(dn_tensor *y, const dn_tensor *a, const dn_tensor *b) {
  const cuda_index index = cuda_index_of(3, y, a, b);
  const cuda_reporter reporter =
      cuda_fault_reporter(CUDA_FAULT_ZERO_DIVISOR, DN_OP_binary, 3, (int64_t)b->dtype);
  CUDA_FOR_WHOLE(
      y->dtype, T,
      CUDA_MAP_LAUNCH((divide_kernel<T>), index, (T *)dn_tensor_data(y),
                      (const T *)dn_tensor_data(a), (const T *)dn_tensor_data(b), reporter));
  return DN_OK;
}

dn_status cuda_binary(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_binary_kind kind) {
  if (kind == DN_BINARY_DIV && !dn_dtype_is_real(y->dtype)) return divide_whole(y, a, b);
  CUDA_FOR_ANY(y->dtype, T, const binary_map<T> map = {(int)kind};
               return binary_each<T, T>(y, a, b, map));
  return DN_OK;
}

dn_status cuda_binary_scalar(dn_tensor *y, const dn_tensor *a, dn_number given,
                             dn_binary_kind kind) {
  const double b = given.value;
  if (kind == DN_BINARY_DIV && !dn_dtype_is_real(a->dtype) && dn_long_from_double(b) == 0)
    return dn_error_argument(3, "b is %g; %s division has no result for 0", b,
                             dn_dtype_name(a->dtype));
  CUDA_FOR_ANY(y->dtype, T, typedef cuda_types<T>::computed C; C number; join(b, &number);
               const binary_scalar_map<T, C> map = {(int)kind, number, cuda_number_at(given)};
               return binary_scalar_each<T, T>(y, a, map));
  return DN_OK;
}

dn_status cuda_add_scaled(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_number scale) {
  CUDA_FOR_ANY(y->dtype, T, typedef cuda_types<T>::computed C; add_scaled_map<T, C> map;
               join(scale.value, &map.value); map.at = cuda_number_at(scale);
               return add_scaled_each<T, T>(y, a, b, map));
  return DN_OK;
}

dn_status cuda_compare(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_compare_kind kind) {
  CUDA_FOR_ANY(a->dtype, T, const compare_map<T> map = {(int)kind};
               return compare_each<uint8_t, T>(y, a, b, map));
  return DN_OK;
}

static dn_status compare_whole(dn_tensor *y, const dn_tensor *a, double b, dn_compare_kind kind) {
  int64_t number = 0;
  dn_compare_whole(&kind, b, &number);
  CUDA_FOR_WHOLE(a->dtype, T, const compare_scalar_map<T, int64_t> map = {(int)kind, number};
                 return compare_scalar_each<uint8_t, T>(y, a, map));
  return DN_OK;
}

dn_status cuda_compare_scalar(dn_tensor *y, const dn_tensor *a, double b, dn_compare_kind kind) {
  if (!dn_dtype_is_real(a->dtype)) return compare_whole(y, a, b, kind);
  CUDA_FOR_REAL(a->dtype, T, typedef cuda_types<T>::computed C;
                const C number = cuda_load(cuda_convert<T>(b));
                const compare_scalar_map<T, C> map = {(int)kind, number};
                return compare_scalar_each<uint8_t, T>(y, a, map));
  return DN_OK;
}
