/*
** Where elements lie: one to three tensors of any strides, walked together over the shape of the
** first, to which the others broadcast. Passed to kernels by value.
**
** Dimensions of size 1 go, and neighbours that lie one behind the other in every operand become one,
** so that contiguous tensors have a single dimension.
*/
#ifndef CUDA_INDEX_H
#define CUDA_INDEX_H

#include "cuda_divisor.h"

enum { CUDA_OPERANDS = 3 };

typedef struct cuda_index {
  int n_dim; /* 1 or more */
  int64_t n_elements;
  int64_t size[DN_MAX_DIM];
  int64_t stride[CUDA_OPERANDS][DN_MAX_DIM]; /* in elements; 0 where an operand is repeated */
  cuda_divisor by[DN_MAX_DIM];               /* the sizes, of all dimensions but the first */
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
  for (int d = 1; d < index.n_dim; d++) index.by[d] = cuda_divisor_of(index.size[d]);
  return index;
}

/*
** The largest packet, in elements, in which all n operands can be walked: the last dimension's elements
** are neighbours in each, and packets begin at multiples of their bytes. data[k], n_bytes[k]: where operand k
** begins and what an element of it takes.
*/
static inline int cuda_index_packet(const cuda_index &index, int n, const void *const *data,
                                    const int64_t *n_bytes) {
  const int last = index.n_dim - 1;
  int64_t widest = 1;
  for (int k = 0; k < n; k++) {
    if (index.stride[k][last] != 1 || index.size[last] == 1) return 1;
    if (n_bytes[k] > widest) widest = n_bytes[k];
  }
  for (int64_t packet = 16 / widest; packet > 1; packet = widest == 2 && packet > 4 ? 4 : 1) {
    bool fits = index.size[last] % packet == 0;
    for (int k = 0; k < n && fits; k++) {
      fits = (uintptr_t)data[k] % (uintptr_t)(packet * n_bytes[k]) == 0;
      for (int d = 0; d < last; d++) fits = fits && index.stride[k][d] % packet == 0;
    }
    if (fits) return (int)packet;
  }
  return 1;
}

/* The walk over packets of so many elements; offsets are those of their first elements. */
static inline cuda_index cuda_index_in_packets(cuda_index index, int packet) {
  const int last = index.n_dim - 1;
  index.n_elements /= packet;
  index.size[last] /= packet;
  for (int k = 0; k < CUDA_OPERANDS; k++) index.stride[k][last] *= packet;
  if (last > 0) index.by[last] = cuda_divisor_of(index.size[last]);
  return index;
}

/* The walk in the largest packets that all n tensors allow; *packet is how many elements they have. */
static inline cuda_index cuda_index_of_packets(int n, const dn_tensor *y, const dn_tensor *a,
                                               const dn_tensor *b, int *packet) {
  const dn_tensor *const tensors[CUDA_OPERANDS] = {y, a, b};
  const void *data[CUDA_OPERANDS];
  int64_t n_bytes[CUDA_OPERANDS];
  for (int k = 0; k < n; k++) {
    data[k] = dn_tensor_data(tensors[k]);
    n_bytes[k] = (int64_t)dn_dtype_size(tensors[k]->dtype);
  }
  const cuda_index index = cuda_index_of(n, y, a, b);
  *packet = cuda_index_packet(index, n, data, n_bytes);
  return cuda_index_in_packets(index, *packet);
}

/*
** offset[k] of element i (row-major in the walk's shape) in each of the first n operands. I counts the
** elements (cuda_divisor.h).
*/
template <int n, typename I>
__device__ static inline void cuda_offsets_by(const cuda_index &index, I i, int64_t *offset) {
  for (int k = 0; k < n; k++) offset[k] = 0;
  for (int d = index.n_dim - 1; d > 0; d--) {
    I place;
    cuda_divide(i, index.by[d], &i, &place);
    for (int k = 0; k < n; k++) offset[k] += place * index.stride[k][d];
  }
  for (int k = 0; k < n; k++) offset[k] += i * index.stride[k][0];
}

template <int n>
__device__ static inline void cuda_offsets(const cuda_index &index, int64_t i, int64_t *offset) {
  if (cuda_counts_near(index.n_elements))
    cuda_offsets_by<n>(index, (uint32_t)i, offset);
  else
    cuda_offsets_by<n>(index, i, offset);
}

#endif
