#include "cuda_plan.h"

#include <stdio.h>

#include "cuda_backend.h"
#include "cuda_described.h"
#include "cuda_fused.h"
#include "cuda_testing.h"
#include "cuda_transition_fused.h"

extern "C" {
#include "../src/dn_plan.h"
}

/* An address for storages to have; nobody reads or writes there. */
alignas(256) static char nowhere[256];

#include "../src/dn_plan_roles.h"

static const dn_device *device_of(const dn_tensor *first, ...) { return first->storage->device; }

/*
** Operations that never ask for scratch have nothing to plan; the others are run until they do
** (cuda_scratch.h).
*/
#define CUDA_SCRATCH || true
#define DN_OP(name, parameters, arguments, roles, traits) \
  static dn_status plan_##name parameters {               \
    DN_PLAN_REPORT(DN_OP_##name, roles);                  \
    if (!(false traits)) return DN_OK;                    \
    cuda_described_enter(device_of arguments);            \
    cuda_scratch_measure();                               \
    return cuda_scratch_measured(cuda_##name arguments);  \
  }
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../src/dn_ops.def"

/* ---- Nothing to do, with the arguments that a slot has ---- */

static dn_status memory_new(dn_device *device, int64_t n_bytes, void **block) {
  *block = nowhere;
  return DN_OK;
}

static void memory_free(dn_device *device, void *block, int64_t n_bytes) {}

static int64_t memory_reserved(dn_device *device, int64_t live) { return live; }

static void memory_trim(dn_device *device) {}

static dn_status move(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  return DN_OK;
}

static dn_status transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                          int64_t n_bytes) {
  return DN_OK;
}

static dn_status wait(dn_device *device) { return DN_OK; }

static dn_status describe(dn_device *device, dn_device_info *info) {
  snprintf(info->name, sizeof info->name, "%s", device->name);
  return DN_OK;
}

static dn_status tf32(dn_device *device, bool on) {
  cuda_described_enter(device);
  cuda_described_set_tf32(cuda_described_ordinal(), on);
  cuda_fused_plan_tf32(on);
  return DN_OK;
}

static bool takes_transition(const dn_tensor *x, const dn_tensor *weight) {
  cuda_described_enter(x->storage->device);
  return cuda_transition_fits(x, weight);
}

/* In the order of dn_backend. */
const dn_backend cuda_plan_backend = {
    "plan:cuda",
    memory_new,
    memory_free,
    memory_reserved,
    memory_trim,
    memory_new,
    memory_free,
    move,
    move,
    transfer,
    move,
    wait,
    wait,
    NULL, /* a plan captures nothing */
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    wait,
    NULL, /* it has no queue */
    NULL,
    NULL,
    describe,
    tf32,
    NULL, /* weights have no values there */
    takes_transition,
    cuda_scratch_keep,
    cuda_scratch_planned,
    NULL, /* peak */
    cuda_testing,
#define DN_OP(name, parameters, arguments, roles, traits) cuda_##name ? plan_##name : NULL,
#include "../src/dn_ops.def"
};
