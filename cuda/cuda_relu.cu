/*
** Rectified linear units. The gradient needs no input: where the output is positive, the input was.
*/
#include "cuda_map.h"

/* NaN stays. */
template <typename T>
struct relu_forward_map {
  __device__ void operator()(T *y, T x) const {
    typedef typename cuda_types<T>::computed C;
    const C value = cuda_load(x);
    cuda_store(y, value < 0 ? (C)0 : value);
  }
};

template <typename T>
struct relu_backward_map {
  __device__ void operator()(T *dx, T dy, T y) const {
    typedef typename cuda_types<T>::computed C;
    cuda_store(dx, cuda_load(y) > 0 ? cuda_load(dy) : (C)0);
  }
};

CUDA_MAP1(relu_forward)
CUDA_MAP2(relu_backward)

dn_status cuda_relu_forward(dn_tensor *y, const dn_tensor *x) {
  CUDA_FOR_REAL(y->dtype, T, return relu_forward_each<T, T>(y, x, relu_forward_map<T>()));
  return DN_OK;
}

dn_status cuda_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  CUDA_FOR_REAL(dx->dtype, T, return relu_backward_each<T, T>(dx, dy, y, relu_backward_map<T>()));
  return DN_OK;
}
