/*
** Wrong values that a kernel meets (dn_ops.h, "late errors"): a word per device in host memory that
** kernels see. Kernels write it only when something is wrong, under a lock in the device's own memory,
** where atomic operations are sure and fast; the host reads it when it has waited for the device
** anyway. The earliest operation counts, and in it the smallest place, so the sentence is the same at
** every run. Of millions of wrong elements few come to the lock: a place that is larger than one that was told
** cannot count.
*/
#ifndef CUDA_FAULT_H
#define CUDA_FAULT_H

#include <cuda_runtime.h>
#include <stdint.h>

extern "C" {
#include "../src/dn_ops.h"
}

typedef enum cuda_fault_kind {
  CUDA_FAULT_NONE,
  CUDA_FAULT_ZERO_DIVISOR, /* of long or byte; `limit` is the dtype */
  CUDA_FAULT_LABEL,        /* outside 1..limit */
  CUDA_FAULT_POSITION      /* outside 1..limit */
} cuda_fault_kind;

typedef struct cuda_fault {
  unsigned kind; /* cuda_fault_kind */
  unsigned op;   /* dn_op */
  unsigned argument;
  unsigned long long sequence; /* the operation's */
  long long place;             /* row-major element of the argument, from 0 */
  long long value, limit;
} cuda_fault;

/* In the device's memory. `least` is the smallest place that was told since the host last took a fault. */
typedef struct cuda_fault_turn {
  unsigned long long least; /* at first the largest number there is */
  unsigned lock;            /* 0: free */
} cuda_fault_turn;

/* What a kernel is given, by value, to report with. */
typedef struct cuda_reporter {
  cuda_fault *fault;
  cuda_fault_turn *turn;
  unsigned kind, op, argument;
  unsigned long long sequence;
  long long limit;
} cuda_reporter;

/* For the current device: op's argument (from 1) holds wrong values of this kind. */
cuda_reporter cuda_fault_reporter(cuda_fault_kind kind, dn_op op, int argument, int64_t limit);

/* For a device's state: nobody has told of anything. In the order of its stream. */
dn_status cuda_fault_reset(struct cuda_device *state);

/* With the device waited for and entered: DN_EARG for what was reported, which is then forgotten. */
dn_status cuda_fault_take(void);

/* Under the lock. */
__device__ static inline void cuda_fault_note(const cuda_reporter &reporter, int64_t place,
                                              int64_t value) {
  volatile cuda_fault *const seen = reporter.fault;
  const bool is_first = seen->kind == CUDA_FAULT_NONE || reporter.sequence < seen->sequence ||
                        (reporter.sequence == seen->sequence && place < seen->place);
  if (!is_first) return;
  seen->kind = reporter.kind;
  seen->op = reporter.op;
  seen->argument = reporter.argument;
  seen->sequence = reporter.sequence;
  seen->place = place;
  seen->value = value;
  seen->limit = reporter.limit;
}

/*
** From a kernel: element `place` is `value`, which is wrong. Lanes of a warp may wait here for one another, which
** compute capability 7.0 and later let get on by themselves.
*/
__device__ static inline void cuda_fault_report(const cuda_reporter reporter, int64_t place,
                                                int64_t value) {
  const unsigned long long own = (unsigned long long)place;
  if (atomicMin(&reporter.turn->least, own) <= own) return;
  for (bool is_told = false; !is_told;) {
    if (atomicCAS(&reporter.turn->lock, 0u, 1u) != 0u) continue;
    __threadfence_system(); /* what the one before wrote is seen */
    cuda_fault_note(reporter, place, value);
    __threadfence_system();
    atomicExch(&reporter.turn->lock, 0u);
    is_told = true;
  }
}

#endif
