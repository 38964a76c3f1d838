/*
** General matrix products of matrices of any strides that the front door lets pass: a unit stride along
** the columns is row-major, along the rows the transpose of one.
*/
#include "cuda_cublas.h"
#include "cuda_dtype.h"
#include "cuda_index.h"

/* A side of size 1 may carry any stride, so the choice goes by the other side where there is one. */
static cuda_matrix matrix_of(const dn_tensor *x) {
  const int64_t rows = x->size[0], columns = x->size[1];
  const bool is_row_major =
      (columns == 1 || x->stride[1] == 1) && (rows == 1 || x->stride[0] >= columns);
  const int64_t ld =
      is_row_major ? (rows == 1 ? columns : x->stride[0]) : (columns == 1 ? rows : x->stride[1]);
  const cuda_matrix matrix = {dn_tensor_data(x), ld > 0 ? ld : 1, 0, !is_row_major};
  return matrix;
}

template <typename T, typename C>
__global__ void gemm_scale_kernel(T *c, C beta, const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[1];
    cuda_offsets<1>(index, i, offset);
    cuda_store(&c[offset[0]], beta == 0 ? (C)0 : beta * cuda_load(c[offset[0]]));
  }
}

/* c = beta c: what is left of a product without inner dimension. */
static dn_status scale(dn_tensor *c, double beta) {
  const cuda_index index = cuda_index_of(1, c);
  CUDA_FOR_REAL(c->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((gemm_scale_kernel<T, C>), cuda_blocks(index.n_elements), CUDA_THREADS,
                            0, cuda_stream(), (T *)dn_tensor_data(c), (C)beta, index));
  return DN_OK;
}

dn_status cuda_gemm(dn_tensor *c, const dn_tensor *a, const dn_tensor *b, double alpha,
                    double beta) {
  void *workspace;
  DN_TRY(cuda_scratch(cuda_cublas_workspace(), &workspace));
  if (a->size[1] == 0) return scale(c, beta);
  cuda_product product;
  memset(&product, 0, sizeof product);
  product.dtype = product.out_dtype = c->dtype;
  product.depth = a->size[1];
  product.n_products = 1;
  product.alpha = alpha;
  product.beta = beta;
  product.c = matrix_of(c);
  if (!product.c.is_transposed) {
    product.rows = c->size[0];
    product.columns = c->size[1];
    product.a = matrix_of(a);
    product.b = matrix_of(b);
    return cuda_cublas_product(&product, workspace);
  }
  /* c' = b' a' */
  product.rows = c->size[1];
  product.columns = c->size[0];
  product.a = matrix_of(b);
  product.b = matrix_of(a);
  product.a.is_transposed = !product.a.is_transposed;
  product.b.is_transposed = !product.b.is_transposed;
  product.c.is_transposed = false;
  return cuda_cublas_product(&product, workspace);
}
