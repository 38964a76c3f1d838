/*
** How far vectors are from orthonormal, and the gradient: src/cpu/mlg/cpu_orthonormality.c, for all
** matrices at once.
*/
#include "cuda_dtype.h"
#include "cuda_matrix_product.h"
#include "cuda_reduce.h"

static const double LEAST_NORM = 1e-8; /* added to a norm */

/* n_matrices of n vectors each, which are their rows or columns; by value. */
typedef struct vectors {
  int64_t n_matrices, n, length;
  bool are_columns;
} vectors;

/* Where element i of vector v of matrix g lies in x. */
__device__ static inline int64_t place_of(const vectors &of, int64_t g, int64_t v, int64_t i) {
  return g * of.n * of.length + (of.are_columns ? i * of.n + v : v * of.length + i);
}

/* A thread takes a vector: y = it as a row, over its norm. */
template <typename T>
__global__ void orthonormality_take_kernel(T *y, double *norms, const T *x, const vectors of) {
  CUDA_FOR(vector, of.n_matrices * of.n) {
    const int64_t g = vector / of.n, v = vector % of.n;
    double squares = 0;
    for (int64_t i = 0; of.are_columns && i < of.length; i++) {
      const double value = (double)x[place_of(of, g, v, i)];
      squares += value * value;
    }
    const double norm = of.are_columns ? sqrt(squares) + LEAST_NORM : 1;
    norms[vector] = norm;
    for (int64_t i = 0; i < of.length; i++)
      y[vector * of.length + i] = (T)((double)x[place_of(of, g, v, i)] / norm);
  }
}

/* Takes I off the products; one block sums the squares and adds their mean to the loss. */
template <typename T>
__global__ void orthonormality_loss_kernel(T *loss, T *gram, const vectors of) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  const int64_t n_products = of.n_matrices * of.n * of.n;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n_products; i += blockDim.x) {
    const bool is_diagonal = i / of.n % of.n == i % of.n;
    const double off = (double)gram[i] - (is_diagonal ? 1 : 0);
    gram[i] = (T)off;
    sum += off * off;
  }
  sum = cuda_block_reduce(sum, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) *loss = (T)((double)*loss + sum / (double)n_products);
}

template <typename T>
__global__ void orthonormality_add_kernel(T *dx, const T *slope, const double *norms, double scale,
                                          const vectors of) {
  CUDA_FOR(element, of.n_matrices * of.n * of.length) {
    const int64_t vector = element / of.length, i = element % of.length;
    const int64_t at = place_of(of, vector / of.n, vector % of.n, i);
    dx[at] = (T)((double)dx[at] + (double)slope[element] / norms[vector] * scale);
  }
}

template <typename T>
static dn_status run(dn_tensor *loss, dn_tensor *dx, const dn_tensor *x, const vectors &of,
                     double scale) {
  const int64_t n_vectors = of.n_matrices * of.n, n_elements = n_vectors * of.length;
  int64_t n_bytes = 0;
  cuda_scratch_place(&n_bytes, cuda_cublas_workspace(), 1);
  const int64_t y_begin = cuda_scratch_place(&n_bytes, n_elements, sizeof(T));
  const int64_t slope_begin = cuda_scratch_place(&n_bytes, n_elements, sizeof(T));
  const int64_t gram_begin = cuda_scratch_place(&n_bytes, n_vectors * of.n, sizeof(T));
  const int64_t norms_begin = cuda_scratch_place(&n_bytes, n_vectors, sizeof(double));
  void *workspace;
  DN_TRY(cuda_scratch(n_bytes, &workspace));
  char *const block = (char *)workspace;
  T *const y = (T *)(block + y_begin), *const slope = (T *)(block + slope_begin);
  T *const gram = (T *)(block + gram_begin);
  double *const norms = (double *)(block + norms_begin);
  CUDA_LAUNCH((orthonormality_take_kernel<T>), cuda_blocks(n_vectors), CUDA_THREADS, 0,
              cuda_stream(), y, norms, (const T *)dn_tensor_data(x), of);
  DN_TRY(cuda_matrix_products(x->dtype, of.n_matrices, of.n, of.n, of.length, gram, y, false, y,
                              true, workspace));
  CUDA_LAUNCH((orthonormality_loss_kernel<T>), 1, CUDA_THREADS, 0, cuda_stream(),
              (T *)dn_tensor_data(loss), gram, of);
  DN_TRY(cuda_matrix_products(x->dtype, of.n_matrices, of.n, of.length, of.n, slope, gram, false, y,
                              false, workspace));
  const double share = scale * 4 / (double)(n_vectors * of.n);
  CUDA_LAUNCH((orthonormality_add_kernel<T>), cuda_blocks(n_elements), CUDA_THREADS, 0,
              cuda_stream(), (T *)dn_tensor_data(dx), (const T *)slope, (const double *)norms,
              share, of);
  return DN_OK;
}

dn_status cuda_orthonormality(dn_tensor *loss, dn_tensor *dx, const dn_tensor *x, bool by_columns,
                              double scale) {
  const vectors of = {x->size[0], x->size[by_columns ? 2 : 1], x->size[by_columns ? 1 : 2],
                      by_columns};
  CUDA_FOR_COMPUTE(x->dtype, T, return run<T>(loss, dx, x, of, scale));
  return DN_OK;
}
