/*
** Scale-shift-ReLU and the mean over windows, for float and double; arguments as in dn_ops.def.
*/
#ifndef CPU_NORM_RELU_POOL_FAST_H
#define CPU_NORM_RELU_POOL_FAST_H

#include "../../dn_tensor.h"
#include "../tiles/cpu_real.h"

/* Where the windows of a plane lie. */
typedef struct cpu_windows {
  int64_t height, width, lines, columns; /* of the output; of a window */
  int64_t stride;                        /* width of the input plane */
} cpu_windows;

static inline cpu_windows cpu_windows_of(const dn_tensor *pooled, const dn_tensor *x, int64_t lines,
                                         int64_t columns) {
  return (cpu_windows){pooled->size[2], pooled->size[3], lines, columns, x->size[3]};
}

CPU_REAL_DECLARE(void, cpu_norm_relu_pool_forward_fast,
                 (dn_tensor * y, const dn_tensor *x, const dn_tensor *norm, cpu_windows windows));
/* Returns DN_ENOMEM where there is no room for scratch. */
CPU_REAL_DECLARE(dn_status, cpu_norm_relu_pool_backward_fast,
                 (dn_tensor * dx, dn_tensor *dnorm, const dn_tensor *dy, const dn_tensor *x,
                  const dn_tensor *norm, cpu_windows windows, bool accumulate));

#endif
