/* The parts of cpu_norm.c that are as long as the images, for float and double. */
#ifndef CPU_NORM_FAST_H
#define CPU_NORM_FAST_H

#include "../../dn_tensor.h"
#include "../tiles/cpu_real.h"

CPU_REAL_DECLARE(void, cpu_channel_stats_fast, (dn_tensor * stats, const dn_tensor *x));
CPU_REAL_DECLARE(void, cpu_deferred_apply_fast,
                 (dn_tensor * dx, const dn_tensor *x, const dn_tensor *deferred));

#endif
