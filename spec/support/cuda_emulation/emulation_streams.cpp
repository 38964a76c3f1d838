/*
** Streams as queues of work, which runs when somebody waits for it: in order on its stream, and
** behind the events that the stream waits for, for which other streams go on as far as is needed.
** Work that needs other processes is tried again and again until they have come as far.
*/
#include "cuda_runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cupti.h"
#include "emulation_queue.h"

namespace {

typedef emulation_event_state event_state;
typedef emulation_task task;

const int MOST_DEVICES = 16;
cudaError_t lost[MOST_DEVICES];
std::string reasons[MOST_DEVICES];
int working_device = -1;

/* One call at a time; work never calls the runtime from another thread. */
pthread_mutex_t lock;
pthread_once_t once = PTHREAD_ONCE_INIT;

void make_lock() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&lock, &attributes);
}

typedef emulation_locked locked;

}  // namespace

emulation_locked::emulation_locked() {
  pthread_once(&once, make_lock);
  pthread_mutex_lock(&lock);
}

emulation_locked::~emulation_locked() { pthread_mutex_unlock(&lock); }

namespace {

std::vector<cudaStream_t> streams;

/* A lost device passes nothing any more, and nobody waits for it. */
bool is_passed(const event_state &event, uint64_t number) {
  return event.passed >= number || lost[event.on->device] != cudaSuccess;
}

/*
** Goes on with the stream's first task, or with what that waits for. False where nothing can be done
** before another process has done something.
*/
bool step(cudaStream_t stream) {
  task &first = stream->queue.front();
  if (first.awaits && !is_passed(*first.awaits, first.number)) return step(first.awaits->on);
  if (first.work && lost[stream->device] == cudaSuccess) {
    const int before = working_device;
    working_device = stream->device;
    emulation_memory_open(stream->device);
    const bool is_done = first.work();
    emulation_memory_close(stream->device);
    working_device = before;
    if (!is_done) return false;
  }
  stream->queue.pop_front();
  return true;
}

/* While others have to come first: they may be in need of this core. */
void rest() { usleep(50); }

cudaError_t drain(cudaStream_t stream) {
  if (!stream->queue.empty()) {
    emulation_memory_open(stream->device);
    while (!stream->queue.empty())
      if (!step(stream)) rest();
    emulation_memory_close(stream->device);
  }
  const cudaError_t error = lost[stream->device];
  return error == cudaSuccess ? error : emulation_leave_error(error);
}

/* A stream may advance because another one waits for it. */
void pass(const std::shared_ptr<event_state> &state, uint64_t number) {
  while (state->on && !is_passed(*state, number))
    if (!step(state->on)) rest();
}

void copy_bytes(void *to, const void *from, size_t n_bytes) {
  const int devices[2] = {emulation_device_of(to), emulation_device_of(from)};
  for (int device : devices)
    if (device >= 0) emulation_memory_open(device);
  memmove(to, from, n_bytes);
  emulation_races_written(to, n_bytes);
  for (int device : devices)
    if (device >= 0) emulation_memory_close(device);
}

}  // namespace

void emulation_enqueue_until(cudaStream_t stream, const std::function<bool()> &work) {
  locked here;
  task added;
  added.work = work;
  emulation_append(stream, added);
}

void emulation_enqueue(cudaStream_t stream, const std::function<void()> &work) {
  emulation_enqueue_until(stream, [work]() {
    work();
    return true;
  });
}

bool emulation_advance(cudaStream_t stream) {
  locked here;
  return stream->queue.empty() || step(stream);
}

int emulation_device_of_stream(cudaStream_t stream) { return stream->device; }

void emulation_fail(cudaError_t error, const char *format, ...) {
  char text[400];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (lost[working_device] != cudaSuccess) return;
  lost[working_device] = error;
  reasons[working_device] = text;
}

cudaError_t emulation_lost(int device) { return lost[device]; }

const char *emulation_reason(cudaError_t error) {
  for (int device = 0; device < MOST_DEVICES; device++)
    if (lost[device] == error && error != cudaSuccess) return reasons[device].c_str();
  return nullptr;
}

