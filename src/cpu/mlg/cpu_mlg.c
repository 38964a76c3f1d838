/*
** A weight from its factors, and their gradients from the weight's (dn_ops.def). All that is made on
** the way, quantised factors included, is scratch, and is made again where it is needed: the operations
** depend on the factors alone.
*/
#include "../../dn_mlg.h"
#include "../../dn_quantize.h"
#include "../cpu_backend.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_matrix_product.h"
#include "cpu_quantize.h"

/* One factor: where its values and, for a gradient, its tanh will be, and in the end what they are. */
typedef struct factor {
  const dn_tensor *tensor; /* NULL: left out */
  int64_t count, bits, begin, tanh_begin;
  const void *values, *tanh;
  double scale;
} factor;

static factor reserve(const dn_tensor *tensor, int64_t bits, bool keeps_tanh, int64_t *n_bytes) {
  factor made = {.tensor = tensor, .count = tensor ? dn_tensor_count(tensor) : 0, .bits = bits};
  if (tensor && dn_quantize_is(bits)) {
    made.begin = cpu_scratch_place(n_bytes, made.count, dn_dtype_size(tensor->dtype));
    made.tanh_begin = made.begin;
    if (keeps_tanh)
      made.tanh_begin = cpu_scratch_place(n_bytes, made.count, dn_dtype_size(tensor->dtype));
  }
  return made;
}

static void fill(factor *made, void *block) {
  if (!made->tensor) return;
  made->values = dn_tensor_data(made->tensor);
  if (!dn_quantize_is(made->bits)) return;
  const dn_dtype dtype = made->tensor->dtype;
  void *const tanh_at = cpu_scratch_at(block, made->tanh_begin);
  void *const values = cpu_scratch_at(block, made->begin);
  made->scale = cpu_quantize_tanh(dtype, made->count, tanh_at, made->values);
  cpu_quantize_values(dtype, made->count, values, tanh_at, made->scale, made->bits);
  made->values = values;
  made->tanh = tanh_at;
}

/* gradient += what dvalues makes of a factor that was filled. */
static void pull(const factor *made, dn_tensor *gradient, const void *dvalues) {
  void *const to = dn_tensor_data(gradient);
  if (dn_quantize_is(made->bits))
    cpu_quantize_pull(gradient->dtype, made->count, to, dvalues, made->tanh, made->scale);
  else
    cpu_quantize_add(gradient->dtype, made->count, to, dvalues);
}

/* ---- Level 1: kernels P,C,S from coeff_in P,C,B and basis P,B,S; loops, for B is a few ---- */

#define CPU_MLG_KERNELS(real, name)                                                             \
  static void kernels_##name(const dn_mlg_sizes *n, real *kernels, const real *coeff,           \
                             const real *basis) {                                               \
    const int64_t c_size = n->inputs, b_size = n->bases_in, s_size = n->taps;                   \
    const int n_threads = cpu_team(n->bases_out * c_size * b_size * s_size);                    \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t p = 0;     \
                                                                             p < n->bases_out;  \
                                                                             p++) {             \
      const real *const left = coeff + p * c_size * b_size;                                     \
      const real *const right = basis + p * b_size * s_size;                                    \
      real *const out = kernels + p * c_size * s_size;                                          \
      for (int64_t c = 0; c < c_size; c++)                                                      \
        for (int64_t s = 0; s < s_size; s++) {                                                  \
          real sum = 0;                                                                         \
          for (int64_t b = 0; b < b_size; b++)                                                  \
            sum += left[c * b_size + b] * right[b * s_size + s];                                \
          out[c * s_size + s] = sum;                                                            \
        }                                                                                       \
    }                                                                                           \
  }                                                                                             \
                                                                                                \
  static void kernels_pull_##name(const dn_mlg_sizes *n, real *dcoeff, real *dbasis,            \
                                  const real *dkernels, const real *coeff, const real *basis) { \
    const int64_t c_size = n->inputs, b_size = n->bases_in, s_size = n->taps;                   \
    const int n_threads = cpu_team(2 * n->bases_out * c_size * b_size * s_size);                \
    _Pragma("omp parallel for schedule(static) num_threads(n_threads)") for (int64_t p = 0;     \
                                                                             p < n->bases_out;  \
                                                                             p++) {             \
      const real *const left = coeff + p * c_size * b_size;                                     \
      const real *const right = basis + p * b_size * s_size;                                    \
      const real *const slope = dkernels + p * c_size * s_size;                                 \
      for (int64_t b = 0; b < b_size; b++) {                                                    \
        for (int64_t c = 0; c < c_size; c++) {                                                  \
          double sum = 0;                                                                       \
          for (int64_t s = 0; s < s_size; s++)                                                  \
            sum += (double)slope[c * s_size + s] * (double)right[b * s_size + s];               \
          dcoeff[(p * c_size + c) * b_size + b] = (real)sum;                                    \
        }                                                                                       \
        for (int64_t s = 0; s < s_size; s++) {                                                  \
          double sum = 0;                                                                       \
          for (int64_t c = 0; c < c_size; c++)                                                  \
            sum += (double)left[c * b_size + b] * (double)slope[c * s_size + s];                \
          dbasis[(p * b_size + b) * s_size + s] = (real)sum;                                    \
        }                                                                                       \
      }                                                                                         \
    }                                                                                           \
  }

