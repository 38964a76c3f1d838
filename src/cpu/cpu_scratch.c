#include "cpu_scratch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "../dn_alloc.h"
#include "../dn_device.h"

typedef struct scratch {
  void *block;
  int64_t n_bytes;
} scratch;

static _Thread_local scratch mine;
static pthread_key_t at_thread_end;
static bool has_key; /* a process has only so many; without one, a thread's end leaks its block */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void release(void *owner) {
  scratch *held = owner;
  dn_free(dn_device_cpu(), held->block, held->n_bytes);
  held->block = NULL;
  held->n_bytes = 0;
}

static void make_key(void) { has_key = pthread_key_create(&at_thread_end, release) == 0; }

/* What the thread is told about requests instead of getting memory for them. */
typedef struct measuring {
  bool on, has_asked;
  int64_t planned_bytes;
} measuring;

static _Thread_local measuring plan;

/* Any failure ends the operation; this one never leaves cpu_scratch_measured. */
static dn_status note(int64_t n_bytes) {
  plan.has_asked = true;
  if (n_bytes > plan.planned_bytes) plan.planned_bytes = n_bytes;
  return DN_ENOMEM;
}

dn_status cpu_scratch(int64_t n_bytes, void **block) {
  if (plan.on) return note(n_bytes);
  if (n_bytes > mine.n_bytes || !mine.block) {
    pthread_once(&once, make_key);
    cpu_scratch_release();
    DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &mine.block));
    mine.n_bytes = n_bytes;
    if (has_key) pthread_setspecific(at_thread_end, &mine);
  }
  *block = mine.block;
  return DN_OK;
}

dn_status cpu_scratch_none(void) { return plan.on ? note(0) : DN_OK; }

void cpu_scratch_measure(void) {
  plan.on = true;
  plan.has_asked = false;
}

dn_status cpu_scratch_measured(dn_status status) {
  plan.on = false;
  return plan.has_asked ? DN_OK : status;
}

int64_t cpu_scratch_planned(void) { return plan.planned_bytes; }

void cpu_scratch_planned_reset(void) { plan.planned_bytes = 0; }

void cpu_scratch_release(void) {
  if (mine.block) release(&mine);
}
