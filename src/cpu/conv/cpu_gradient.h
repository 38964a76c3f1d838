/*
** A gradient whose deferred terms are added on reading (dn_ops.def, "dense layers").
*/
#ifndef CPU_GRADIENT_H
#define CPU_GRADIENT_H

#include "cpu_map.h"

typedef struct cpu_gradient {
  cpu_map dy, y; /* y is left out where there are no terms */
  cpu_deferred terms;
} cpu_gradient;

#define cpu_gradient_of CPU_REAL(cpu_gradient_of)
#define cpu_gradient_pack CPU_REAL(cpu_gradient_pack)

cpu_gradient cpu_gradient_of(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred);

/* All channels of the gradient of image n, n_pixels from pixel `first` on, packed (cpu_tiles.h). */
void cpu_gradient_pack(const cpu_tiles *tiles, cpu_gradient gradient, int64_t n, int64_t first,
                       int64_t n_pixels, real *packed, cpu_layout layout);

#endif
