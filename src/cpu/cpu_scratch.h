/*
** Scratch memory of the calling thread: a block that grows to the largest request and stays, so a
** training step allocates none after its first. The content is undefined at every call, and the
** pointer is good until the thread's next call. Given back when the thread ends, or on request.
**
** An operation that may need scratch has the trait CPU_SCRATCH in dn_ops.def, asks for it before it
** reads or writes any tensor, and says so where it needs none. Then the plan device can run it without
** data, up to that point.
*/
#ifndef CPU_SCRATCH_H
#define CPU_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../dn_status.h"

/* At least n_bytes, aligned to 64. Returns DN_ENOMEM. */
dn_status cpu_scratch(int64_t n_bytes, void **block);

/*
** The same from a block of its own, for float copies of 16-bit tensors (cpu_widen.h): it outlives
** the operation's calls of cpu_scratch. While scratch is measured the request is noted, and granted
** without memory.
*/
dn_status cpu_scratch_wide(int64_t n_bytes, void **block);

/* Call this on paths that need no scratch, so that the plan device knows. */
dn_status cpu_scratch_none(void);

/* n elements of `size` bytes behind *n_bytes, at a multiple of 64: where they begin. */
static inline int64_t cpu_scratch_place(int64_t *n_bytes, int64_t n, size_t size) {
  const int64_t begin = (*n_bytes + 63) / 64 * 64;
  *n_bytes = begin + n * (int64_t)size;
  return begin;
}

/* What begins there. */
static inline void *cpu_scratch_at(void *block, int64_t begin) { return (char *)block + begin; }

/* n floats rounded up to whole lines of 64 bytes. */
static inline int64_t cpu_whole_lines(int64_t n) { return (n + 15) / 16 * 16; }

/*
** From one thread's own scratch of n values to the next thread's. They lie 2^15 values apart: where they touch, what
** the processor fetches ahead of one thread's rows takes lines away from the other. Measured for training's
** convolutions (docs/design.md); those of an evaluation gain nothing.
*/
static inline int64_t cpu_scratch_apart(int64_t n, int n_threads) {
  return cpu_whole_lines(n) + (n_threads > 1 ? 1 << 15 : 0);
}

/* Gives the calling thread's blocks back. */
void cpu_scratch_release(void);

/*
** Between the two the calling thread's next request is noted and refused, which ends the operation
** that made it; cpu_scratch_measured takes that operation's status and says whether it got there.
*/
void cpu_scratch_measure(void);
dn_status cpu_scratch_measured(dn_status status);

bool cpu_scratch_is_measuring(void);

/* The largest requests noted on the calling thread since the last reset, in bytes. */
int64_t cpu_scratch_planned(void);
void cpu_scratch_planned_reset(void);

#endif
