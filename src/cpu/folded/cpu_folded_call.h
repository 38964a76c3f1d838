/*
** What evaluation's convolutions are asked for (dn_ops.def, folded_conv): a `before` that is read on the
** way in, weights that already have `after`'s scale, packed in panels, and a shift and ReLU on the way out.
*/
#ifndef CPU_FOLDED_CALL_H
#define CPU_FOLDED_CALL_H

#include "../../dn_folded.h"
#include "../conv/cpu_map.h"
#include "../cpu_parallel.h"
#include "../tiles/cpu_tiles.h"

/* Tensors are of one type, `real`, and what dn_ops has checked. */
typedef struct cpu_folded_call {
  dn_tensor *y;
  const dn_tensor *x, *before, *weight, *after, *packed;
  dn_conv2d options;
} cpu_folded_call;

/* after's scale and shift of each output channel; NULLs without one. */
static inline const real *cpu_folded_shift(const cpu_folded_call *call) {
  return call->after ? cpu_norm_of(call->after).shift : NULL;
}

/* Threads worth using for so many multiplications. */
static inline int cpu_folded_team(int64_t n_products) {
  enum { AT_ONCE = 16 };
  return cpu_team(n_products / AT_ONCE);
}

/* What every way of computing takes: panels of weights, offsets of the packed input's rows, the threads' own values. */
typedef struct cpu_folded_scratch {
  const real *panels; /* those of `packed`, or packed here */
  int32_t *offset;
  real *own;
} cpu_folded_scratch;

#define cpu_folded_take CPU_REAL(cpu_folded_take)

/* Scratch with n_offset numbers and n_own values, of all threads; what is in them is not set. Or DN_ENOMEM. */
dn_status cpu_folded_take(cpu_folded_scratch *scratch, const cpu_tiles *tiles,
                          const cpu_folded_call *call, int64_t n_offset, int64_t n_own);

CPU_REAL_DECLARE(void, cpu_folded_pack,
                 (dn_tensor * packed, const dn_tensor *weight, const dn_tensor *after,
                  dn_conv2d options));
/* These return DN_ENOMEM where there is no room for scratch. */
CPU_REAL_DECLARE(dn_status, cpu_folded_pixels, (const cpu_folded_call *call));
CPU_REAL_DECLARE(dn_status, cpu_folded_winograd, (const cpu_folded_call *call));
CPU_REAL_DECLARE(dn_status, cpu_folded_taps, (const cpu_folded_call *call));

#endif
