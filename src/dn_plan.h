/*
** What a thread does on plan devices, written down as it happens: which operation wrote or read which
** storage. Plan backends report every call that they get, so it does not matter by what name or
** through how many functions a program reached the operation.
**
** Both structs below belong to their caller and are linked into a list of the calling thread, the
** innermost first: the thread that begins one ends it, in any order. Other threads go unseen.
*/
#ifndef DN_PLAN_H
#define DN_PLAN_H

#include "dn_ops.h"

/* The roles of tensors in dn_ops.def: overwritten; changed, so read and written; read. */
typedef enum dn_plan_use { DN_PLAN_WRITTEN, DN_PLAN_ADDED, DN_PLAN_READ } dn_plan_use;

typedef struct dn_plan_event {
  int64_t time;    /* of the call, by the recorder's clock, from 1 */
  int64_t storage; /* its serial number (dn_storage.h) */
  dn_op operation;
  dn_plan_use use;
} dn_plan_event;

typedef struct dn_recorder {
  bool is_recording;
  int64_t time; /* calls seen, and ticks */
  dn_op operation;
  dn_plan_event *events; /* n_events of them, in order, in memory of `host` */
  int64_t n_events, n_room;
  dn_device *host;
  struct dn_recorder *outer;
} dn_recorder;

/* Records from here on what the calling thread does. A zeroed struct, or one that was cleared. */
void dn_recorder_begin(dn_recorder *recorder);

/* Records no more; what was recorded stays. Does nothing the second time. */
void dn_recorder_end(dn_recorder *recorder);

/* Ends, and gives the events back. */
void dn_recorder_clear(dn_recorder *recorder);

/* The clock moves on by one, for something that the caller notes itself; returns the time. */
int64_t dn_recorder_tick(dn_recorder *recorder);

/*
** For plan backends (dn_plan_roles.h): a call begins, and then what it does to each of its tensors;
** NULL is ignored. Every recorder of the thread is told. Returns DN_ENOMEM.
*/
void dn_plan_call(dn_op operation);
dn_status dn_plan_touch(const dn_tensor *tensor, dn_plan_use use);

#define DN_PLAN_REPORT(operation, roles) \
  do {                                   \
    dn_plan_call(operation);             \
    roles                                \
  } while (0)

/* While one is active, tensors that the calling thread would make elsewhere are made on `device`. */
typedef struct dn_override {
  dn_device *device; /* a plan device; NULL: not active */
  struct dn_override *outer;
} dn_override;

void dn_override_begin(dn_override *override, dn_device *device);
void dn_override_end(dn_override *override); /* does nothing the second time */

/* The device of the thread's innermost override, NULL without one. */
dn_device *dn_override_device(void);

#endif
