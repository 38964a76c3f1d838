/*
** Rectified linear units. The gradient needs no input: where the output is positive, the input was.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"

/* NaN stays. */
template <typename T>
__global__ void relu_forward_kernel(T *y, const T *x, const cuda_index index) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[2];
    cuda_offsets<2>(index, i, offset);
    const C value = cuda_load(x[offset[1]]);
    cuda_store(&y[offset[0]], value < 0 ? (C)0 : value);
  }
}

template <typename T>
__global__ void relu_backward_kernel(T *dx, const T *dy, const T *y, const cuda_index index) {
  typedef typename cuda_types<T>::computed C;
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[3];
    cuda_offsets<3>(index, i, offset);
    const C slope = cuda_load(dy[offset[1]]);
    cuda_store(&dx[offset[0]], cuda_load(y[offset[2]]) > 0 ? slope : (C)0);
  }
}

dn_status cuda_relu_forward(dn_tensor *y, const dn_tensor *x) {
  const cuda_index index = cuda_index_of(2, y, x);
  CUDA_FOR_REAL(
      y->dtype, T,
      CUDA_LAUNCH((relu_forward_kernel<T>), cuda_blocks(index.n_elements), CUDA_THREADS, 0,
                  cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), index));
  return DN_OK;
}

dn_status cuda_relu_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  const cuda_index index = cuda_index_of(3, dx, dy, y);
  CUDA_FOR_REAL(dx->dtype, T,
                CUDA_LAUNCH((relu_backward_kernel<T>), cuda_blocks(index.n_elements), CUDA_THREADS,
                            0, cuda_stream(), (T *)dn_tensor_data(dx),
                            (const T *)dn_tensor_data(dy), (const T *)dn_tensor_data(y), index));
  return DN_OK;
}
