/*
** What the emulation's streams, events and captures are made of; for emulation_streams.cpp, which runs the
** queues, and emulation_capture.cpp, which puts aside what would go into them.
*/
#ifndef EMULATION_QUEUE_H
#define EMULATION_QUEUE_H

#include <pthread.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cuda_runtime.h"

struct emulation_capture;

struct emulation_event_state {
  uint64_t recorded = 0, passed = 0; /* the latest record, and the latest that its stream passed */
  double passed_ms = 0;              /* when, by the host's clock */
  cudaStream_t on = nullptr;
  /* Where the latest record is part of a capture: that one, and how much its stream had given then. */
  std::shared_ptr<emulation_capture> capture;
  size_t n_given = 0;
};

struct emulation_task {
  std::function<bool()> work;                    /* true when done; or nothing, and */
  std::shared_ptr<emulation_event_state> awaits; /* this one has to pass `number` */
  uint64_t number = 0;
};

struct emulation_stream {
  int device;
  std::deque<emulation_task> queue;
  std::shared_ptr<emulation_capture> capture; /* NULL: work goes to the queue */
};

struct emulation_event {
  bool is_timed = true;
  std::shared_ptr<emulation_event_state> state = std::make_shared<emulation_event_state>();
};

/* A stream that takes part in a capture: its pieces of work, and how many of them the first one awaits. */
struct emulation_member {
  cudaStream_t stream;
  size_t n_given = 0, n_joined = 0;
};

struct emulation_capture {
  cudaStream_t first; /* on which it began */
  pthread_t thread;
  bool is_relaxed = false, is_invalid = false;
  std::vector<emulation_member> members;
  std::vector<emulation_task> tasks; /* in the order in which they came, which is one that fits */
};

/* Work for a stream: to its queue, or to the capture that the stream is part of. */
void emulation_append(cudaStream_t stream, const emulation_task &task);

/* The record of an event on a captured stream, and a wait on one or for one that is captured. */
void emulation_capture_record(emulation_event_state *event, cudaStream_t stream);
cudaError_t emulation_capture_wait(cudaStream_t stream, const emulation_event_state &event);

#endif
