/*
** The order in which elements are chosen, on the device: by key (dn_order.h), among equals by place.
*/
#ifndef CUDA_ORDER_H
#define CUDA_ORDER_H

#include "cuda_dtype.h"

extern "C" {
#include "../src/dn_order.h"
}

__device__ static inline int64_t cuda_key_of(double x, int64_t inverted) {
  return dn_order_key(x, inverted);
}
__device__ static inline int64_t cuda_key_of(float x, int64_t inverted) {
  return dn_order_key((double)x, inverted);
}
__device__ static inline int64_t cuda_key_of(int64_t x, int64_t inverted) {
  return dn_order_key_long(x, inverted);
}

typedef struct cuda_candidate {
  int64_t key, place;
} cuda_candidate;

__device__ static inline bool cuda_comes_before(const cuda_candidate a, const cuda_candidate b) {
  return a.key > b.key || (a.key == b.key && a.place < b.place);
}

#endif
