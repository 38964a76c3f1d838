/*
** Convolutions by their definition, behind checks as strict as the library's: every descriptor set,
** shapes that go together, one type throughout, memory that is there, a workspace as large as was
** answered. Workspaces are of a size of their own: forward with precomputed offsets 4096 bytes, and
** backward the bytes of the images on both sides, so that large calls exceed what cuda/ gives.
** Calls that succeed leave an error of CUDA behind, as the library may that tries things out.
** Sums of all types but double are kept in float.
*/
#include "cudnn.h"

#include <vector>

#include "emulated_numbers.h"

struct cudnnContext {
  int device;
  cudaStream_t stream;
};

struct cudnnTensorStruct {
  bool is_set;
  emulated_type type;
  int64_t size[4], stride[4];
};

struct cudnnFilterStruct {
  bool is_set;
  emulated_type type;
  int64_t k, c, r, s;
};

struct cudnnConvolutionStruct {
  bool is_set, is_double;
  int64_t pad[2], stride[2], groups;
  cudnnMathType_t math;
};

namespace {

typedef cudnnTensorStruct tensor;

/* A whole call, by value: descriptors may be gone when the work runs. */
struct conv_call {
  tensor x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct conv;
  const void *x_data, *w_data, *y_data;
  double alpha, beta;
  bool is_tf32;
};

/* All numbers of a tensor, row-major, as they enter products. */
template <typename C>
std::vector<C> gather(const tensor &t, const void *data, bool is_tf32) {
  std::vector<C> numbers;
  numbers.reserve((size_t)(t.size[0] * t.size[1] * t.size[2] * t.size[3]));
  for (int64_t n = 0; n < t.size[0]; n++)
    for (int64_t c = 0; c < t.size[1]; c++)
      for (int64_t h = 0; h < t.size[2]; h++)
        for (int64_t w = 0; w < t.size[3]; w++) {
          const C number = (C)emulated_load(
              data, t.type, n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w);
          numbers.push_back(is_tf32 ? (C)emulated_tf32((float)number) : number);
        }
  return numbers;
}

template <typename C>
void write(C sum, const conv_call &call, void *data, emulated_type type, int64_t at) {
  const C before = call.beta == 0 ? (C)0 : (C)call.beta * (C)emulated_load(data, type, at);
  emulated_store(data, type, at, (C)call.alpha * sum + before);
}

template <typename C>
void scatter(const std::vector<C> &sums, const conv_call &call, const tensor &t, const void *data) {
  size_t i = 0;
  for (int64_t n = 0; n < t.size[0]; n++)
    for (int64_t c = 0; c < t.size[1]; c++)
      for (int64_t h = 0; h < t.size[2]; h++)
        for (int64_t w = 0; w < t.size[3]; w++)
          write(sums[i++], call, const_cast<void *>(data), t.type,
                n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w);
}

/* The weight as a tensor of four dimensions. */
tensor tensor_of(const cudnnFilterStruct &w) {
  return {true, w.type, {w.k, w.c, w.r, w.s}, {w.c * w.r * w.s, w.r * w.s, w.s, 1}};
}

enum { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };

/*
** Visits every product of x, w and y that the definition has, in one order: columns of y innermost.
** forward adds x w to y, backward_data y w to x, backward_filter x y to w, line by line.
*/
template <typename C>
void visit(const conv_call &call, int direction, std::vector<C> &x, std::vector<C> &w,
           std::vector<C> &y) {
  const int64_t *xs = call.x.size, *ys = call.y.size;
  const int64_t depth = call.w.c, width = call.w.k / call.conv.groups;
  for (int64_t n = 0; n < ys[0]; n++)
    for (int64_t k = 0; k < ys[1]; k++)
      for (int64_t c = 0; c < depth; c++)
        for (int64_t r = 0; r < call.w.r; r++)
          for (int64_t s = 0; s < call.w.s; s++) {
            C &weight = w[(size_t)(((k * depth + c) * call.w.r + r) * call.w.s + s)];
            const C factor = weight;
            C sum = 0;
            for (int64_t p = 0; p < ys[2]; p++) {
              const int64_t h = p * call.conv.stride[0] - call.conv.pad[0] + r;
              if (h < 0 || h >= xs[2]) continue;
              C *const x_line =
                  &x[(size_t)(((n * xs[1] + k / width * depth + c) * xs[2] + h) * xs[3])];
              C *const y_line = &y[(size_t)(((n * ys[1] + k) * ys[2] + p) * ys[3])];
              C line_sum = 0;
              for (int64_t q = 0; q < ys[3]; q++) {
                const int64_t at = q * call.conv.stride[1] - call.conv.pad[1] + s;
                if (at < 0 || at >= xs[3]) continue;
                if (direction == FORWARD)
                  y_line[q] += x_line[at] * factor;
                else if (direction == BACKWARD_DATA)
                  x_line[at] += y_line[q] * factor;
                else
                  line_sum += x_line[at] * y_line[q];
              }
              sum += line_sum;
            }
            if (direction == BACKWARD_FILTER) weight += sum;
          }
}

template <typename C>
void compute(const conv_call &call, int direction) {
  const tensor weight = tensor_of(call.w);
  std::vector<C> x, w, y;
  const auto load = [&](int is_output, const tensor &t, const void *data, std::vector<C> &to) {
    to = is_output ? std::vector<C>((size_t)(t.size[0] * t.size[1] * t.size[2] * t.size[3]))
                   : gather<C>(t, data, call.is_tf32);
  };
  load(direction == BACKWARD_DATA, call.x, call.x_data, x);
  load(direction == BACKWARD_FILTER, weight, call.w_data, w);
  load(direction == FORWARD, call.y, call.y_data, y);
  visit(call, direction, x, w, y);
  if (direction == FORWARD) scatter(y, call, call.y, call.y_data);
  if (direction == BACKWARD_DATA) scatter(x, call, call.x, call.x_data);
  if (direction == BACKWARD_FILTER) scatter(w, call, weight, call.w_data);
}

/* ---- Checks ---- */

bool type_of(cudnnDataType_t given, emulated_type *type) {
  switch (given) {
    case CUDNN_DATA_FLOAT:
      *type = EMULATED_FLOAT;
      return true;
    case CUDNN_DATA_DOUBLE:
      *type = EMULATED_DOUBLE;
      return true;
    case CUDNN_DATA_HALF:
      *type = EMULATED_HALF;
      return true;
    case CUDNN_DATA_BFLOAT16:
      *type = EMULATED_BFLOAT16;
      return true;
    default:
      return false;
  }
}

/* Descriptors that go together. */
cudnnStatus_t match(cudnnHandle_t handle, const tensor *x, const cudnnFilterStruct *w,
                    const cudnnConvolutionStruct *conv, const tensor *y) {
  if (!handle || !x || !w || !conv || !y) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!handle->stream || emulation_current() != handle->device) return CUDNN_STATUS_NOT_INITIALIZED;
  if (!x->is_set || !w->is_set || !conv->is_set || !y->is_set) return CUDNN_STATUS_BAD_PARAM;
  if (x->size[0] != y->size[0] || w->k != y->size[1] || w->c * conv->groups != x->size[1] ||
      w->k % conv->groups != 0)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  const int64_t kernel[2] = {w->r, w->s};
  for (int d = 0; d < 2; d++) {
    const int64_t span = x->size[2 + d] + 2 * conv->pad[d] - kernel[d];
    if (span < 0 || span / conv->stride[d] + 1 != y->size[2 + d])
      return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  }
  if (x->type != w->type || y->type != w->type || conv->is_double != (x->type == EMULATED_DOUBLE))
    return CUDNN_STATUS_NOT_SUPPORTED;
  if (conv->math == CUDNN_TENSOR_OP_MATH && x->type == EMULATED_DOUBLE)
    return CUDNN_STATUS_NOT_SUPPORTED;
  return CUDNN_STATUS_SUCCESS;
}

