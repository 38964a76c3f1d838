#include "cuda_cudnn.h"

#include <cudnn.h>

/*
** A failure as a status, with the call named; a device that is lost says so at its next call. The
** library tries things out, and what failed there must not be taken for our next launch's failure.
*/
static dn_status check(cudnnStatus_t status, const char *call) {
  (void)cudaGetLastError();
  if (status == CUDNN_STATUS_SUCCESS) return DN_OK;
  return dn_error(DN_EDEVICE, "%s: %.*s failed: %s", cuda_current()->device->name,
                  (int)strcspn(call, "("), call, cudnnGetErrorString(status));
}

#define CUDNN_TRY(call) DN_TRY(check((call), #call))

dn_status cuda_cudnn_release(int release[3]) {
  CUDNN_TRY(cudnnGetProperty(MAJOR_VERSION, &release[0]));
  CUDNN_TRY(cudnnGetProperty(MINOR_VERSION, &release[1]));
  CUDNN_TRY(cudnnGetProperty(PATCH_LEVEL, &release[2]));
  return DN_OK;
}

/* CUDNN_STATUS_NOT_SUPPORTED and its kinds; and slices may begin where no vector does. */
static bool is_refusal(cudnnStatus_t status) {
  return (int)status / 1000 == (int)CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
         status == CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
}

static dn_status find_handle(cudnnHandle_t *handle) {
  cuda_device *device = cuda_current();
  if (!device->cudnn) {
    cudnnHandle_t created;
    CUDNN_TRY(cudnnCreate(&created));
    const dn_status status = check(cudnnSetStream(created, cuda_stream()), "cudnnSetStream");
    if (status != DN_OK) {
      (void)cudnnDestroy(created);
      return status;
    }
    device->cudnn = created;
  }
  *handle = device->cudnn;
  return DN_OK;
}

/* ---- Descriptors ---- */

typedef struct descriptors {
  cudnnTensorDescriptor_t x, y;
  cudnnFilterDescriptor_t weight;
  cudnnConvolutionDescriptor_t conv;
} descriptors;

static dn_status create(descriptors *d) {
  CUDNN_TRY(cudnnCreateTensorDescriptor(&d->x));
  CUDNN_TRY(cudnnCreateTensorDescriptor(&d->y));
  CUDNN_TRY(cudnnCreateFilterDescriptor(&d->weight));
  CUDNN_TRY(cudnnCreateConvolutionDescriptor(&d->conv));
  return DN_OK;
}

static void destroy(const descriptors *d) {
  if (d->conv) (void)cudnnDestroyConvolutionDescriptor(d->conv);
  if (d->weight) (void)cudnnDestroyFilterDescriptor(d->weight);
  if (d->y) (void)cudnnDestroyTensorDescriptor(d->y);
  if (d->x) (void)cudnnDestroyTensorDescriptor(d->x);
}