void emulation_finish(int device) {
  locked here;
  for (cudaStream_t stream : streams)
    if (device < 0 || stream->device == device) (void)drain(stream);
}

void emulation_launch_body(const char *name, const void *kernel, dim3 grid, dim3 block,
                           size_t n_shared, cudaStream_t stream,
                           const std::function<void()> &body) {
  locked here;
  emulation_count_launch(name);
  if (lost[stream->device] != cudaSuccess) {
    emulation_leave_error(lost[stream->device]);
    return;
  }
  if (stream->capture && stream->capture->is_invalid) {
    emulation_leave_error(cudaErrorStreamCaptureInvalidated);
    return;
  }
  const uint64_t n_threads = (uint64_t)block.x * block.y * block.z;
  const size_t most_shared = emulation_most_shared(kernel, stream->device);
  const bool fits = n_threads >= 1 && n_threads <= 1024 && block.z <= 64 && grid.x >= 1 &&
                    grid.x <= INT32_MAX && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
                    grid.z <= 65535 && n_shared <= most_shared;
  if (!fits || stream->device != emulation_current() || emulation_is_ordered("refuse launch")) {
    emulation_leave_error(cudaErrorInvalidConfiguration);
    return;
  }
  const bool fails = emulation_is_ordered("fail launch");
  const int64_t chosen = emulation_hook_value("fail as");
  const cudaError_t error = chosen == 0 ? cudaErrorLaunchFailure : (cudaError_t)chosen;
  const std::string own_name = name;
  emulation_enqueue(stream, [=]() {
    const uint64_t start = emulated_cupti_now();
    if (fails)
      emulation_fail(error, "%s was told to fail", own_name.c_str());
    else
      emulation_run(own_name.c_str(), grid, block, n_shared, most_shared, body);
    if (emulated_cupti_is_enabled()) emulated_cupti_record(own_name.c_str(), stream->device, start);
  });
}

/* ---- The runtime's calls ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  (void)flags;
  locked here;
  *stream = new emulation_stream();
  (*stream)->device = emulation_current();
  streams.push_back(*stream);
  return cudaSuccess;
}

/* As the GPUs of today have them: six, of which this takes none into account. */
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
  if (priority > 0 || priority < -5) return emulation_leave_error(cudaErrorInvalidValue);
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  locked here;
  const cudaError_t error = drain(stream);
  for (size_t i = 0; i < streams.size(); i++)
    if (streams[i] == stream) streams.erase(streams.begin() + (ptrdiff_t)i);
  delete stream;
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  locked here;
  EMULATION_COUNT();
  if (stream->capture) return emulation_capture_refuse(stream);
  return drain(stream);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  locked here;
  if (stream->capture) return emulation_capture_refuse(stream);
  if (lost[stream->device] != cudaSuccess) return emulation_leave_error(lost[stream->device]);
  return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void) {
  EMULATION_COUNT();
  const int device = emulation_current();
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  emulation_finish(device);
  return lost[device] == cudaSuccess ? cudaSuccess : emulation_leave_error(lost[device]);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  EMULATION_COUNT();
  *event = new emulation_event();
  (*event)->is_timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  locked here;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  locked here;
  EMULATION_COUNT();
  const std::shared_ptr<event_state> state = event->state;
  if (stream->capture) {
    emulation_capture_record(state.get(), stream);
    return cudaSuccess;
  }
  state->capture.reset();
  /* An earlier record on another stream counts as passed: nobody can ask for it any more. */
  if (state->on && state->on != stream) pass(state, state->recorded);
  state->on = stream;
  const uint64_t number = ++state->recorded;
  emulation_enqueue(stream, [state, number]() {
    state->passed = number;
    state->passed_ms = (double)emulated_cupti_now() * 1e-6;
  });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  (void)flags;
  locked here;
  EMULATION_COUNT();
  if (stream->capture || event->state->capture)
    return emulation_capture_wait(stream, *event->state);
  task added;
  added.awaits = event->state;
  added.number = event->state->recorded;
  stream->queue.push_back(added);
  return cudaSuccess;
}

