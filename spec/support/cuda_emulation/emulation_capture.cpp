/*
** Captures: what is put on a stream meanwhile is kept, not run, and becomes a graph, whose launch puts all
** of it on a stream again. Other streams take part once they wait for an event that was recorded inside, and
** have to be waited for before the end. Whatever allocates or waits is refused, and makes the capture
** invalid, with CUDA's own errors:
**   900  the call is not allowed while capturing      904  a stream that took part was not waited for
**   901  an earlier call has made the capture invalid  905  a wait for an event recorded outside
**   907  a question about an event recorded inside     908  the end is called by another thread
** The hook "fail graph" n makes the n-th launch of a graph from now fail as a kernel would; "refuse graph"
** refuses it; "fail instantiate" leaves no memory for the n-th graph from now.
*/
#include "emulation_queue.h"

typedef emulation_locked locked;

struct emulation_graph {
  std::vector<emulation_task> tasks;
};

struct emulation_graph_exec {
  std::vector<emulation_task> tasks;
};

namespace {

/* Captures that this thread may spoil. */
thread_local std::vector<std::shared_ptr<emulation_capture>> own;

emulation_member *member_of(emulation_capture *capture, cudaStream_t stream) {
  for (emulation_member &member : capture->members)
    if (member.stream == stream) return &member;
  return nullptr;
}

cudaError_t spoil(emulation_capture *capture, cudaError_t error) {
  capture->is_invalid = true;
  return emulation_leave_error(error);
}

void forget(const std::shared_ptr<emulation_capture> &capture) {
  for (const emulation_member &member : capture->members) member.stream->capture.reset();
  for (size_t i = 0; i < own.size(); i++)
    if (own[i] == capture) own.erase(own.begin() + (ptrdiff_t)i);
}

bool is_joined(const emulation_capture &capture) {
  for (const emulation_member &member : capture.members)
    if (member.stream != capture.first && member.n_joined < member.n_given) return false;
  return true;
}

}  // namespace

void emulation_append(cudaStream_t stream, const emulation_task &task) {
  if (!stream->capture) {
    stream->queue.push_back(task);
    return;
  }
  stream->capture->tasks.push_back(task);
  member_of(stream->capture.get(), stream)->n_given++;
}

void emulation_capture_record(emulation_event_state *event, cudaStream_t stream) {
  event->on = stream;
  event->capture = stream->capture;
  event->n_given = member_of(stream->capture.get(), stream)->n_given;
}

cudaError_t emulation_capture_wait(cudaStream_t stream, const emulation_event_state &event) {
  const std::shared_ptr<emulation_capture> capture = stream->capture;
  if (!event.capture) return spoil(capture.get(), cudaErrorStreamCaptureIsolation);
  if (event.capture->is_invalid) return emulation_leave_error(cudaErrorStreamCaptureInvalidated);
  if (!capture) { /* it joins; even without work of its own it has to come back */
    stream->capture = event.capture;
    emulation_member joined;
    joined.stream = stream;
    joined.n_given = 1;
    event.capture->members.push_back(joined);
    return cudaSuccess;
  }
  if (capture != event.capture) return spoil(capture.get(), cudaErrorStreamCaptureIsolation);
  emulation_member *awaited = member_of(capture.get(), event.on);
  if (stream == capture->first && event.n_given > awaited->n_joined)
    awaited->n_joined = event.n_given;
  return cudaSuccess;
}

cudaError_t emulation_capture_refuse(cudaStream_t stream) {
  locked here;
  if (stream && stream->capture)
    return spoil(stream->capture.get(), cudaErrorStreamCaptureUnsupported);
  cudaError_t error = cudaSuccess;
  for (const std::shared_ptr<emulation_capture> &capture : own)
    if (!capture->is_relaxed) error = spoil(capture.get(), cudaErrorStreamCaptureUnsupported);
  return error;
}

/* ---- The runtime's calls ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  locked here;
  EMULATION_COUNT();
  if (emulation_lost(stream->device) != cudaSuccess)
    return emulation_leave_error(emulation_lost(stream->device));
  if (stream->capture) return emulation_leave_error(cudaErrorIllegalState);
  const std::shared_ptr<emulation_capture> capture = std::make_shared<emulation_capture>();
  capture->first = stream;
  capture->thread = pthread_self();
  capture->is_relaxed = mode == cudaStreamCaptureModeRelaxed;
  emulation_member member;
  member.stream = stream;
  capture->members.push_back(member);
  stream->capture = capture;
  own.push_back(capture);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  locked here;
  EMULATION_COUNT();
  *graph = nullptr;
  const std::shared_ptr<emulation_capture> capture = stream->capture;
  if (!capture || capture->first != stream) return emulation_leave_error(cudaErrorIllegalState);
  if (!capture->is_relaxed && !pthread_equal(capture->thread, pthread_self()))
    return spoil(capture.get(), cudaErrorStreamCaptureWrongThread);
  forget(capture);
  if (capture->is_invalid) return emulation_leave_error(cudaErrorStreamCaptureInvalidated);
  capture->is_invalid = true; /* over: events recorded inside are good for nothing */
  if (!is_joined(*capture)) return emulation_leave_error(cudaErrorStreamCaptureUnjoined);
  *graph = new emulation_graph();
  (*graph)->tasks = capture->tasks;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *n) {
  if (nodes)
    return emulation_leave_error(cudaErrorInvalidValue); /* only the number is known here */
  *n = graph->tasks.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long flags) {
  locked here;
  EMULATION_COUNT();
  *exec = nullptr;
  if (flags != 0) return emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("fail instantiate"))
    return emulation_leave_error(cudaErrorMemoryAllocation);
  *exec = new emulation_graph_exec();
  (*exec)->tasks = graph->tasks;
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  (void)exec;
  return stream->capture ? emulation_capture_refuse(stream) : cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  locked here;
  EMULATION_COUNT();
  const cudaError_t lost = emulation_lost(stream->device);
  if (lost != cudaSuccess) return emulation_leave_error(lost);
  if (stream->capture) return emulation_capture_refuse(stream);
  if (emulation_is_ordered("refuse graph")) return emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("fail graph"))
    emulation_enqueue(stream, []() {
      emulation_fail(cudaErrorLaunchFailure, "a kernel of the graph was told to fail");
    });
  for (const emulation_task &task : exec->tasks) emulation_append(stream, task);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
