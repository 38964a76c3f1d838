/*
** Tensors as the loops of convolutions see them: images as maps, rows of the dense layer's tables as
** vectors.
*/
#ifndef CPU_MAP_H
#define CPU_MAP_H

#include "../../dn_tensor.h"
#include "../cpu_planes.h"
#include "../tiles/cpu_prefetch.h"
#include "../tiles/cpu_tiles.h"

/* An N,C,H,W tensor: planes and where they begin. data is NULL for an argument left out. */
typedef struct cpu_map {
  real *data;
  cpu_planes planes;
  int64_t height, width;
} cpu_map;

static inline cpu_map cpu_map_of(const dn_tensor *tensor) {
  if (!tensor) return (cpu_map){0};
  return (cpu_map){.data = dn_tensor_data(tensor),
                   .planes = cpu_planes_of(tensor),
                   .height = tensor->size[2],
                   .width = tensor->size[3]};
}

static inline real *cpu_map_at(cpu_map map, int64_t n, int64_t c) {
  return map.data + n * map.planes.stride_n + c * map.planes.stride_c;
}

/* All channels of image n, n_pixels from pixel `first` on; none of a map left out. */
static inline cpu_prefetch_rows cpu_map_rows(cpu_map map, int64_t n, int64_t first,
                                             int64_t n_pixels) {
  if (!map.data) return (cpu_prefetch_rows){0};
  return (cpu_prefetch_rows){.at = cpu_map_at(map, n, 0) + first,
                             .n_rows = map.planes.c,
                             .n_pixels = n_pixels,
                             .stride = map.planes.stride_c};
}

/* Rows of a 4,C norm table; NULLs where it is left out. */
static inline cpu_norm cpu_norm_of(const dn_tensor *norm) {
  if (!norm) return (cpu_norm){0};
  const real *data = dn_tensor_data(norm);
  const int64_t row = norm->stride[0];
  return (cpu_norm){
      .mean = data, .inv_std = data + row, .scale = data + 2 * row, .shift = data + 3 * row};
}

/* Rows of a 3,K table of deferred terms; NULLs where it is left out. */
static inline cpu_deferred cpu_deferred_of(const dn_tensor *deferred) {
  if (!deferred) return (cpu_deferred){0};
  const real *data = dn_tensor_data(deferred);
  const int64_t row = deferred->stride[0];
  return (cpu_deferred){.offset = data, .slope = data + row, .mean = data + 2 * row};
}

#endif
