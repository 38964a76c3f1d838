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

enum { OF_OPERATION, OF_WIDE_COPIES, N_BLOCKS };

static _Thread_local scratch mine[N_BLOCKS];
static pthread_key_t at_thread_end;
static bool has_key; /* a process has only so many; without one, a thread's end leaks its block */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void release_block(scratch *held) {
  dn_free(dn_device_cpu(), held->block, held->n_bytes);
  held->block = NULL;
  held->n_bytes = 0;
}

static void release(void *blocks) {
  for (int i = 0; i < N_BLOCKS; i++) release_block((scratch *)blocks + i);
}

static void make_key(void) { has_key = pthread_key_create(&at_thread_end, release) == 0; }

/* What the thread is told about requests instead of getting memory for them. */
typedef struct measuring {
  bool on, has_asked;
  int64_t planned_bytes[N_BLOCKS];
} measuring;

static _Thread_local measuring plan;

static void note(int block, int64_t n_bytes) {
  plan.has_asked = true;
  if (n_bytes > plan.planned_bytes[block]) plan.planned_bytes[block] = n_bytes;
}

static dn_status grow(scratch *held, int64_t n_bytes, void **block) {
  if (n_bytes > held->n_bytes || !held->block) {
    pthread_once(&once, make_key);
    release_block(held);
    DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &held->block));
    held->n_bytes = n_bytes;
    if (has_key) pthread_setspecific(at_thread_end, mine);
  }
  *block = held->block;
  return DN_OK;
}

dn_status cpu_scratch(int64_t n_bytes, void **block) {
  if (!plan.on) return grow(&mine[OF_OPERATION], n_bytes, block);
  note(OF_OPERATION, n_bytes);
  return DN_ENOMEM; /* any failure ends the operation; this one never leaves cpu_scratch_measured */
}

dn_status cpu_scratch_wide(int64_t n_bytes, void **block) {
  if (!plan.on) return grow(&mine[OF_WIDE_COPIES], n_bytes, block);
  note(OF_WIDE_COPIES, n_bytes);
  *block = NULL;
  return DN_OK;
}

dn_status cpu_scratch_none(void) {
  void *unused;
  return plan.on ? cpu_scratch(0, &unused) : DN_OK;
}

void cpu_scratch_measure(void) {
  plan.on = true;
  plan.has_asked = false;
}

dn_status cpu_scratch_measured(dn_status status) {
  plan.on = false;
  return plan.has_asked ? DN_OK : status;
}

bool cpu_scratch_is_measuring(void) { return plan.on; }

int64_t cpu_scratch_planned(void) {
  int64_t n_bytes = 0;
  for (int i = 0; i < N_BLOCKS; i++) n_bytes += plan.planned_bytes[i];
  return n_bytes;
}

void cpu_scratch_planned_reset(void) {
  for (int i = 0; i < N_BLOCKS; i++) plan.planned_bytes[i] = 0;
}

void cpu_scratch_release(void) { release(mine); }
