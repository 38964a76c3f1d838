/*
** A weight from its factors, and their gradients from the weight's: src/cpu/mlg/cpu_mlg.c, with every
** product by cuBLAS, those of level 1 side by side.
*/
#include "cuda_dtype.h"
#include "cuda_matrix_product.h"
#include "cuda_quantize.h"

extern "C" {
#include "../src/dn_mlg.h"
#include "../src/dn_quantize.h"
}

/* One factor: where its values will be, and in the end what they are. */
typedef struct factor {
  const dn_tensor *tensor; /* NULL: left out */
  int64_t count, bits, begin;
  const void *values;
} factor;

static int64_t size_of(dn_dtype dtype) {
  return dtype == DN_FLOAT ? (int64_t)sizeof(float) : (int64_t)sizeof(double);
}

static factor reserve(const dn_tensor *tensor, int64_t bits, int64_t *n_bytes) {
  factor made = {tensor, tensor ? dn_tensor_count(tensor) : 0, bits, 0, NULL};
  if (tensor && dn_quantize_is(bits))
    made.begin = cuda_scratch_place(n_bytes, made.count, size_of(tensor->dtype));
  return made;
}

static dn_status fill(factor *made, char *block, void *search) {
  if (!made->tensor) return DN_OK;
  made->values = dn_tensor_data(made->tensor);
  if (!dn_quantize_is(made->bits)) return DN_OK;
  DN_TRY(cuda_quantize_values(made->tensor->dtype, made->count, block + made->begin, made->values,
                              made->bits, search));
  made->values = block + made->begin;
  return DN_OK;
}

dn_status cuda_mlg_generate(dn_tensor *weight, const dn_tensor *basis, const dn_tensor *coeff_in,
                            const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                            int64_t coeff_out_bits) {
  const dn_mlg_sizes n = dn_mlg_sizes_of(weight, basis, coeff_in, coeff_out);
  const dn_dtype dtype = weight->dtype;
  const int64_t row = n.inputs * n.taps;
  const bool is_alone = !coeff_in && !coeff_out;
  int64_t n_bytes = 0, kernels_begin = 0;
  cuda_scratch_place(&n_bytes, cuda_cublas_workspace(), 1);
  const int64_t search = cuda_scratch_place(&n_bytes, cuda_quantize_search_bytes(dtype), 1);
  factor b = reserve(is_alone ? NULL : basis, basis_bits, &n_bytes);
  factor u = reserve(coeff_in, coeff_in_bits, &n_bytes);
  factor v = reserve(coeff_out, coeff_out_bits, &n_bytes);
  if (coeff_in && coeff_out)
    kernels_begin = cuda_scratch_place(&n_bytes, n.bases_out * row, size_of(dtype));
  void *workspace;
  DN_TRY(cuda_scratch(n_bytes, &workspace));
  char *const block = (char *)workspace;
  void *const out = dn_tensor_data(weight);
  if (is_alone) {
    if (!dn_quantize_is(basis_bits)) return cuda_copy(weight, basis);
    return cuda_quantize_values(dtype, dn_tensor_count(basis), out, dn_tensor_data(basis),
                                basis_bits, block + search);
  }
  DN_TRY(fill(&b, block, block + search));
  DN_TRY(fill(&u, block, block + search));
  DN_TRY(fill(&v, block, block + search));
  const void *kernels = b.values;
  if (coeff_in) {
    void *const made = coeff_out ? block + kernels_begin : out;
    DN_TRY(cuda_matrix_products(dtype, n.bases_out, n.inputs, n.taps, n.bases_in, made, u.values,
                                false, b.values, false, workspace));
    kernels = made;
  }
  if (!coeff_out) return DN_OK;
  return cuda_matrix_products(dtype, 1, n.outputs, row, n.bases_out, out, v.values, false, kernels,
                              false, workspace);
}

