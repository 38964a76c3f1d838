/*
** The emulated devices themselves, the errors that calls leave behind, and the hooks of specs.
*/
#include "cuda_runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include <map>
#include <string>

/* In emulation_streams.cpp: why a device was lost with this error, or NULL. */
const char *emulation_reason(cudaError_t error);

static thread_local int current;
static thread_local cudaError_t last;

static const char *gpus(void) {
  const char *given = getenv("DENSENET_EMULATED_GPUS");
  return given ? given : "2";
}

int emulation_n_devices(void) {
  const int n = atoi(gpus());
  return n < 0 ? 0 : n > 16 ? 16 : n;
}

int64_t emulation_device_bytes(void) {
  const char *given = getenv("DENSENET_EMULATED_BYTES");
  return given ? atoll(given) : (int64_t)2 << 30;
}

int emulation_current(void) { return current; }

cudaError_t emulation_leave_error(cudaError_t error) {
  last = error;
  return error;
}

/* ---- Hooks ---- */

static std::map<std::string, int64_t> orders;
static bool reversed;

bool emulation_is_ordered(const char *name) {
  auto found = orders.find(name);
  return found != orders.end() && found->second > 0 && --found->second == 0;
}

int64_t emulation_hook_value(const char *name) {
  auto found = orders.find(name);
  return found != orders.end() ? found->second : 0;
}

bool emulation_is_reversed(void) { return reversed; }

bool emulation_hook(const char *name, int64_t value, const char **answer) {
  const std::string word = name;
  if (word == "counted") {
    const char *line = emulation_counted(value);
    if (answer) *answer = line;
    return line != nullptr;
  }
  if (word == "uncount") {
    emulation_uncount();
    return true;
  }
  if (word == "reverse") {
    emulation_finish(-1);
    reversed = value != 0;
    return true;
  }
  if (word == "broken") return emulation_break(value);
  if (word == "capture") return emulation_capture_case(value);
  if (word == "races") return emulation_finds_races();
  static const char *const words[] = {
      "fail as",          "fail malloc", "fail launch",  "refuse launch",  "fail copy",
      "fail cublas",      "fail cudnn",  "refuse cudnn", "misalign cudnn", "refuse nccl",
      "fail nccl",        "deaf nccl",   "hold nccl",    "fail graph",     "refuse graph",
      "fail instantiate", "refuse cupti"};
  bool is_known = false;
  for (const char *known : words) is_known = is_known || word == known;
  if (!is_known) return false;
  orders[word] = value;
  return true;
}

/* ---- The runtime's calls ---- */

cudaError_t cudaGetLastError(void) {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError(void) { return last; }

static const struct {
  cudaError_t error;
  const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNvlinkUncorrectable, "cudaErrorNvlinkUncorrectable",
     "uncorrectable NVLink error detected during the execution"},
    {cudaErrorContained, "cudaErrorContained", "an error was contained"},
    {cudaErrorTensorMemoryLeak, "cudaErrorTensorMemoryLeak", "tensor memory was not freed"},
    {cudaErrorExternalDevice, "cudaErrorExternalDevice", "an external device failed"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

const char *cudaGetErrorString(cudaError_t error) {
  const char *reason = emulation_reason(error);
  if (reason) return reason;
  for (const auto &entry : errors)
    if (entry.error == error) return entry.text;
  return "unknown error";
}

const char *cudaGetErrorName(cudaError_t error) {
  for (const auto &entry : errors)
    if (entry.error == error) return entry.name;
  return "cudaErrorUnknown";
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = 0;
  if (strcmp(gpus(), "no driver") == 0) return emulation_leave_error(cudaErrorInsufficientDriver);
  *count = emulation_n_devices();
  return *count > 0 ? cudaSuccess : emulation_leave_error(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= emulation_n_devices())
    return emulation_leave_error(cudaErrorInvalidDevice);
  current = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = current;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  (void)device;
  switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = EMULATION_SHARED_BYTES;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = EMULATION_MOST_SHARED_BYTES;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = EMULATION_MOST_SHARED_BYTES + 1024; /* a block's own KB */
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    default:
      *value = 0;
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  snprintf(properties->name, sizeof properties->name, "emulated GPU %d", device);
  properties->totalGlobalMem = (size_t)emulation_device_bytes();
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

/* ---- Shared memory of a kernel ---- */

/* What cudaFuncSetAttribute allowed, by device and kernel. */
static std::map<std::pair<int, const void *>, size_t> allowed;

size_t emulation_most_shared(const void *kernel, int device) {
  emulation_locked here;
  const auto found = allowed.find({device, kernel});
  const size_t least = (size_t)EMULATION_SHARED_BYTES;
  return found != allowed.end() && found->second > least ? found->second : least;
}

cudaError_t emulation_set_attribute(const void *kernel, cudaFuncAttribute attribute, int value) {
  emulation_locked here;
  emulation_count_call("cudaFuncSetAttribute");
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout)
    return value >= -1 && value <= 100 ? cudaSuccess : emulation_leave_error(cudaErrorInvalidValue);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      value > EMULATION_MOST_SHARED_BYTES)
    return emulation_leave_error(cudaErrorInvalidValue);
  allowed[{current, kernel}] = (size_t)value;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
