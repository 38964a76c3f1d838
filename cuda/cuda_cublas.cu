#include "cuda_cublas.h"

#include <cublas_v2.h>

#include "cuda_described.h"

/*
** A failure as a status, with the call named; a device that is lost says so at its next call. The
** library tries things out, and what failed there must not be taken for our next launch's failure.
*/
static dn_status check(cublasStatus_t status, const char *call) {
  (void)cudaGetLastError();
  if (status == CUBLAS_STATUS_SUCCESS) return DN_OK;
  return dn_error(status == CUBLAS_STATUS_ALLOC_FAILED ? DN_ENOMEM : DN_EDEVICE,
                  "%s: %.*s failed: %s", cuda_current()->device->name, (int)strcspn(call, "("),
                  call, cublasGetStatusString(status));
}

#define CUBLAS_TRY(call) DN_TRY(check((call), #call))

dn_status cuda_cublas_release(int release[3]) {
  CUBLAS_TRY(cublasGetProperty(MAJOR_VERSION, &release[0]));
  CUBLAS_TRY(cublasGetProperty(MINOR_VERSION, &release[1]));
  CUBLAS_TRY(cublasGetProperty(PATCH_LEVEL, &release[2]));
  return DN_OK;
}

int64_t cuda_cublas_workspace(void) {
#ifdef CUDA_CUBLAS_WORKSPACE
  return CUDA_CUBLAS_WORKSPACE;
#else
  return (cuda_described_major() >= 9 ? 32 : 8) << 20;
#endif
}

/* In 16 bits, parts of one sum are added in float, too. */
static dn_status set_up(cublasHandle_t handle) {
  CUBLAS_TRY(cublasSetStream(handle, cuda_stream()));
  CUBLAS_TRY(cublasSetMathMode(
      handle,
      (cublasMath_t)(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)));
  return DN_OK;
}

static dn_status find_handle(cublasHandle_t *handle) {
  cuda_device *device = cuda_current();
  if (!device->cublas) {
    cublasHandle_t created;
    CUBLAS_TRY(cublasCreate(&created));
    const dn_status status = set_up(created);
    if (status != DN_OK) {
      (void)cublasDestroy(created);
      return status;
    }
    device->cublas = created;
  }
  *handle = device->cublas;
  return DN_OK;
}

static cudaDataType type_of(dn_dtype dtype) {
  switch (dtype) {
    case DN_DOUBLE:
      return CUDA_R_64F;
    case DN_HALF:
      return CUDA_R_16F;
    case DN_BFLOAT16:
      return CUDA_R_16BF;
    default:
      return CUDA_R_32F;
  }
}

static cublasComputeType_t compute_type_of(dn_dtype dtype) {
  if (dtype == DN_DOUBLE) return CUBLAS_COMPUTE_64F;
  if (dtype == DN_FLOAT && cuda_current()->uses_tf32) return CUBLAS_COMPUTE_32F_FAST_TF32;
  return CUBLAS_COMPUTE_32F;
}

/* cuBLAS reads columns where we have rows, so it is given c' = b' a'. */
dn_status cuda_cublas_product(const cuda_product *product, void *workspace) {
  const cuda_matrix *a = &product->a, *b = &product->b, *c = &product->c;
  cublasHandle_t handle = NULL;
  DN_TRY(find_handle(&handle));
  CUBLAS_TRY(cublasSetWorkspace(handle, workspace, (size_t)cuda_cublas_workspace()));
  const bool is_double = product->dtype == DN_DOUBLE;
  const float narrow[2] = {(float)product->alpha, (float)product->beta};
  const void *const alpha = is_double ? (const void *)&product->alpha : &narrow[0];
  const void *const beta = is_double ? (const void *)&product->beta : &narrow[1];
  const cublasOperation_t b_turned = b->is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t a_turned = a->is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cudaDataType type = type_of(product->dtype), out_type = type_of(product->out_dtype);
  const cublasComputeType_t compute_type = compute_type_of(product->dtype);
  void *const out = const_cast<void *>(c->data);
  if (product->n_products == 1)
    CUBLAS_TRY(cublasGemmEx_64(handle, b_turned, a_turned, product->columns, product->rows,
                               product->depth, alpha, b->data, type, b->ld, a->data, type, a->ld,
                               beta, out, out_type, c->ld, compute_type, CUBLAS_GEMM_DEFAULT));
  else
    CUBLAS_TRY(cublasGemmStridedBatchedEx_64(
        handle, b_turned, a_turned, product->columns, product->rows, product->depth, alpha, b->data,
        type, b->ld, b->stride, a->data, type, a->ld, a->stride, beta, out, out_type, c->ld,
        c->stride, product->n_products, compute_type, CUBLAS_GEMM_DEFAULT));
  return DN_OK;
}
