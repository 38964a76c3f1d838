/*
** Kernels whose blocks make so many outputs, a slice of them, of a tile of pixels: the slices of a tile are
** neighbours among the blocks, so that what they all read of it comes from memory once.
*/
#ifndef CUDA_SLICES_H
#define CUDA_SLICES_H

#include "cuda_dtype.h"

typedef struct cuda_slice_place {
  int tile, slice;
} cuda_slice_place;

/* Slices that `outputs` at a time make of all. */
CUDA_INLINE int cuda_slices(int n_outputs, int outputs) {
  return (n_outputs + outputs - 1) / outputs;
}

/* This block's. */
__device__ static inline cuda_slice_place cuda_slice_place_of(int n_outputs, int outputs) {
  const int n_slices = cuda_slices(n_outputs, outputs), tile = (int)blockIdx.x / n_slices;
  const cuda_slice_place place = {tile, (int)blockIdx.x - tile * n_slices};
  return place;
}

#endif
