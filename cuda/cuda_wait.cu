#include "cuda_wait.h"

#include <sched.h>
#include <time.h>

#include "cuda_backend.h"
#include "cuda_narrow.h"

static const double WATCH_SECONDS = 0.1;

static dn_device_check *watcher_of(const cuda_device *state) {
  return __atomic_load_n(&state->check, __ATOMIC_ACQUIRE);
}

void cuda_watch(dn_device *device, dn_device_check *check) {
  __atomic_store_n(&cuda_state(device)->check, check, __ATOMIC_RELEASE);
}

dn_status cuda_queue_enter(dn_device *device, void **queue) {
  DN_TRY(cuda_enter(device));
  cuda_narrow_forget();
  *queue = cuda_stream();
  return DN_OK;
}

void cuda_queue_leave(dn_device *device) {
  (void)device;
  cuda_leave();
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* *status is what the watcher said, when it ended the wait. */
static cudaError_t poll(dn_device *device, cudaEvent_t event, dn_device_check *check,
                        dn_status *status) {
  double asked = now();
  for (;;) {
    const cudaError_t error = cudaEventQuery(event);
    if (error != cudaErrorNotReady) return error;
    (void)cudaGetLastError();
    if (now() - asked > WATCH_SECONDS) {
      *status = check(device);
      if (*status != DN_OK) return cudaSuccess;
      asked = now();
    }
    (void)sched_yield();
  }
}

static cudaError_t wait_watched(dn_device *device, cudaStream_t stream, dn_device_check *check,
                                dn_status *status) {
  cudaEvent_t event = NULL;
  cudaError_t error = cudaSetDevice(cuda_state(device)->ordinal);
  if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  if (error == cudaSuccess) error = cudaEventRecord(event, stream);
  if (error == cudaSuccess) error = poll(device, event, check, status);
  if (event) (void)cudaEventDestroy(event);
  return error;
}

dn_status cuda_wait(dn_device *device, cudaStream_t stream) {
  dn_device_check *check = watcher_of(cuda_state(device));
  dn_status status = DN_OK;
  DN_TRY(cuda_enter(device)); /* refuses a device that has failed */
  cuda_leave();
  const cudaError_t error =
      check ? wait_watched(device, stream, check, &status) : cudaStreamSynchronize(stream);
  if (error == cudaSuccess) return status;
  DN_TRY(cuda_enter(device));
  status = cuda_check(error, check ? "cudaEventQuery" : "cudaStreamSynchronize");
  cuda_leave();
  return status;
}

dn_status cuda_wait_event(dn_device *device, cudaEvent_t event) {
  dn_device_check *check = watcher_of(cuda_state(device));
  dn_status status = DN_OK;
  DN_TRY(cuda_enter(device)); /* refuses a device that has failed */
  cuda_leave();
  const cudaError_t error =
      check ? poll(device, event, check, &status) : cudaEventSynchronize(event);
  if (error == cudaSuccess) return status;
  DN_TRY(cuda_enter(device));
  status = cuda_check(error, check ? "cudaEventQuery" : "cudaEventSynchronize");
  cuda_leave();
  return status;
}

dn_status cuda_wait_watched(dn_device *device) {
  const cuda_device *state = cuda_state(device);
  return watcher_of(state) ? cuda_wait(device, state->stream) : DN_OK;
}

/* Bad news come again, from whoever waits next. */
void cuda_wait_inside(dn_device *device) {
  dn_device_check *check = watcher_of(cuda_state(device));
  dn_status status = DN_OK;
  if (check && wait_watched(device, cuda_stream(), check, &status) != cudaSuccess)
    (void)cudaGetLastError();
}
