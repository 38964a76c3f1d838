/*
** Matrix products as plain loops, behind checks as strict as the library's and stricter: what cuda/
** promises (its own workspace, its own stream) is an error when it is not kept. Sums of all types but
** double are kept in float. Calls that succeed leave an error of CUDA behind, as the library may that
** tries things out.
*/
#include "cublas_v2.h"

#include <vector>

#include "emulated_numbers.h"

struct cublasContext {
  int device;
  cudaStream_t stream;
  char *workspace;
  size_t n_workspace;
};

namespace {

struct product {
  bool a_turned, b_turned;
  int64_t m, n, k, lda, ldb, ldc, a_stride, b_stride, c_stride, n_products;
  double alpha, beta;
  const void *a, *b;
  void *c;
  emulated_type type, c_type;
  bool is_tf32;
};

/* Columns-first, as the library reads: element i,j of op(x). */
int64_t place(int64_t i, int64_t j, int64_t ld, bool is_turned) {
  return is_turned ? i * ld + j : j * ld + i;
}

template <typename C>
void compute(const product &p) {
  std::vector<C> a((size_t)(p.m * p.k)), sums((size_t)p.m);
  for (int64_t t = 0; t < p.n_products; t++) {
    for (int64_t l = 0; l < p.k; l++)
      for (int64_t i = 0; i < p.m; i++) {
        const C value =
            (C)emulated_load(p.a, p.type, t * p.a_stride + place(i, l, p.lda, p.a_turned));
        a[(size_t)(l * p.m + i)] = p.is_tf32 ? (C)emulated_tf32((float)value) : value;
      }
    for (int64_t j = 0; j < p.n; j++) {
      for (int64_t i = 0; i < p.m; i++) sums[(size_t)i] = 0;
      for (int64_t l = 0; l < p.k; l++) {
        C factor = (C)emulated_load(p.b, p.type, t * p.b_stride + place(l, j, p.ldb, p.b_turned));
        if (p.is_tf32) factor = (C)emulated_tf32((float)factor);
        const C *column = &a[(size_t)(l * p.m)];
        for (int64_t i = 0; i < p.m; i++) sums[(size_t)i] += column[i] * factor;
      }
      for (int64_t i = 0; i < p.m; i++) {
        const int64_t at = t * p.c_stride + j * p.ldc + i;
        const C before = p.beta == 0 ? (C)0 : (C)p.beta * (C)emulated_load(p.c, p.c_type, at);
        emulated_store(p.c, p.c_type, at, (C)p.alpha * sums[(size_t)i] + before);
      }
    }
  }
}

bool type_of(cudaDataType given, emulated_type *type) {
  switch (given) {
    case CUDA_R_32F:
      *type = EMULATED_FLOAT;
      return true;
    case CUDA_R_64F:
      *type = EMULATED_DOUBLE;
      return true;
    case CUDA_R_16F:
      *type = EMULATED_HALF;
      return true;
    case CUDA_R_16BF:
      *type = EMULATED_BFLOAT16;
      return true;
    default:
      return false;
  }
}

/* The table of types that cublasGemmEx computes, as far as cuda/ uses it. */
bool is_supported(const product &p, cudaDataType b_type, cudaDataType a_type,
                  cublasComputeType_t compute_type) {
  if (a_type != b_type) return false;
  if (p.type == EMULATED_DOUBLE)
    return p.c_type == EMULATED_DOUBLE && compute_type == CUBLAS_COMPUTE_64F;
  if (p.type == EMULATED_FLOAT)
    return p.c_type == EMULATED_FLOAT &&
           (compute_type == CUBLAS_COMPUTE_32F || compute_type == CUBLAS_COMPUTE_32F_FAST_TF32);
  return (p.c_type == p.type || p.c_type == EMULATED_FLOAT) && compute_type == CUBLAS_COMPUTE_32F;
}

/* The bytes of n_products matrices of `lines` lines lie on the device. */
bool is_there(const void *data, int64_t length, int64_t lines, int64_t ld, int64_t stride,
              const product &p, emulated_type type, int device) {
  const int64_t last = (p.n_products - 1) * stride + (lines - 1) * ld + length;
  return emulated_is_there(data, last * (int64_t)emulated_size(type), device);
}

cublasStatus_t refuse(const product &p, const cublasContext *handle) {
  const int64_t a_length = p.a_turned ? p.k : p.m, a_lines = p.a_turned ? p.m : p.k;
  const int64_t b_length = p.b_turned ? p.n : p.k, b_lines = p.b_turned ? p.k : p.n;
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.n_products < 0 || p.lda < a_length || p.lda < 1 ||
      p.ldb < b_length || p.ldb < 1 || p.ldc < p.m || p.ldc < 1)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (p.a_stride < 0 || p.b_stride < 0 ||
      (p.n_products > 1 && p.c_stride < (p.n - 1) * p.ldc + p.m))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_there(p.a, a_length, a_lines, p.lda, p.a_stride, p, p.type, handle->device) ||
      !is_there(p.b, b_length, b_lines, p.ldb, p.b_stride, p, p.type, handle->device) ||
      !is_there(p.c, p.m, p.n, p.ldc, p.c_stride, p, p.c_type, handle->device))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!handle->stream || !handle->workspace || emulation_current() != handle->device)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