static cudnnDataType_t type_of(dn_dtype dtype) {
  switch (dtype) {
    case DN_DOUBLE:
      return CUDNN_DATA_DOUBLE;
    case DN_HALF:
      return CUDNN_DATA_HALF;
    case DN_BFLOAT16:
      return CUDNN_DATA_BFLOAT16;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

static dn_status set_images(cudnnTensorDescriptor_t descriptor, const cuda_images *x) {
  CUDNN_TRY(cudnnSetTensor4dDescriptorEx(descriptor, type_of(x->dtype), (int)x->n, (int)x->c,
                                         (int)x->h, (int)x->w, (int)x->image_stride,
                                         (int)x->channel_stride, (int)x->w, 1));
  return DN_OK;
}

/* Only float can lose digits by default. */
static cudnnMathType_t math_of(dn_dtype dtype, bool are_narrow) {
  if (dtype == DN_HALF || dtype == DN_BFLOAT16) return CUDNN_TENSOR_OP_MATH;
  const bool may_round = are_narrow || cuda_current()->uses_tf32;
  return dtype == DN_DOUBLE || may_round ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
}

static dn_status set(const descriptors *d, const cuda_images *x, const cuda_images *y,
                     const cuda_conv2d *conv, bool are_narrow) {
  const dn_conv2d *options = &conv->options;
  DN_TRY(set_images(d->x, x));
  DN_TRY(set_images(d->y, y));
  CUDNN_TRY(cudnnSetFilter4dDescriptor(d->weight, type_of(x->dtype), CUDNN_TENSOR_NCHW, (int)y->c,
                                       (int)(x->c / options->groups), (int)conv->r, (int)conv->s));
  CUDNN_TRY(cudnnSetConvolution2dDescriptor(
      d->conv, (int)options->pad_h, (int)options->pad_w, (int)options->stride_h,
      (int)options->stride_w, 1, 1, CUDNN_CROSS_CORRELATION,
      x->dtype == DN_DOUBLE ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT));
  CUDNN_TRY(cudnnSetConvolutionGroupCount(d->conv, (int)options->groups));
  CUDNN_TRY(cudnnSetConvolutionMathType(d->conv, math_of(x->dtype, are_narrow)));
  return DN_OK;
}

/* ---- What cuDNN can be asked ---- */

/* Images and channels that lie on one another have no descriptor. */
static bool lie_apart(const cuda_images *x) {
  return x->channel_stride >= x->h * x->w && x->image_stride >= x->c * x->channel_stride;
}

static bool fits_int(const cuda_images *x) { return x->n * x->image_stride <= INT32_MAX; }

static cuda_cudnn_outcome judge(const cuda_images *x, const cuda_images *y,
                                const cuda_conv2d *conv) {
  const dn_conv2d *options = &conv->options;
  if (!lie_apart(x) || !lie_apart(y)) return CUDA_CUDNN_REFUSED;
  if (options->pad_h > INT16_MAX || options->pad_w > INT16_MAX || options->stride_h > INT16_MAX ||
      options->stride_w > INT16_MAX || y->c * x->c * conv->r * conv->s > INT32_MAX)
    return CUDA_CUDNN_REFUSED;
  return fits_int(x) && fits_int(y) ? CUDA_CUDNN_DONE : CUDA_CUDNN_TOO_LARGE;
}

/* A call that was refused has done nothing. */
static dn_status conclude(cudnnStatus_t status, const char *call, cuda_cudnn_outcome *outcome) {
  *outcome = is_refusal(status) ? CUDA_CUDNN_REFUSED : CUDA_CUDNN_DONE;
  return check(is_refusal(status) ? CUDNN_STATUS_SUCCESS : status, call);
}

/* What a question about a workspace was answered, as an outcome; DONE: it has room. */
static dn_status room(cudnnStatus_t status, const size_t *n_bytes, cuda_cudnn_outcome *outcome) {
  DN_TRY(conclude(status, "cudnnGetConvolutionWorkspaceSize", outcome));
  if (*outcome == CUDA_CUDNN_DONE && *n_bytes > CUDA_CUDNN_WORKSPACE)
    *outcome = CUDA_CUDNN_TOO_LARGE;
  return DN_OK;
}

/* Factors of a result and of what was there, in the type that the call computes in. */
typedef struct factors {
  float narrow[2];
  double wide[2];
  const void *alpha, *beta;
} factors;

static void set_factors(factors *f, dn_dtype dtype, double alpha, double beta) {
  f->wide[0] = alpha;
  f->wide[1] = beta;
  f->narrow[0] = (float)alpha;
  f->narrow[1] = (float)beta;
  f->alpha = dtype == DN_DOUBLE ? (const void *)&f->wide[0] : &f->narrow[0];
  f->beta = dtype == DN_DOUBLE ? (const void *)&f->wide[1] : &f->narrow[1];
}

/* ---- Directions ---- */

/* A call as the directions share it. */
typedef struct conv_call {
  const cuda_images *x, *y;
  void *weight; /* written by backward_weight alone */
  double alpha, beta;
  void *workspace;
} conv_call;

static dn_status forward(cudnnHandle_t handle, const descriptors *d, const conv_call *call,
                         const factors *f, cuda_cudnn_outcome *outcome) {
  static const cudnnConvolutionFwdAlgo_t algorithms[] = {
      CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM};
  for (int i = 0; i < 2; i++) {
    size_t n_bytes = 0;
    DN_TRY(room(cudnnGetConvolutionForwardWorkspaceSize(handle, d->x, d->weight, d->conv, d->y,
                                                        algorithms[i], &n_bytes),
                &n_bytes, outcome));
    if (*outcome != CUDA_CUDNN_DONE) continue;
    DN_TRY(conclude(cudnnConvolutionForward(handle, f->alpha, d->x, call->x->data, d->weight,
                                            call->weight, d->conv, algorithms[i], call->workspace,
                                            CUDA_CUDNN_WORKSPACE, f->beta, d->y, call->y->data),
                    "cudnnConvolutionForward", outcome));
    if (*outcome == CUDA_CUDNN_DONE) break;
  }
  return DN_OK;
}

static dn_status backward_data(cudnnHandle_t handle, const descriptors *d, const conv_call *call,
                               const factors *f, cuda_cudnn_outcome *outcome) {
  const cudnnConvolutionBwdDataAlgo_t algorithm = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
  size_t n_bytes = 0;
  DN_TRY(room(cudnnGetConvolutionBackwardDataWorkspaceSize(handle, d->weight, d->y, d->conv, d->x,
                                                           algorithm, &n_bytes),
              &n_bytes, outcome));
  if (*outcome != CUDA_CUDNN_DONE) return DN_OK;
  return conclude(cudnnConvolutionBackwardData(handle, f->alpha, d->weight, call->weight, d->y,
                                               call->y->data, d->conv, algorithm, call->workspace,
                                               CUDA_CUDNN_WORKSPACE, f->beta, d->x, call->x->data),
                  "cudnnConvolutionBackwardData", outcome);
}

static dn_status backward_weight(cudnnHandle_t handle, const descriptors *d, const conv_call *call,
                                 const factors *f, cuda_cudnn_outcome *outcome) {
  const cudnnConvolutionBwdFilterAlgo_t algorithm = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
  size_t n_bytes = 0;
  DN_TRY(room(cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, d->x, d->y, d->conv, d->weight,
                                                             algorithm, &n_bytes),
              &n_bytes, outcome));
  if (*outcome != CUDA_CUDNN_DONE) return DN_OK;
  return conclude(
      cudnnConvolutionBackwardFilter(handle, f->alpha, d->x, call->x->data, d->y, call->y->data,
                                     d->conv, algorithm, call->workspace, CUDA_CUDNN_WORKSPACE,
                                     f->beta, d->weight, call->weight),
      "cudnnConvolutionBackwardFilter", outcome);
}

typedef dn_status direction(cudnnHandle_t handle, const descriptors *d, const conv_call *call,
                            const factors *f, cuda_cudnn_outcome *outcome);

static dn_status run_described(direction *run, const conv_call *call, const cuda_conv2d *conv,
                               bool are_narrow, const descriptors *d, cuda_cudnn_outcome *outcome) {
  cudnnHandle_t handle = NULL;
  factors f;
  DN_TRY(find_handle(&handle));
  DN_TRY(set(d, call->x, call->y, conv, are_narrow));
  set_factors(&f, call->x->dtype, call->alpha, call->beta);
  return run(handle, d, call, &f, outcome);
}

static dn_status run(direction *run_direction, const conv_call *call, const cuda_conv2d *conv,
                     bool are_narrow, cuda_cudnn_outcome *outcome) {
  *outcome = judge(call->x, call->y, conv);
  if (*outcome != CUDA_CUDNN_DONE) return DN_OK;
  descriptors d = {NULL, NULL, NULL, NULL};
  dn_status status = create(&d);
  if (status == DN_OK) status = run_described(run_direction, call, conv, are_narrow, &d, outcome);
  destroy(&d);
  return status;
}

dn_status cuda_cudnn_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                             const cuda_conv2d *conv, void *workspace,
                             cuda_cudnn_outcome *outcome) {
  const conv_call call = {x, y, const_cast<void *>(weight), 1, 0, workspace};
  return run(forward, &call, conv, false, outcome);
}

dn_status cuda_cudnn_backward_data(const cuda_images *dx, const cuda_images *dy, const void *weight,
                                   const cuda_conv2d *conv, void *workspace,
                                   cuda_cudnn_outcome *outcome) {
  const conv_call call = {dx, dy, const_cast<void *>(weight), 1, 0, workspace};
  return run(backward_data, &call, conv, false, outcome);
}

dn_status cuda_cudnn_backward_weight(void *dweight, const cuda_images *dy, const cuda_images *x,
                                     const cuda_conv2d *conv, double scale, bool are_narrow,
                                     void *workspace, cuda_cudnn_outcome *outcome) {
  const conv_call call = {x, dy, dweight, scale, 1, workspace};
  return run(backward_weight, &call, conv, are_narrow, outcome);
}
