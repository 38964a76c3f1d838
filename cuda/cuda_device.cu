#include "cuda_device.h"

#include <stdio.h>
#include <stdlib.h>

#include "cuda_backend.h"
#include "cuda_cublas.h"
#include "cuda_cudnn.h"
#include "cuda_described.h"
#include "cuda_fused.h"
#include "cuda_wait.h"

static thread_local cuda_device *current;

cuda_device *cuda_current(void) { return current; }

cudaStream_t cuda_stream(void) { return current->stream; }

/* ---- Failures ---- */

/* After these the device's context is gone, and every later call fails as well. */
static bool is_lasting(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

dn_status cuda_check(cudaError_t error, const char *call) {
  if (error == cudaSuccess) return DN_OK;
  (void)cudaGetLastError();
  if (error == cudaErrorMemoryAllocation)
    return dn_error(DN_ENOMEM, "%.*s: no memory", (int)strcspn(call, "(<"), call);
  const bool is_launch = strncmp(call, "launch of ", 10) == 0;
  const int length = (int)(is_launch ? strlen(call) : strcspn(call, "("));
  const char *place = current ? current->device->name : "CUDA";
  dn_error(DN_EDEVICE, "%s: %.*s failed: %s (%s)", place, length, call, cudaGetErrorString(error),
           cudaGetErrorName(error));
  if (current && is_lasting(error)) {
    current->is_failed = true;
    snprintf(current->reason, sizeof current->reason, "%s", dn_error_message());
  }
  return DN_EDEVICE;
}

dn_status cuda_enter(dn_device *device) {
  cuda_device *state = cuda_state(device);
  pthread_mutex_lock(&state->lock);
  if (state->is_failed) {
    pthread_mutex_unlock(&state->lock);
    return dn_error(DN_EDEVICE, "%s has failed and is not used any more; %s", device->name,
                    state->reason);
  }
  current = state;
  const dn_status status = cuda_check(cudaSetDevice(state->ordinal), "cudaSetDevice");
  if (status != DN_OK) cuda_leave();
  return status;
}

void cuda_leave(void) {
  cuda_device *state = current;
  current = NULL;
  pthread_mutex_unlock(&state->lock);
}

/* ---- Opening ---- */

dn_status cuda_device_count(int *count) {
  *count = 0;
  const cudaError_t error = cudaGetDeviceCount(count);
  if (error != cudaSuccess) (void)cudaGetLastError();
  if (error == cudaErrorInsufficientDriver)
    return dn_error(DN_EDEVICE, "no CUDA: no NVIDIA driver, or one older than CUDA %d.%d",
                    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0))
    return dn_error(DN_EDEVICE, "no CUDA: there is no NVIDIA GPU here");
  return cuda_check(error, "cudaGetDeviceCount");
}

static dn_status open_state(cuda_device *state) {
  CUDA_TRY(cudaSetDevice(state->ordinal));
  CUDA_TRY(cudaDeviceGetAttribute(&state->capability[0], cudaDevAttrComputeCapabilityMajor,
                                  state->ordinal));
  CUDA_TRY(cudaDeviceGetAttribute(&state->capability[1], cudaDevAttrComputeCapabilityMinor,
                                  state->ordinal));
  CUDA_TRY(cudaDeviceGetAttribute(&state->n_multiprocessors, cudaDevAttrMultiProcessorCount,
                                  state->ordinal));
  CUDA_TRY(cudaDeviceGetAttribute(&state->n_shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                  state->ordinal));
  CUDA_TRY(cudaStreamCreateWithFlags(&state->stream, cudaStreamNonBlocking));
  CUDA_TRY(cudaStreamCreateWithFlags(&state->side_stream, cudaStreamNonBlocking));
  CUDA_TRY(cudaEventCreateWithFlags(&state->reached, cudaEventDisableTiming));
  CUDA_TRY(cudaEventCreateWithFlags(&state->side_done, cudaEventDisableTiming));
  CUDA_TRY(cudaHostAlloc((void **)&state->fault, sizeof *state->fault, cudaHostAllocMapped));
  CUDA_TRY(cudaMalloc((void **)&state->fault_turn, sizeof *state->fault_turn));
  DN_TRY(cuda_fault_reset(state));
  const size_t n_tickets = CUDA_TICKETS * sizeof *state->tickets;
  CUDA_TRY(cudaMalloc((void **)&state->tickets, n_tickets));
  CUDA_TRY(cudaMemsetAsync(state->tickets, 0, n_tickets, state->stream));
  return DN_OK;
}

