#include "cpu_gradient.h"

#include <string.h>

cpu_gradient cpu_gradient_of(const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred) {
  return (cpu_gradient){
      .dy = cpu_map_of(dy), .y = cpu_map_of(y), .terms = cpu_deferred_of(deferred)};
}

void cpu_gradient_pack(const cpu_tiles *tiles, cpu_gradient gradient, int64_t n, int64_t first,
                       int64_t n_pixels, real *packed, cpu_layout layout) {
  const cpu_planes planes = gradient.dy.planes;
  const real *dy = cpu_map_at(gradient.dy, n, 0) + first;
  if (gradient.terms.offset) {
    tiles->deferred(packed, layout, dy, planes.stride_c, cpu_map_at(gradient.y, n, 0) + first,
                    gradient.y.planes.stride_c, planes.c, n_pixels, gradient.terms);
    return;
  }
  for (int64_t k = 0; k < planes.c; k++)
    for (int64_t p = 0; p < n_pixels; p += CPU_BLOCK) {
      const int64_t n_here = n_pixels - p < CPU_BLOCK ? n_pixels - p : CPU_BLOCK;
      real *to = packed + k * layout.row + p / CPU_BLOCK * layout.block;
      memcpy(to, dy + k * planes.stride_c + p, (size_t)n_here * sizeof *to);
      memset(to + n_here, 0, (size_t)(CPU_BLOCK - n_here) * sizeof *to);
    }
}
