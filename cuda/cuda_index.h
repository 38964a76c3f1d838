/*
** Where elements lie: one to three tensors of any strides, walked together over the shape of the
** first, to which the others broadcast. Passed to kernels by value.
**
** Dimensions of size 1 go, and neighbours that lie one behind the other in every operand become one,
** so that contiguous tensors have a single dimension.
*/
#ifndef CUDA_INDEX_H
#define CUDA_INDEX_H

#include "cuda_backend.h"

enum { CUDA_OPERANDS = 3 };

typedef struct cuda_index {
  int n_dim; /* 1 or more */
  int64_t n_elements;
  int64_t size[DN_MAX_DIM];
  int64_t stride[CUDA_OPERANDS][DN_MAX_DIM]; /* in elements; 0 where an operand is repeated */
} cuda_index;

static inline cuda_index cuda_index_of(int n_tensors, const dn_tensor *a, const dn_tensor *b = NULL,
                                       const dn_tensor *c = NULL) {
  const dn_tensor *tensors[CUDA_OPERANDS] = {a, b, c};
  cuda_index index;
  memset(&index, 0, sizeof index);
  index.n_elements = 1;
  for (int d = 0; d < a->n_dim; d++) {
    index.n_elements *= a->size[d];
    if (a->size[d] == 1) continue;
    int64_t stride[CUDA_OPERANDS] = {0, 0, 0};
    bool continues = index.n_dim > 0;
    const int last = index.n_dim - 1;
    for (int k = 0; k < n_tensors; k++) {
      const int own = d - (a->n_dim - tensors[k]->n_dim);
      if (own >= 0 && tensors[k]->size[own] > 1) stride[k] = tensors[k]->stride[own];
      if (continues) continues = index.stride[k][last] == stride[k] * a->size[d];
    }
    const int at = continues ? last : index.n_dim++;
    index.size[at] = continues ? index.size[at] * a->size[d] : a->size[d];
    for (int k = 0; k < n_tensors; k++) index.stride[k][at] = stride[k];
  }
  if (index.n_dim == 0) {
    index.n_dim = 1;
    index.size[0] = 1;
  }
  return index;
}

/* offset[k] of element i (row-major in the walk's shape) in each of the first n operands. */
template <int n>
__device__ static inline void cuda_offsets(const cuda_index &index, int64_t i, int64_t *offset) {
  for (int k = 0; k < n; k++) offset[k] = 0;
  /* Division of 64-bit numbers is slow; few tensors need it. */
  if (index.n_elements <= INT32_MAX) {
    uint32_t rest = (uint32_t)i;
    for (int d = index.n_dim - 1; d > 0; d--) {
      const uint32_t size = (uint32_t)index.size[d], place = rest % size;
      rest /= size;
      for (int k = 0; k < n; k++) offset[k] += (int64_t)place * index.stride[k][d];
    }
    for (int k = 0; k < n; k++) offset[k] += (int64_t)rest * index.stride[k][0];
    return;
  }
  for (int d = index.n_dim - 1; d > 0; d--) {
    const int64_t place = i % index.size[d];
    i /= index.size[d];
    for (int k = 0; k < n; k++) offset[k] += place * index.stride[k][d];
  }
  for (int k = 0; k < n; k++) offset[k] += i * index.stride[k][0];
}

#endif
