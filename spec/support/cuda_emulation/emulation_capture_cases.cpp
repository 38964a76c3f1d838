/*
** What a program may do wrong with a capture, one case after the other, and the error of CUDA that each has
** to give here as well: the hook "capture" n runs case n, from 1, and is true where it does.
*/
#include "cuda_runtime.h"

#include <pthread.h>

namespace {

struct bench {
  cudaStream_t stream = nullptr, side = nullptr;
  cudaEvent_t event = nullptr;
  int *memory = nullptr;

  bench() {
    (void)cudaSetDevice(0);
    (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    (void)cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
    (void)cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    (void)cudaMalloc((void **)&memory, 64);
  }
  ~bench() {
    (void)cudaEventDestroy(event);
    (void)cudaStreamDestroy(side);
    (void)cudaStreamDestroy(stream);
    (void)cudaFree(memory);
    (void)cudaGetLastError();
  }
  void begin() { (void)cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal); }
  cudaError_t end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream, &graph);
    if (graph) (void)cudaGraphDestroy(graph);
    return error;
  }
};

/* The call is refused, and the capture is worth nothing any more. */
bool refuses(bench &b, cudaError_t given) {
  return given == cudaErrorStreamCaptureUnsupported &&
         cudaMemsetAsync(b.memory, 0, 64, b.stream) == cudaErrorStreamCaptureInvalidated &&
         b.end() == cudaErrorStreamCaptureInvalidated;
}

bool allocates(bench &b) {
  void *block = nullptr;
  return refuses(b, cudaMalloc(&block, 64));
}

bool frees(bench &b) { return refuses(b, cudaFree(b.memory)); }

bool pins(bench &b) {
  void *block = nullptr;
  return refuses(b, cudaHostAlloc(&block, 64, cudaHostAllocDefault));
}

bool synchronizes(bench &b) { return refuses(b, cudaStreamSynchronize(b.stream)); }

bool waits_for_all(bench &b) { return refuses(b, cudaDeviceSynchronize()); }

bool asks(bench &b) { return refuses(b, cudaStreamQuery(b.stream)); }

bool copies_from_pageable_memory(bench &b) {
  int number = 1;
  return refuses(
      b, cudaMemcpyAsync(b.memory, &number, sizeof number, cudaMemcpyHostToDevice, b.stream));
}

bool awaits_what_is_outside(bench &b) {
  (void)cudaEventRecord(b.event, b.side);
  return cudaStreamWaitEvent(b.stream, b.event, 0) == cudaErrorStreamCaptureIsolation &&
         b.end() == cudaErrorStreamCaptureInvalidated;
}

bool leaves_a_stream_behind(bench &b) {
  (void)cudaEventRecord(b.event, b.stream);
  (void)cudaStreamWaitEvent(b.side, b.event, 0);
  (void)cudaMemsetAsync(b.memory, 0, 64, b.side);
  return b.end() == cudaErrorStreamCaptureUnjoined;
}

bool joins(bench &b) {
  (void)cudaEventRecord(b.event, b.stream);
  (void)cudaStreamWaitEvent(b.side, b.event, 0);
  (void)cudaMemsetAsync(b.memory, 0, 64, b.side);
  (void)cudaEventRecord(b.event, b.side);
  (void)cudaStreamWaitEvent(b.stream, b.event, 0);
  return b.end() == cudaSuccess;
}

bool asks_for_an_event_inside(bench &b) {
  (void)cudaEventRecord(b.event, b.stream);
  return cudaEventQuery(b.event) == cudaErrorCapturedEvent && b.end() == cudaSuccess;
}

void *end_of(void *given) { return (void *)(uintptr_t)((bench *)given)->end(); }

bool ends_elsewhere(bench &b) {
  pthread_t thread;
  void *error = nullptr;
  if (pthread_create(&thread, nullptr, end_of, &b) != 0) return false;
  (void)pthread_join(thread, &error);
  return (cudaError_t)(uintptr_t)error == cudaErrorStreamCaptureWrongThread &&
         b.end() == cudaErrorStreamCaptureInvalidated;
}

bool ends_twice(bench &b) { return b.end() == cudaSuccess && b.end() == cudaErrorIllegalState; }

bool begins_twice(bench &b) {
  return cudaStreamBeginCapture(b.stream, cudaStreamCaptureModeThreadLocal) ==
             cudaErrorIllegalState &&
         b.end() == cudaSuccess;
}

/* Work is done by launches, as often as there are, and by nothing else. */
bool launches(bench &b) {
  int *number = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  (void)cudaMemsetAsync(b.memory, 1, sizeof *number, b.stream);
  bool is_right = cudaStreamEndCapture(b.stream, &graph) == cudaSuccess &&
                  cudaGraphInstantiateWithFlags(&exec, graph, 0) == cudaSuccess &&
                  cudaHostAlloc((void **)&number, sizeof *number, 0) == cudaSuccess;
  for (int i = 0; i < 3 && is_right; i++) {
    (void)cudaMemsetAsync(b.memory, 0, sizeof *number, b.stream);
    if (i > 0) is_right = cudaGraphLaunch(exec, b.stream) == cudaSuccess;
    (void)cudaMemcpyAsync(number, b.memory, sizeof *number, cudaMemcpyDeviceToHost, b.stream);
    (void)cudaStreamSynchronize(b.stream);
    is_right = is_right && *number == (i > 0 ? 0x01010101 : 0);
  }
  if (exec) (void)cudaGraphExecDestroy(exec);
  if (graph) (void)cudaGraphDestroy(graph);
  (void)cudaFreeHost(number);
  return is_right;
}

typedef bool one_case(bench &b);

}  // namespace

bool emulation_capture_case(int64_t n) {
  static one_case *const cases[] = {allocates,
                                    frees,
                                    pins,
                                    synchronizes,
                                    waits_for_all,
                                    asks,
                                    copies_from_pageable_memory,
                                    awaits_what_is_outside,
                                    leaves_a_stream_behind,
                                    joins,
                                    asks_for_an_event_inside,
                                    ends_elsewhere,
                                    ends_twice,
                                    begins_twice,
                                    launches};
  if (n < 1 || n > (int64_t)(sizeof cases / sizeof *cases)) return false;
  bench b;
  b.begin();
  return cases[n - 1](b);
}