int64_t count(const tensor &t) { return t.size[0] * t.size[1] * t.size[2] * t.size[3]; }

size_t workspace_of(int direction, int algorithm, const tensor &x, const tensor &y) {
  if (direction == FORWARD)
    return algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? 4096 : 0;
  return (size_t)(count(x) + count(y)) * emulated_size(x.type);
}

cudnnStatus_t answer(cudnnStatus_t status, int direction, int algorithm, const tensor *x,
                     const tensor *y, size_t *n_bytes) {
  if (status != CUDNN_STATUS_SUCCESS) return status;
  emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("refuse cudnn")) return CUDNN_STATUS_NOT_SUPPORTED;
  *n_bytes = workspace_of(direction, algorithm, *x, *y);
  return CUDNN_STATUS_SUCCESS;
}

bool tensor_is_there(const tensor &t, const void *data, int device) {
  int64_t n = 1;
  for (int d = 0; d < 4; d++) n += (t.size[d] - 1) * t.stride[d];
  return emulated_is_there(data, n * (int64_t)emulated_size(t.type), device);
}

cudnnStatus_t start(cudnnHandle_t handle, int direction, int algorithm, conv_call call,
                    const void *alpha, const void *beta, void *workspace, size_t n_workspace) {
  emulation_locked here;
  if (!alpha || !beta) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  const size_t needed = workspace_of(direction, algorithm, call.x, call.y);
  if (needed > n_workspace) return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
  if (!tensor_is_there(call.x, call.x_data, handle->device) ||
      !tensor_is_there(call.y, call.y_data, handle->device) ||
      !tensor_is_there(tensor_of(call.w), call.w_data, handle->device) ||
      (needed > 0 && ((uintptr_t)workspace % 256 != 0 ||
                      !emulated_is_there(workspace, (int64_t)needed, handle->device))))
    return CUDNN_STATUS_BAD_PARAM;
  emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("fail cudnn")) return CUDNN_STATUS_EXECUTION_FAILED;
  if (emulation_is_ordered("misalign cudnn")) return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  const bool is_double = call.conv.is_double;
  call.alpha = is_double ? *(const double *)alpha : *(const float *)alpha;
  call.beta = is_double ? *(const double *)beta : *(const float *)beta;
  call.is_tf32 = call.x.type == EMULATED_FLOAT && call.conv.math != CUDNN_FMA_MATH;
  emulation_enqueue(handle->stream, [=]() {
    memset(workspace, 0xFF, needed);
    if (is_double)
      compute<double>(call, direction);
    else
      compute<float>(call, direction);
  });
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

