/* Maxima over the windows of one plane, for float and double; the arguments of one plane as in dn_ops.def. */
#ifndef CPU_MAX_POOL_PLANE_H
#define CPU_MAX_POOL_PLANE_H

#include "../../dn_pool2d.h"
#include "../tiles/cpu_real.h"

CPU_REAL_DECLARE(void, cpu_max_pool_plane,
                 (void *y, int64_t *indices, const void *x, dn_pool_axis height,
                  dn_pool_axis width));

#endif
