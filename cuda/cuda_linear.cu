/*
** A fully connected layer is a matrix product; what is left is the bias, and a weight that is rounded
** beside 16-bit activations.
*/
#include "cuda_cublas.h"
#include "cuda_narrow.h"
#include "cuda_parameters.h"

/* A row-major matrix without gaps. */
static cuda_matrix matrix_of(const dn_tensor *x, bool is_transposed) {
  const cuda_matrix matrix = {dn_tensor_data(x), x->size[1] > 0 ? x->size[1] : 1, 0, is_transposed};
  return matrix;
}

/* N samples of C channels as images of one pixel. */
static cuda_images samples_of(const dn_tensor *x) {
  const cuda_images samples = {dn_tensor_data(x), x->dtype, x->size[0], x->size[1], 1, 1,
                               x->size[1],        1};
  return samples;
}

/* Scratch of a product with a weight: the workspace, and the weight where it has to be rounded. */
static dn_status take_scratch(dn_dtype dtype, const dn_tensor *weight, char **scratch,
                              int64_t *n_before) {
  int64_t n_bytes = 0;
  void *block;
  cuda_scratch_place(&n_bytes, cuda_cublas_workspace(), 1);
  *n_before = n_bytes;
  if (cuda_is_narrow(dtype)) *n_before = cuda_scratch_place(&n_bytes, dn_tensor_count(weight), 2);
  DN_TRY(cuda_scratch(n_bytes, &block));
  *scratch = (char *)block;
  return DN_OK;
}

/* out = in * weight, or its transpose. */
static dn_status apply(dn_tensor *out, const dn_tensor *in, const dn_tensor *weight,
                       bool is_transposed) {
  char *scratch;
  int64_t n_before;
  DN_TRY(take_scratch(out->dtype, weight, &scratch, &n_before));
  if (in->size[1] == 0) return cuda_fill(out, {0, NULL});
  cuda_product product;
  memset(&product, 0, sizeof product);
  product.dtype = product.out_dtype = out->dtype;
  product.rows = out->size[0];
  product.columns = out->size[1];
  product.depth = in->size[1];
  product.n_products = 1;
  product.alpha = 1;
  product.a = matrix_of(in, false);
  product.b = matrix_of(weight, is_transposed);
  product.c = matrix_of(out, false);
  if (cuda_is_narrow(out->dtype))
    DN_TRY(cuda_weight_beside(dn_tensor_data(weight), dn_tensor_count(weight), out->dtype,
                              scratch + n_before, &product.b.data));
  return cuda_cublas_product(&product, scratch);
}

dn_status cuda_linear_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                              const dn_tensor *bias) {
  DN_TRY(apply(y, x, weight, true));
  if (!bias) return DN_OK;
  const cuda_images samples = samples_of(y);
  return cuda_bias_add(&samples, dn_tensor_data(bias));
}

dn_status cuda_linear_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight) {
  return apply(dx, dy, weight, false);
}

dn_status cuda_linear_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                      const dn_tensor *x, double scale) {
  void *workspace;
  DN_TRY(cuda_scratch(cuda_cublas_workspace(), &workspace));
  if (x->size[1] > 0) {
    cuda_product product;
    memset(&product, 0, sizeof product);
    product.dtype = x->dtype;
    product.out_dtype = dweight->dtype;
    product.rows = dy->size[1];
    product.columns = x->size[1];
    product.depth = x->size[0];
    product.n_products = 1;
    product.alpha = scale;
    product.beta = 1;
    product.a = matrix_of(dy, true);
    product.b = matrix_of(x, false);
    product.c = matrix_of(dweight, false);
    DN_TRY(cuda_cublas_product(&product, workspace));
  }
  if (!dbias) return DN_OK;
  const cuda_images samples = samples_of(dy);
  return cuda_bias_backward(dn_tensor_data(dbias), &samples, scale);
}