/* ---- Handles and descriptors ---- */

/* Of no NVIDIA library: 0.0.0. */
cudnnStatus_t cudnnGetProperty(libraryPropertyType type, int *value) {
  (void)type;
  *value = 0;
  return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
    case CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT:
      return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
    case CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
  *handle = new cudnnContext();
  (*handle)->device = emulation_current();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *descriptor) {
  EMULATION_COUNT();
  *descriptor = new cudnnTensorStruct();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type,
                                           int n, int c, int h, int w, int n_stride, int c_stride,
                                           int h_stride, int w_stride) {
  EMULATION_COUNT();
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (n < 1 || c < 1 || h < 1 || w < 1 || n_stride < 1 || c_stride < 1 || h_stride < 1 ||
      w_stride < 1 || !type_of(type, &descriptor->type))
    return CUDNN_STATUS_BAD_PARAM;
  /* Others than planes that lie apart are not emulated. */
  if (w_stride != 1 || h_stride < w || c_stride < h * h_stride ||
      n_stride < (int64_t)c * c_stride || (int64_t)n * n_stride > INT32_MAX)
    return CUDNN_STATUS_NOT_SUPPORTED;
  const int64_t size[4] = {n, c, h, w}, stride[4] = {n_stride, c_stride, h_stride, w_stride};
  memcpy(descriptor->size, size, sizeof size);
  memcpy(descriptor->stride, stride, sizeof stride);
  descriptor->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *filter) {
  EMULATION_COUNT();
  *filter = new cudnnFilterStruct();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) {
  delete filter;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  EMULATION_COUNT();
  if (!filter) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (k < 1 || c < 1 || h < 1 || w < 1 || format != CUDNN_TENSOR_NCHW ||
      !type_of(type, &filter->type))
    return CUDNN_STATUS_BAD_PARAM;
  filter->k = k, filter->c = c, filter->r = h, filter->s = w;
  filter->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *conv) {
  EMULATION_COUNT();
  *conv = new cudnnConvolutionStruct();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t conv) {
  delete conv;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t conv, int pad_h,
                                              int pad_w, int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute_type) {
  EMULATION_COUNT();
  if (!conv) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h != 1 ||
      dilation_w != 1 || mode != CUDNN_CROSS_CORRELATION)
    return CUDNN_STATUS_BAD_PARAM;
  if (compute_type != CUDNN_DATA_FLOAT && compute_type != CUDNN_DATA_DOUBLE)
    return CUDNN_STATUS_NOT_SUPPORTED;
  conv->pad[0] = pad_h, conv->pad[1] = pad_w;
  conv->stride[0] = stride_h, conv->stride[1] = stride_w;
  conv->groups = 1;
  conv->math = CUDNN_DEFAULT_MATH;
  conv->is_double = compute_type == CUDNN_DATA_DOUBLE;
  conv->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t conv, int groups) {
  EMULATION_COUNT();
  if (!conv || groups < 1) return CUDNN_STATUS_BAD_PARAM;
  conv->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv, cudnnMathType_t math) {
  EMULATION_COUNT();
  if (!conv) return CUDNN_STATUS_BAD_PARAM;
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}

