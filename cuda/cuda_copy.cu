#include "cuda_copy.h"

#include "cuda_backend.h"
#include "cuda_narrow.h"
#include "cuda_wait.h"

/* Enqueues a copy and waits for it, without the lock. */
static dn_status copy_and_wait(dn_device *device, void *to, const void *from, int64_t n_bytes,
                               cudaMemcpyKind kind) {
  /* With memory that is not pinned the copy's own call waits for what is before it, and nobody could ask. */
  DN_TRY(cuda_wait_watched(device));
  DN_TRY(cuda_enter(device));
  const cudaStream_t stream = cuda_stream();
  if (kind == cudaMemcpyHostToDevice) cuda_narrow_written_bytes(to, n_bytes);
  const dn_status status =
      cuda_check(cudaMemcpyAsync(to, from, (size_t)n_bytes, kind, stream), "cudaMemcpyAsync");
  cuda_leave();
  DN_TRY(status);
  return cuda_wait(device, stream);
}

dn_status cuda_upload(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  return copy_and_wait(device, to, from, n_bytes, cudaMemcpyHostToDevice);
}

dn_status cuda_download(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  DN_TRY(copy_and_wait(device, to, from, n_bytes, cudaMemcpyDeviceToHost));
  DN_TRY(cuda_enter(device));
  const dn_status status = cuda_fault_take();
  cuda_leave();
  return status;
}

/* ---- Between devices: each one's stream waits for the other's at the right moment ---- */

static dn_status mark(void) {
  CUDA_TRY(cudaEventRecord(cuda_current()->reached, cuda_stream()));
  return DN_OK;
}

static dn_status wait_for(cudaEvent_t event) {
  CUDA_TRY(cudaStreamWaitEvent(cuda_stream(), event, 0));
  return DN_OK;
}

static dn_status pull(void *to, const cuda_device *source, const void *from, int64_t n_bytes) {
  cuda_narrow_written_bytes(to, n_bytes);
  DN_TRY(wait_for(source->reached));
  CUDA_TRY(cudaMemcpyPeerAsync(to, cuda_current()->ordinal, from, source->ordinal, (size_t)n_bytes,
                               cuda_stream()));
  return mark();
}

dn_status cuda_transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                        int64_t n_bytes) {
  DN_TRY(cuda_enter(from_device));
  dn_status status = mark();
  cuda_leave();
  DN_TRY(status);
  DN_TRY(cuda_enter(to_device));
  status = pull(to, cuda_state(from_device), from, n_bytes);
  cuda_leave();
  DN_TRY(status);
  DN_TRY(cuda_enter(from_device));
  status = wait_for(cuda_state(to_device)->reached);
  cuda_leave();
  return status;
}

/* ---- On the side ---- */

static dn_status start_aside(void *to, const void *from, int64_t n_bytes) {
  cuda_device *state = cuda_current();
  cuda_narrow_written_bytes(to, n_bytes);
  DN_TRY(mark());
  CUDA_TRY(cudaStreamWaitEvent(state->side_stream, state->reached, 0));
  state->side_is_open = true;
  state->n_started++;
  CUDA_TRY(cudaMemcpyAsync(to, from, (size_t)n_bytes, cudaMemcpyHostToDevice, state->side_stream));
  CUDA_TRY(cudaEventRecord(state->side_done, state->side_stream));
  return DN_OK;
}

dn_status cuda_upload_async(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  DN_TRY(cuda_enter(device));
  const dn_status status = start_aside(to, from, n_bytes);
  cuda_leave();
  return status;
}

dn_status cuda_side_join(void) {
  cuda_device *state = cuda_current();
  if (!state->side_is_open) return DN_OK;
  DN_TRY(wait_for(state->side_done));
  state->side_is_open = false;
  return DN_OK;
}

dn_status cuda_upload_join(dn_device *device) {
  DN_TRY(cuda_enter(device));
  const dn_status status = cuda_side_join();
  cuda_leave();
  return status;
}

dn_status cuda_upload_wait(dn_device *device) {
  DN_TRY(cuda_enter(device));
  cuda_device *state = cuda_current();
  const int64_t n_started = state->n_started;
  cuda_leave();
  DN_TRY(cuda_wait(device, state->side_stream));
  DN_TRY(cuda_enter(device));
  if (n_started > state->n_waited) state->n_waited = n_started;
  cuda_leave();
  return DN_OK;
}
