/*
** Element by element: y = f(x), y = f(a, b), over tensors of any strides. A thread takes packets of
** neighbours where the last dimension has them in every tensor, else single elements.
**
** f is a struct that holds what it needs besides, by value, and stores an element: f(&y, x), f(&y, a, b). Each
** operation has a kernel of its own name, which a profile shows, defined by CUDA_MAP0, CUDA_MAP1 or CUDA_MAP2.
*/
#ifndef CUDA_MAP_H
#define CUDA_MAP_H

#include "cuda_index.h"
#include "cuda_packet.h"

#define CUDA_FOR_PACKETS_OF(I, i, index)                                          \
  for (I i = (I)blockIdx.x * blockDim.x + threadIdx.x; i < (I)(index).n_elements; \
       i += (I)gridDim.x * blockDim.x)

template <int N, typename I, typename F, typename Y>
__device__ static inline void cuda_map_packets(Y *y, const F &f, const cuda_index &index) {
  CUDA_ROLLED
  CUDA_FOR_PACKETS_OF(I, i, index) {
    int64_t offset[1];
    cuda_offsets_by<1>(index, i, offset);
    cuda_packet<Y, N> to;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) f(&to.at[e]);
    cuda_packet_store(y + offset[0], to);
  }
}

template <int N, typename I, typename F, typename Y, typename X>
__device__ static inline void cuda_map_packets(Y *y, const X *x, const F &f,
                                               const cuda_index &index) {
  CUDA_ROLLED
  CUDA_FOR_PACKETS_OF(I, i, index) {
    int64_t offset[2];
    cuda_offsets_by<2>(index, i, offset);
    const cuda_packet<X, N> from = cuda_packet_load<N>(x + offset[1]);
    cuda_packet<Y, N> to;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) f(&to.at[e], from.at[e]);
    cuda_packet_store(y + offset[0], to);
  }
}

template <int N, typename I, typename F, typename Y, typename X>
__device__ static inline void cuda_map_packets(Y *y, const X *a, const X *b, const F &f,
                                               const cuda_index &index) {
  CUDA_ROLLED
  CUDA_FOR_PACKETS_OF(I, i, index) {
    int64_t offset[3];
    cuda_offsets_by<3>(index, i, offset);
    const cuda_packet<X, N> left = cuda_packet_load<N>(a + offset[1]);
    const cuda_packet<X, N> right = cuda_packet_load<N>(b + offset[2]);
    cuda_packet<Y, N> to;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) f(&to.at[e], left.at[e], right.at[e]);
    cuda_packet_store(y + offset[0], to);
  }
}

#define CUDA_MAP_LAUNCH(kernel, index, ...)                                            \
  CUDA_LAUNCH(kernel, cuda_blocks((index).n_elements), CUDA_THREADS, 0, cuda_stream(), \
              __VA_ARGS__, index)

/* The wider of two types: it has the fewest elements in a packet. */
template <typename Y, typename X, bool is_first = (sizeof(Y) >= sizeof(X))>
struct cuda_wider {
  typedef Y type;
};
template <typename Y, typename X>
struct cuda_wider<Y, X, false> {
  typedef X type;
};

/*
** CUDA_MAP0(fill) defines fill_kernel and the host's fill_each<Y>(y, f), which launches it: y = f(), Y as y's
** elements are stored.
*/
#define CUDA_MAP0(name)                                                                            \
  template <typename F, int N, typename Y>                                                         \
  __global__ void name##_kernel(Y *y, const F f, const cuda_index index) {                         \
    if (cuda_counts_near(index.n_elements))                                                        \
      cuda_map_packets<N, uint32_t>(y, f, index);                                                  \
    else                                                                                           \
      cuda_map_packets<N, int64_t>(y, f, index);                                                   \
  }                                                                                                \
  template <typename Y, typename F>                                                                \
  static dn_status name##_each(dn_tensor *y, const F &f) {                                         \
    int packet;                                                                                    \
    const cuda_index index = cuda_index_of_packets(1, y, NULL, NULL, &packet);                     \
    CUDA_FOR_PACKETS(Y, packet, N,                                                                 \
                     CUDA_MAP_LAUNCH((name##_kernel<F, N, Y>), index, (Y *)dn_tensor_data(y), f)); \
    return DN_OK;                                                                                  \
  }

/* CUDA_MAP1(relu_forward): relu_forward_kernel and relu_forward_each<Y, X>(y, x, f): y = f(x). */
#define CUDA_MAP1(name)                                                                          \
  template <typename F, int N, typename Y, typename X>                                           \
  __global__ void name##_kernel(Y *y, const X *x, const F f, const cuda_index index) {           \
    if (cuda_counts_near(index.n_elements))                                                      \
      cuda_map_packets<N, uint32_t>(y, x, f, index);                                             \
    else                                                                                         \
      cuda_map_packets<N, int64_t>(y, x, f, index);                                              \
  }                                                                                              \
  template <typename Y, typename X, typename F>                                                  \
  static dn_status name##_each(dn_tensor *y, const dn_tensor *x, const F &f) {                   \
    typedef typename cuda_wider<Y, X>::type W;                                                   \
    int packet;                                                                                  \
    const cuda_index index = cuda_index_of_packets(2, y, x, NULL, &packet);                      \
    CUDA_FOR_PACKETS(W, packet, N,                                                               \
                     CUDA_MAP_LAUNCH((name##_kernel<F, N, Y, X>), index, (Y *)dn_tensor_data(y), \
                                     (const X *)dn_tensor_data(x), f));                          \
    return DN_OK;                                                                                \
  }

/* CUDA_MAP2(binary): binary_kernel and binary_each<Y, X>(y, a, b, f): y = f(a, b), which both are X. */
#define CUDA_MAP2(name)                                                                            \
  template <typename F, int N, typename Y, typename X>                                             \
  __global__ void name##_kernel(Y *y, const X *a, const X *b, const F f, const cuda_index index) { \
    if (cuda_counts_near(index.n_elements))                                                        \
      cuda_map_packets<N, uint32_t>(y, a, b, f, index);                                            \
    else                                                                                           \
      cuda_map_packets<N, int64_t>(y, a, b, f, index);                                             \
  }                                                                                                \
  template <typename Y, typename X, typename F>                                                    \
  static dn_status name##_each(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, const F &f) { \
    typedef typename cuda_wider<Y, X>::type W;                                                     \
    int packet;                                                                                    \
    const cuda_index index = cuda_index_of_packets(3, y, a, b, &packet);                           \
    CUDA_FOR_PACKETS(                                                                              \
        W, packet, N,                                                                              \
        CUDA_MAP_LAUNCH((name##_kernel<F, N, Y, X>), index, (Y *)dn_tensor_data(y),                \
                        (const X *)dn_tensor_data(a), (const X *)dn_tensor_data(b), f));           \
    return DN_OK;                                                                                  \
  }

#endif
