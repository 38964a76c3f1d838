/*
** The CUDA runtime on the host, as far as cuda/ uses it: the calls of its library, and the words and
** built-in functions of kernels. Names and meanings are NVIDIA's. What stands behind them is told in
** emulation.h. Whatever is not here, cuda/ must not use, or it has to be added.
*/
#ifndef EMULATED_CUDA_RUNTIME_H
#define EMULATED_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CUDART_VERSION 13000

#define __host__
#define __device__
#define __global__ static
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)

/* ---- Errors ---- */

typedef enum cudaError {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorECCUncorrectable = 214,
  cudaErrorNvlinkUncorrectable = 220,
  cudaErrorContained = 226,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalState = 401,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorTensorMemoryLeak = 721,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorCapturedEvent = 907,
  cudaErrorStreamCaptureWrongThread = 908,
  cudaErrorExternalDevice = 911,
  cudaErrorUnknown = 999
} cudaError_t;

cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);

/* ---- Devices ---- */

typedef enum cudaDeviceAttr {
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
} cudaDeviceAttr;

typedef struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor;
  int multiProcessorCount;
} cudaDeviceProp;

/* Asked of the libraries; NVIDIA has it in library_types.h. */
typedef enum libraryPropertyType_t {
  MAJOR_VERSION = 0,
  MINOR_VERSION = 1,
  PATCH_LEVEL = 2
} libraryPropertyType;

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaMemGetInfo(size_t *n_free, size_t *n_total);

/* ---- Memory ---- */

enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2 };

typedef enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
} cudaMemcpyKind;

typedef struct emulation_stream *cudaStream_t;
typedef struct emulation_event *cudaEvent_t;

cudaError_t cudaMalloc(void **block, size_t n_bytes);
cudaError_t cudaFree(void *block);
cudaError_t cudaHostAlloc(void **block, size_t n_bytes, unsigned flags);
cudaError_t cudaFreeHost(void *block);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device,
                                size_t n_bytes, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t n_bytes, cudaStream_t stream);

/* ---- Streams and events ---- */

enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventDisableTiming = 2 };

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority);
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to);

/* ---- Graphs (emulation_capture.cpp) ---- */

typedef struct emulation_graph *cudaGraph_t;
typedef struct emulation_graph_exec *cudaGraphExec_t;
typedef struct emulation_graph_node *cudaGraphNode_t;

typedef enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2
} cudaStreamCaptureMode;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *n);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long flags);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

/* ---- Inside kernels ---- */

struct uint3 {
  unsigned x, y, z;
};

struct alignas(8) float2 {
  float x, y;
};

struct alignas(8) uint2 {
  unsigned x, y;
};

struct alignas(8) int2 {
  int x, y;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1)
      : x(width), y(height), z(depth) {}
};

#include "emulation.h"
#include "emulation_races.h"

typedef enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
} cudaFuncAttribute;

/* Good for the current device alone. */
cudaError_t emulation_set_attribute(const void *kernel, cudaFuncAttribute attribute, int value);

static inline cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute,
                                               int value) {
  return emulation_set_attribute(kernel, attribute, value);
}

template <typename... Parameters>
static inline cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...),
                                               cudaFuncAttribute attribute, int value) {
  return emulation_set_attribute((const void *)kernel, attribute, value);
}

#define threadIdx (emulation_now.thread)
#define blockIdx (emulation_now.block)
#define blockDim (emulation_now.block_size)
#define gridDim (emulation_now.grid_size)

static inline void __syncthreads(void) { emulation_wait_block(); }
static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { emulation_exchange(mask, NULL, 0); }
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}
static inline void __threadfence_system(void) {}

/* The value that lane `from` gives. */
template <typename T>
static inline T emulation_shuffle(unsigned mask, T value, int from) {
  const char *lanes = emulation_exchange(mask, &value, sizeof value);
  T result;
  memcpy(&result, lanes + (size_t)from * EMULATION_LANE_BYTES, sizeof result);
  return result;
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  const int own = emulation_lane();
  return emulation_shuffle(mask, value, own / width * width + lane % width);
}

template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const int own = emulation_lane(), from = own ^ bits;
  return emulation_shuffle(mask, value, from / width > own / width ? own : from);
}

template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const int own = emulation_lane(), from = own + (int)distance;
  return emulation_shuffle(mask, value, from / width != own / width ? own : from);
}

template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const int own = emulation_lane(), from = own - (int)distance;
  return emulation_shuffle(mask, value, from < own / width * width ? own : from);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const int given = predicate != 0;
  const char *lanes = emulation_exchange(mask, &given, sizeof given);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; lane++) {
    int other;
    memcpy(&other, lanes + (size_t)lane * EMULATION_LANE_BYTES, sizeof other);
    bits |= (unsigned)(other != 0) << lane;
  }
  return bits;
}

static inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}

static inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == 0xFFFFFFFFu;
}

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }

/*
** One thread runs at a time, and none is interrupted. What is read and written here is told as one
** atomic operation, so it is not told as plain ones.
*/
template <typename T, typename F>
__attribute__((no_sanitize("thread"))) static inline T emulation_atomic(T *at, F change) {
  emulation_races_atomic(at, sizeof *at);
  const T before = *at;
  *at = change(before);
  return before;
}

template <typename T, typename U>
static inline T atomicAdd(T *at, U value) {
  return emulation_atomic(at, [=](T before) { return (T)(before + (T)value); });
}

template <typename T, typename U>
static inline T atomicMin(T *at, U value) {
  return emulation_atomic(at, [=](T before) { return (T)value < before ? (T)value : before; });
}

template <typename T, typename U>
static inline T atomicMax(T *at, U value) {
  return emulation_atomic(at, [=](T before) { return (T)value > before ? (T)value : before; });
}

template <typename T, typename U>
static inline T atomicOr(T *at, U value) {
  return emulation_atomic(at, [=](T before) { return before | (T)value; });
}

template <typename T, typename U>
static inline T atomicExch(T *at, U value) {
  return emulation_atomic(at, [=](T) { return (T)value; });
}

template <typename T, typename U, typename V>
static inline T atomicCAS(T *at, U expected, V value) {
  return emulation_atomic(at, [=](T before) { return before == (T)expected ? (T)value : before; });
}

#endif
