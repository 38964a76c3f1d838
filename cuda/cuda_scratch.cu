#include "cuda_scratch.h"

#include "cuda_backend.h"
#include "cuda_graph.h"

/* What the thread is told about requests instead of getting memory for them. */
typedef struct measuring {
  bool on, has_asked;
  int64_t planned_bytes;
} measuring;

static thread_local measuring plan;

static dn_status note(int64_t n_bytes) {
  plan.has_asked = true;
  if (n_bytes > plan.planned_bytes) plan.planned_bytes = n_bytes;
  return DN_ENOMEM;
}

/* A captured step may keep it. */
static void release(cuda_device *state) {
  dn_storage_release(state->scratch);
  state->scratch = NULL;
}

dn_status cuda_scratch(int64_t n_bytes, void **block) {
  if (plan.on) return note(n_bytes);
  cuda_device *state = cuda_current();
  if (!state->scratch || n_bytes > state->scratch->n_bytes) {
    const int64_t n_outgrown = state->scratch ? state->scratch->n_bytes : 0;
    release(state);
    if (n_outgrown > 0) cuda_memory_give_up(state->device, n_outgrown);
    DN_TRY(dn_storage_new(state->device, n_bytes, &state->scratch));
  }
  DN_TRY(cuda_graph_keep(state->scratch));
  *block = state->scratch->data;
  return DN_OK;
}

dn_status cuda_scratch_none(void) { return plan.on ? note(0) : DN_OK; }

void cuda_scratch_release(dn_device *device) {
  if (cuda_enter(device) != DN_OK) return;
  release(cuda_current());
  cuda_leave();
}

void cuda_scratch_keep(dn_device *device) { (void)device; }

int64_t cuda_scratch_planned(dn_device *device, bool resets) {
  (void)device;
  const int64_t planned = plan.planned_bytes;
  if (resets) plan.planned_bytes = 0;
  return planned;
}

void cuda_scratch_measure(void) {
  plan.on = true;
  plan.has_asked = false;
}

dn_status cuda_scratch_measured(dn_status status) {
  plan.on = false;
  return plan.has_asked ? DN_OK : status;
}
