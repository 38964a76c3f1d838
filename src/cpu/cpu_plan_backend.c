/*
** The device "plan": the CPU without its memory. A program runs on it to find out what it will
** need: tensors have geometry and are counted byte by byte, operations are checked by the front
** door and compute nothing. What they would write and read is recorded (dn_plan.h), and what they
** would take as scratch on the calling thread is noted (cpu_scratch.h).
*/
#include "../dn_backend.h"
#include "../dn_plan.h"
#include "cpu_device.h"
#include "cpu_scratch.h"
#include "cpu_widen.h"

/* An address for storages to have; nobody reads or writes there. */
static _Alignas(64) char nowhere[64];

static dn_status memory_new(dn_device *device, int64_t n_bytes, void **block) {
  (void)device;
  (void)n_bytes;
  *block = nowhere;
  return DN_OK;
}

static void memory_free(dn_device *device, void *block, int64_t n_bytes) {
  (void)device;
  (void)block;
  (void)n_bytes;
}

/* Storages have no bytes to move; the front door has told of the copy (dn_copy_async). */
static dn_status move(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  (void)device;
  (void)to;
  (void)from;
  (void)n_bytes;
  return DN_OK;
}

static dn_status transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                          int64_t n_bytes) {
  (void)from_device;
  return move(to_device, to, from, n_bytes);
}

#include "../dn_plan_roles.h"
#define DN_OP(name, parameters, arguments, roles, traits)      \
  static dn_status plan_##name parameters {                    \
    DN_PLAN_REPORT(DN_OP_##name, roles);                       \
    cpu_scratch_measure();                                     \
    return cpu_scratch_measured(cpu_widened_##name arguments); \
  }
#include "../dn_ops.def"

const dn_backend dn_plan_backend = {
    .name = "plan",
    .memory_new = memory_new,
    .memory_free = memory_free,
    .upload = move,
    .download = move,
    .transfer = transfer,
    .upload_async = move,
    CPU_DEVICE_SLOTS,
#define DN_OP(name, parameters, arguments, roles, traits) .name = plan_##name,
#include "../dn_ops.def"
};