static void close_state(cuda_device *state) {
  if (state->tickets) (void)cudaFree(state->tickets);
  if (state->fault_turn) (void)cudaFree(state->fault_turn);
  if (state->fault) (void)cudaFreeHost(state->fault);
  if (state->side_done) (void)cudaEventDestroy(state->side_done);
  if (state->reached) (void)cudaEventDestroy(state->reached);
  if (state->side_stream) (void)cudaStreamDestroy(state->side_stream);
  if (state->stream) (void)cudaStreamDestroy(state->stream);
  (void)cudaGetLastError();
  pthread_mutex_destroy(&state->memory.lock);
  pthread_mutex_destroy(&state->pinned.lock);
  pthread_mutex_destroy(&state->narrow_lock);
  pthread_mutex_destroy(&state->lock);
  free(state);
}

dn_status cuda_device_open(dn_device *device, int ordinal) {
  int count;
  DN_TRY(cuda_device_count(&count));
  if (ordinal >= count)
    return dn_error(DN_EDEVICE, "no %s: there %s %d NVIDIA GPU%s here, counted from 0",
                    device->name, count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
  cuda_device *state = (cuda_device *)calloc(1, sizeof *state);
  if (!state) return dn_error(DN_ENOMEM, "out of memory while opening %s", device->name);
  state->ordinal = ordinal;
  state->device = device;
  pthread_mutex_init(&state->lock, NULL);
  pthread_mutex_init(&state->narrow_lock, NULL);
  pthread_mutex_init(&state->memory.lock, NULL);
  pthread_mutex_init(&state->pinned.lock, NULL);
  current = state;
  const dn_status status = open_state(state);
  current = NULL;
  if (status != DN_OK) {
    close_state(state);
    return status;
  }
  device->state = state;
  return DN_OK;
}

/* ---- Questions ---- */

static dn_status describe(dn_device_info *info) {
  const cuda_device *state = current;
  cudaDeviceProp properties;
  CUDA_TRY(cudaGetDeviceProperties(&properties, state->ordinal));
  CUDA_TRY(cudaDriverGetVersion(&info->driver));
  CUDA_TRY(cudaRuntimeGetVersion(&info->runtime));
  snprintf(info->name, sizeof info->name, "%.127s", properties.name);
  info->total_bytes = (int64_t)properties.totalGlobalMem;
  size_t n_free, n_total;
  CUDA_TRY(cudaMemGetInfo(&n_free, &n_total));
  info->free_bytes = (int64_t)n_free;
  info->capability[0] = state->capability[0];
  info->capability[1] = state->capability[1];
  info->n_plans = state->cudnn ? state->cudnn->n_plans : 0;
  info->n_refused = state->n_refused;
  info->n_direct = state->n_direct;
  DN_TRY(cuda_cublas_release(info->cublas));
  return cuda_cudnn_release(info->cudnn);
}

dn_status cuda_describe(dn_device *device, dn_device_info *info) {
  DN_TRY(cuda_enter(device));
  const dn_status status = describe(info);
  cuda_leave();
  return status;
}

dn_status cuda_synchronize(dn_device *device) {
  cuda_device *state = cuda_state(device);
  DN_TRY(cuda_wait(device, state->stream));
  DN_TRY(cuda_wait(device, state->side_stream));
  DN_TRY(cuda_enter(device));
  const dn_status status = cuda_fault_take();
  cuda_leave();
  return status;
}

dn_status cuda_tf32(dn_device *device, bool on) {
  DN_TRY(cuda_enter(device));
  cuda_current()->uses_tf32 = on;
  cuda_fused_plan_tf32(on);
  cuda_described_set_tf32(cuda_current()->ordinal, on);
  cuda_leave();
  return DN_OK;
}
