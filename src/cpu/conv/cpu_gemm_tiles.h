/*
** Products of matrices on the tiles, of any strides: what serves small matrices, and all of them where there
** is no fast BLAS. Arguments as in dn_ops.def; at least one term. Returns DN_ENOMEM where there is no room
** for scratch.
*/
#ifndef CPU_GEMM_TILES_H
#define CPU_GEMM_TILES_H

#include "../../dn_tensor.h"
#include "../tiles/cpu_real.h"

CPU_REAL_DECLARE(dn_status, cpu_gemm_tiles,
                 (dn_tensor * c, const dn_tensor *a, const dn_tensor *b, double alpha,
                  double beta));

#endif