/* A GPU works while nobody waits: whoever asks often enough finds it done. */
cudaError_t cudaEventQuery(cudaEvent_t event) {
  locked here;
  const std::shared_ptr<event_state> state = event->state;
  if (state->capture) return emulation_leave_error(cudaErrorCapturedEvent);
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  if (state->passed >= state->recorded) return cudaSuccess;
  if (lost[state->on->device] != cudaSuccess) return emulation_leave_error(lost[state->on->device]);
  if (!step(state->on)) rest();
  return emulation_leave_error(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  locked here;
  EMULATION_COUNT();
  if (event->state->capture) return emulation_leave_error(cudaErrorCapturedEvent);
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  const cudaStream_t on = event->state->on;
  pass(event->state, event->state->recorded);
  return !on || lost[on->device] == cudaSuccess ? cudaSuccess
                                                : emulation_leave_error(lost[on->device]);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  locked here;
  for (cudaEvent_t event : {from, to}) {
    const event_state &state = *event->state;
    if (!event->is_timed || state.recorded == 0)
      return emulation_leave_error(cudaErrorInvalidResourceHandle);
    if (state.passed < state.recorded) return emulation_leave_error(cudaErrorNotReady);
  }
  *milliseconds = (float)(to->state->passed_ms - from->state->passed_ms);
  return cudaSuccess;
}

/* Both ends of the bytes are in the memory of the device that the kind names (-1: the host). */
static bool is_within(const void *bytes, size_t n_bytes, int device) {
  const char *last = (const char *)bytes + (n_bytes > 0 ? n_bytes - 1 : 0);
  return emulation_device_of(bytes) == device && emulation_device_of(last) == device;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  locked here;
  const int device = stream->device;
  if (lost[device] != cudaSuccess) return emulation_leave_error(lost[device]);
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (emulation_is_ordered("fail copy") || !is_within(to, n_bytes, to_device ? device : -1) ||
      !is_within(from, n_bytes, from_device ? device : -1))
    return emulation_leave_error(cudaErrorInvalidValue);
  /* The host waits, or may have to: a copy from or to memory that is not pinned. */
  const bool is_blocking =
      (!from_device && !emulation_is_pinned(from)) || (!to_device && !emulation_is_pinned(to));
  emulation_count_call(is_blocking ? "blocking copy" : "cudaMemcpyAsync");
  if (is_blocking && stream->capture) return emulation_capture_refuse(stream);
  if (stream->capture && stream->capture->is_invalid)
    return emulation_leave_error(cudaErrorStreamCaptureInvalidated);
  if (!from_device && !emulation_is_pinned(from)) {
    const std::shared_ptr<std::string> staged =
        std::make_shared<std::string>((const char *)from, n_bytes);
    emulation_enqueue(stream, [=]() { copy_bytes(to, staged->data(), n_bytes); });
    return cudaSuccess;
  }
  emulation_enqueue(stream, [=]() { copy_bytes(to, from, n_bytes); });
  return !to_device && !emulation_is_pinned(to) ? drain(stream) : cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device,
                                size_t n_bytes, cudaStream_t stream) {
  locked here;
  EMULATION_COUNT();
  if (!is_within(to, n_bytes, to_device) || !is_within(from, n_bytes, from_device))
    return emulation_leave_error(cudaErrorInvalidValue);
  emulation_enqueue(stream, [=]() { copy_bytes(to, from, n_bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t n_bytes, cudaStream_t stream) {
  locked here;
  EMULATION_COUNT();
  if (!is_within(to, n_bytes, stream->device)) return emulation_leave_error(cudaErrorInvalidValue);
  if (stream->capture && stream->capture->is_invalid)
    return emulation_leave_error(cudaErrorStreamCaptureInvalidated);
  emulation_enqueue(stream, [=]() {
    memset(to, value, n_bytes);
    emulation_races_written(to, n_bytes);
  });
  return cudaSuccess;
}