/* ---- Directions ---- */

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algorithm, size_t *n_bytes) {
  EMULATION_COUNT();
  return answer(match(handle, x, w, conv, y), FORWARD, algorithm, x, y, n_bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      cudnnTensorDescriptor_t x, const void *x_data,
                                      cudnnFilterDescriptor_t w, const void *w_data,
                                      cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algorithm, void *workspace,
                                      size_t n_workspace, const void *beta,
                                      cudnnTensorDescriptor_t y, void *y_data) {
  EMULATION_COUNT();
  const cudnnStatus_t status = match(handle, x, w, conv, y);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const conv_call call = {*x, *y, *w, *conv, x_data, w_data, y_data, 0, 0, false};
  return start(handle, FORWARD, algorithm, call, alpha, beta, workspace, n_workspace);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t *n_bytes) {
  EMULATION_COUNT();
  return answer(match(handle, dx, w, conv, dy), BACKWARD_DATA, algorithm, dx, dy, n_bytes);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha,
                                           cudnnFilterDescriptor_t w, const void *w_data,
                                           cudnnTensorDescriptor_t dy, const void *dy_data,
                                           cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace,
                                           size_t n_workspace, const void *beta,
                                           cudnnTensorDescriptor_t dx, void *dx_data) {
  EMULATION_COUNT();
  const cudnnStatus_t status = match(handle, dx, w, conv, dy);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const conv_call call = {*dx, *dy, *w, *conv, dx_data, w_data, dy_data, 0, 0, false};
  return start(handle, BACKWARD_DATA, algorithm, call, alpha, beta, workspace, n_workspace);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *n_bytes) {
  EMULATION_COUNT();
  return answer(match(handle, x, dw, conv, dy), BACKWARD_FILTER, algorithm, x, dy, n_bytes);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha,
                                             cudnnTensorDescriptor_t x, const void *x_data,
                                             cudnnTensorDescriptor_t dy, const void *dy_data,
                                             cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm,
                                             void *workspace, size_t n_workspace, const void *beta,
                                             cudnnFilterDescriptor_t dw, void *dw_data) {
  EMULATION_COUNT();
  const cudnnStatus_t status = match(handle, x, dw, conv, dy);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  const conv_call call = {*x, *dy, *dw, *conv, x_data, dw_data, dy_data, 0, 0, false};
  return start(handle, BACKWARD_FILTER, algorithm, call, alpha, beta, workspace, n_workspace);
}
