/*
** The device "plan": the CPU without its memory. A program runs on it to find out what it will
** need: tensors have geometry and are counted byte by byte, operations are checked by the front
** door and compute nothing. What they would take as scratch on the calling thread is noted
** (cpu_scratch.h).
*/
#include "../dn_backend.h"
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

/*
** Every call on the device comes by here with its arguments, whose roles dn_ops.def tells: a report of
** what operations read and write belongs here, and into the plan_ functions of cuda/cuda_plan.cu.
*/
#define DN_OP(name, parameters, arguments, roles, traits)      \
  static dn_status plan_##name parameters {                    \
    cpu_scratch_measure();                                     \
    return cpu_scratch_measured(cpu_widened_##name arguments); \
  }
#include "../dn_ops.def"

const dn_backend dn_plan_backend = {
    .name = "plan",
    .memory_new = memory_new,
    .memory_free = memory_free,
    CPU_DEVICE_SLOTS,
#define DN_OP(name, parameters, arguments, roles, traits) .name = plan_##name,
#include "../dn_ops.def"
};