CPU_MLG_KERNELS(float, float)
CPU_MLG_KERNELS(double, double)

static void make_kernels(dn_dtype dtype, const dn_mlg_sizes *n, void *kernels, const void *coeff,
                         const void *basis) {
  if (dtype == DN_FLOAT)
    kernels_float(n, kernels, coeff, basis);
  else
    kernels_double(n, kernels, coeff, basis);
}

/* ---- The operations ---- */

dn_status cpu_mlg_generate(dn_tensor *weight, const dn_tensor *basis, const dn_tensor *coeff_in,
                           const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                           int64_t coeff_out_bits) {
  const dn_mlg_sizes n = dn_mlg_sizes_of(weight, basis, coeff_in, coeff_out);
  const dn_dtype dtype = weight->dtype;
  const int64_t row = n.inputs * n.taps;
  const bool is_alone = !coeff_in && !coeff_out;
  int64_t n_bytes = 0, kernels_begin = 0;
  factor b = reserve(is_alone ? NULL : basis, basis_bits, false, &n_bytes);
  factor u = reserve(coeff_in, coeff_in_bits, false, &n_bytes);
  factor v = reserve(coeff_out, coeff_out_bits, false, &n_bytes);
  if (coeff_in && coeff_out)
    kernels_begin = cpu_scratch_place(&n_bytes, n.bases_out * row, dn_dtype_size(dtype));
  void *block = NULL;
  DN_TRY(n_bytes > 0 ? cpu_scratch(n_bytes, &block) : cpu_scratch_none());
  void *const out = dn_tensor_data(weight);
  if (is_alone) {
    if (!dn_quantize_is(basis_bits)) return cpu_copy(weight, basis);
    const int64_t count = dn_tensor_count(basis);
    const double scale = cpu_quantize_tanh(dtype, count, out, dn_tensor_data(basis));
    cpu_quantize_values(dtype, count, out, out, scale, basis_bits);
    return DN_OK;
  }
  fill(&b, block);
  fill(&u, block);
  fill(&v, block);
  const void *kernels = b.values;
  if (coeff_in) {
    void *const made = coeff_out ? cpu_scratch_at(block, kernels_begin) : out;
    make_kernels(dtype, &n, made, u.values, b.values);
    kernels = made;
  }
  if (coeff_out)
    cpu_matrix_product(dtype, n.outputs, row, n.bases_out, out, v.values, false, kernels, false);
  return DN_OK;
}

dn_status cpu_mlg_pull(dn_tensor *dbasis, dn_tensor *dcoeff_in, dn_tensor *dcoeff_out,
                       const dn_tensor *dweight, const dn_tensor *basis, const dn_tensor *coeff_in,
                       const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                       int64_t coeff_out_bits) {
  const dn_mlg_sizes n = dn_mlg_sizes_of(dweight, basis, coeff_in, coeff_out);
  const dn_dtype dtype = dweight->dtype;
  const size_t size = dn_dtype_size(dtype);
  const int64_t row = n.inputs * n.taps;
  int64_t n_bytes = 0, kernels_begin = 0, dkernels_begin = 0, dbasis_begin = 0, din_begin = 0;
  int64_t dout_begin = 0;
  factor b = reserve(basis, basis_bits, true, &n_bytes);
  factor u = reserve(coeff_in, coeff_in_bits, true, &n_bytes);
  factor v = reserve(coeff_out, coeff_out_bits, true, &n_bytes);
  if (coeff_out) {
    if (coeff_in) kernels_begin = cpu_scratch_place(&n_bytes, n.bases_out * row, size);
    dkernels_begin = cpu_scratch_place(&n_bytes, n.bases_out * row, size);
    dout_begin = cpu_scratch_place(&n_bytes, v.count, size);
  }
  if (coeff_in) {
    dbasis_begin = cpu_scratch_place(&n_bytes, b.count, size);
    din_begin = cpu_scratch_place(&n_bytes, u.count, size);
  }
  void *block = NULL;
  DN_TRY(n_bytes > 0 ? cpu_scratch(n_bytes, &block) : cpu_scratch_none());
  fill(&b, block);
  fill(&u, block);
  fill(&v, block);
  const void *slope = dn_tensor_data(dweight);
  if (coeff_out) {
    const void *kernels = b.values;
    if (coeff_in) {
      void *const made = cpu_scratch_at(block, kernels_begin);
      make_kernels(dtype, &n, made, u.values, b.values);
      kernels = made;
    }
    void *const dv = cpu_scratch_at(block, dout_begin);
    void *const dkernels = cpu_scratch_at(block, dkernels_begin);
    cpu_matrix_product(dtype, n.outputs, n.bases_out, row, dv, slope, false, kernels, true);
    cpu_matrix_product(dtype, n.bases_out, row, n.outputs, dkernels, v.values, true, slope, false);
    pull(&v, dcoeff_out, dv);
    slope = dkernels;
  }
  if (coeff_in) {
    void *const db = cpu_scratch_at(block, dbasis_begin);
    void *const du = cpu_scratch_at(block, din_begin);
    if (dtype == DN_FLOAT)
      kernels_pull_float(&n, du, db, slope, u.values, b.values);
    else
      kernels_pull_double(&n, du, db, slope, u.values, b.values);
    pull(&u, dcoeff_in, du);
    slope = db;
  }
  pull(&b, dbasis, slope);
  return DN_OK;
}