/* Of no NVIDIA library: 0.0.0. */
cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value) {
  (void)type;
  *value = 0;
  return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
}

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
  *handle = new cublasContext();
  (*handle)->device = emulation_current();
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

/* As the library does, this takes the workspace away. */
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  handle->workspace = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  (void)handle;
  const int known = CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  return ((int)mode & ~known) == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t n_bytes) {
  EMULATION_COUNT();
  if ((uintptr_t)workspace % 256 != 0 ||
      !emulated_is_there(workspace, (int64_t)n_bytes, handle->device))
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->workspace = (char *)workspace;
  handle->n_workspace = n_bytes;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t start(cublasHandle_t handle, cublasOperation_t a_turned,
                            cublasOperation_t b_turned, int64_t m, int64_t n, int64_t k,
                            const void *alpha, const void *a, cudaDataType a_type, int64_t lda,
                            long long a_stride, const void *b, cudaDataType b_type, int64_t ldb,
                            long long b_stride, const void *beta, void *c, cudaDataType c_type,
                            int64_t ldc, long long c_stride, int64_t n_products,
                            cublasComputeType_t compute_type, cublasGemmAlgo_t algorithm) {
  emulation_locked here;
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!alpha || !beta || algorithm != CUBLAS_GEMM_DEFAULT) return CUBLAS_STATUS_INVALID_VALUE;
  product p = {};
  p.a_turned = a_turned == CUBLAS_OP_T;
  p.b_turned = b_turned == CUBLAS_OP_T;
  p.m = m, p.n = n, p.k = k;
  p.lda = lda, p.ldb = ldb, p.ldc = ldc;
  p.a_stride = a_stride, p.b_stride = b_stride, p.c_stride = c_stride;
  p.n_products = n_products;
  p.a = a, p.b = b, p.c = c;
  if (!type_of(a_type, &p.type) || !type_of(c_type, &p.c_type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!is_supported(p, b_type, a_type, compute_type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  p.is_tf32 = compute_type == CUBLAS_COMPUTE_32F_FAST_TF32;
  const bool is_double = compute_type == CUBLAS_COMPUTE_64F;
  p.alpha = is_double ? *(const double *)alpha : *(const float *)alpha;
  p.beta = is_double ? *(const double *)beta : *(const float *)beta;
  const cublasStatus_t refused = refuse(p, handle);
  if (refused != CUBLAS_STATUS_SUCCESS) return refused;
  emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("fail cublas")) return CUBLAS_STATUS_EXECUTION_FAILED;
  /* Whoever trusts what the workspace held before is shown. */
  char *const workspace = handle->workspace;
  const size_t n_workspace = handle->n_workspace < 4096 ? handle->n_workspace : 4096;
  emulation_enqueue(handle->stream, [=]() {
    memset(workspace, 0xFF, n_workspace);
    if (is_double)
      compute<double>(p);
    else
      compute<float>(p);
  });
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t a_turned,
                               cublasOperation_t b_turned, int64_t m, int64_t n, int64_t k,
                               const void *alpha, const void *a, cudaDataType a_type, int64_t lda,
                               const void *b, cudaDataType b_type, int64_t ldb, const void *beta,
                               void *c, cudaDataType c_type, int64_t ldc,
                               cublasComputeType_t compute_type, cublasGemmAlgo_t algorithm) {
  EMULATION_COUNT();
  return start(handle, a_turned, b_turned, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
               beta, c, c_type, ldc, 0, 1, compute_type, algorithm);
}

cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t a_turned, cublasOperation_t b_turned, int64_t m,
    int64_t n, int64_t k, const void *alpha, const void *a, cudaDataType a_type, int64_t lda,
    long long a_stride, const void *b, cudaDataType b_type, int64_t ldb, long long b_stride,
    const void *beta, void *c, cudaDataType c_type, int64_t ldc, long long c_stride,
    int64_t n_products, cublasComputeType_t compute_type, cublasGemmAlgo_t algorithm) {
  EMULATION_COUNT();
  return start(handle, a_turned, b_turned, m, n, k, alpha, a, a_type, lda, a_stride, b, b_type, ldb,
               b_stride, beta, c, c_type, ldc, c_stride, n_products, compute_type, algorithm);
}
