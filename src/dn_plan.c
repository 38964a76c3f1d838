#include "dn_plan.h"

#include <string.h>

#include "dn_alloc.h"

/* ---- Recorders ---- */

static _Thread_local dn_recorder *recorders;

void dn_recorder_begin(dn_recorder *recorder) {
  recorder->is_recording = true;
  recorder->outer = recorders;
  recorders = recorder;
}

void dn_recorder_end(dn_recorder *recorder) {
  if (!recorder->is_recording) return;
  recorder->is_recording = false;
  dn_recorder **link = &recorders;
  while (*link && *link != recorder) link = &(*link)->outer;
  if (*link) *link = recorder->outer;
}

static int64_t bytes_of(int64_t n_events) { return n_events * (int64_t)sizeof(dn_plan_event); }

void dn_recorder_clear(dn_recorder *recorder) {
  dn_recorder_end(recorder);
  if (recorder->events) dn_free(recorder->host, recorder->events, bytes_of(recorder->n_room));
  memset(recorder, 0, sizeof *recorder);
}

int64_t dn_recorder_tick(dn_recorder *recorder) { return ++recorder->time; }

static dn_status grow(dn_recorder *recorder, dn_device *host) {
  const int64_t n_room = recorder->n_room > 0 ? 2 * recorder->n_room : 1024;
  void *events;
  DN_TRY(dn_alloc(host, bytes_of(n_room), &events));
  if (recorder->events) {
    memcpy(events, recorder->events, (size_t)bytes_of(recorder->n_events));
    dn_free(host, recorder->events, bytes_of(recorder->n_room));
  }
  recorder->events = events;
  recorder->n_room = n_room;
  recorder->host = host;
  return DN_OK;
}

void dn_plan_call(dn_op operation) {
  for (dn_recorder *recorder = recorders; recorder; recorder = recorder->outer) {
    recorder->time++;
    recorder->operation = operation;
  }
}

dn_status dn_plan_touch(const dn_tensor *tensor, dn_plan_use use) {
  if (!tensor) return DN_OK;
  for (dn_recorder *recorder = recorders; recorder; recorder = recorder->outer) {
    if (recorder->n_events == recorder->n_room)
      DN_TRY(grow(recorder, tensor->storage->device->host));
    recorder->events[recorder->n_events++] = (dn_plan_event){
        .time = recorder->time,
        .storage = tensor->storage->serial,
        .operation = recorder->operation,
        .use = use,
    };
  }
  return DN_OK;
}

/* ---- Overrides ---- */

static _Thread_local dn_override *overrides;

void dn_override_begin(dn_override *override, dn_device *device) {
  override->device = device;
  override->outer = overrides;
  overrides = override;
}

void dn_override_end(dn_override *override) {
  if (!override->device) return;
  override->device = NULL;
  dn_override **link = &overrides;
  while (*link && *link != override) link = &(*link)->outer;
  if (*link) *link = override->outer;
}

dn_device *dn_override_device(void) { return overrides ? overrides->device : NULL; }