dn_status cuda_mlg_pull(dn_tensor *dbasis, dn_tensor *dcoeff_in, dn_tensor *dcoeff_out,
                        const dn_tensor *dweight, const dn_tensor *basis, const dn_tensor *coeff_in,
                        const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                        int64_t coeff_out_bits) {
  const dn_mlg_sizes n = dn_mlg_sizes_of(dweight, basis, coeff_in, coeff_out);
  const dn_dtype dtype = dweight->dtype;
  const int64_t row = n.inputs * n.taps, size = size_of(dtype);
  const bool is_alone = !coeff_in && !coeff_out;
  int64_t n_bytes = 0, kernels_begin = 0, dkernels_begin = 0, dbasis_begin = 0, din_begin = 0;
  int64_t dout_begin = 0;
  cuda_scratch_place(&n_bytes, cuda_cublas_workspace(), 1);
  const int64_t search_begin = cuda_scratch_place(&n_bytes, cuda_quantize_search_bytes(dtype), 1);
  factor b = reserve(is_alone ? NULL : basis, basis_bits, &n_bytes);
  factor u = reserve(coeff_in, coeff_in_bits, &n_bytes);
  factor v = reserve(coeff_out, coeff_out_bits, &n_bytes);
  if (coeff_out) {
    if (coeff_in) kernels_begin = cuda_scratch_place(&n_bytes, n.bases_out * row, size);
    dkernels_begin = cuda_scratch_place(&n_bytes, n.bases_out * row, size);
    dout_begin = cuda_scratch_place(&n_bytes, v.count, size);
  }
  if (coeff_in) {
    dbasis_begin = cuda_scratch_place(&n_bytes, b.count, size);
    din_begin = cuda_scratch_place(&n_bytes, u.count, size);
  }
  void *workspace;
  DN_TRY(cuda_scratch(n_bytes, &workspace));
  char *const block = (char *)workspace;
  void *const search = block + search_begin;
  DN_TRY(fill(&b, block, search));
  DN_TRY(fill(&u, block, search));
  DN_TRY(fill(&v, block, search));
  const void *slope = dn_tensor_data(dweight);
  if (coeff_out) {
    const void *kernels = b.values;
    if (coeff_in) {
      void *const made = block + kernels_begin;
      DN_TRY(cuda_matrix_products(dtype, n.bases_out, n.inputs, n.taps, n.bases_in, made, u.values,
                                  false, b.values, false, workspace));
      kernels = made;
    }
    void *const dv = block + dout_begin, *const dkernels = block + dkernels_begin;
    DN_TRY(cuda_matrix_products(dtype, 1, n.outputs, n.bases_out, row, dv, slope, false, kernels,
                                true, workspace));
    DN_TRY(cuda_matrix_products(dtype, 1, n.bases_out, row, n.outputs, dkernels, v.values, true,
                                slope, false, workspace));
    DN_TRY(cuda_quantize_pull(dtype, v.count, dn_tensor_data(dcoeff_out), dv,
                              dn_tensor_data(coeff_out), coeff_out_bits, search));
    slope = dkernels;
  }
  if (coeff_in) {
    void *const db = block + dbasis_begin, *const du = block + din_begin;
    DN_TRY(cuda_matrix_products(dtype, n.bases_out, n.inputs, n.bases_in, n.taps, du, slope, false,
                                b.values, true, workspace));
    DN_TRY(cuda_matrix_products(dtype, n.bases_out, n.bases_in, n.taps, n.inputs, db, u.values,
                                true, slope, false, workspace));
    DN_TRY(cuda_quantize_pull(dtype, u.count, dn_tensor_data(dcoeff_in), du,
                              dn_tensor_data(coeff_in), coeff_in_bits, search));
    slope = db;
  }
  return cuda_quantize_pull(dtype, dn_tensor_count(basis), dn_tensor_data(dbasis), slope,
                            dn_tensor_data(basis), basis_bits, search);
}
