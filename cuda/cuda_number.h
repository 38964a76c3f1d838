/*
** A dn_number as kernels are given it: the number joined to their type, and where it has one in memory, its
** address, which goes before.
*/
#ifndef CUDA_NUMBER_H
#define CUDA_NUMBER_H

#include "cuda_backend.h"

/* On the device, or NULL. */
static inline const double *cuda_number_at(const dn_number &number) {
  return number.at ? (const double *)dn_tensor_data(number.at) : NULL;
}

/* The number that counts. */
template <typename C>
__device__ static inline C cuda_number_of(C value, const double *at) {
  return at ? (C)*at : value;
}

#endif
