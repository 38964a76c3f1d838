/*
** Products of row-major matrices without gaps, n_products of them side by side: c MxN = a b, a MxK and
** b KxN; a or b is stored transposed (KxM, NxK) where it says so. Returns DN_EDEVICE, DN_ENOMEM.
*/
#ifndef CUDA_MATRIX_PRODUCT_H
#define CUDA_MATRIX_PRODUCT_H

#include "cuda_cublas.h"

static inline dn_status cuda_matrix_products(dn_dtype dtype, int64_t n_products, int64_t m,
                                             int64_t n, int64_t k, void *c, const void *a,
                                             bool a_is_transposed, const void *b,
                                             bool b_is_transposed, void *workspace) {
  cuda_product product;
  memset(&product, 0, sizeof product);
  const cuda_matrix left = {a, a_is_transposed ? m : k, m * k, a_is_transposed};
  const cuda_matrix right = {b, b_is_transposed ? k : n, k * n, b_is_transposed};
  const cuda_matrix out = {c, n, m * n, false};
  product.dtype = product.out_dtype = dtype;
  product.rows = m;
  product.columns = n;
  product.depth = k;
  product.n_products = n_products;
  product.alpha = 1;
  product.a = left;
  product.b = right;
  product.c = out;
  return cuda_cublas_product(&product, workspace);
}

#endif
