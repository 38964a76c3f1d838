/*
** Dropout keeps no mask: the forward and the backward pass read the same random words from the same
** place of the generator's sequence, so both are one operation.
**
** Four elements share a position of the sequence. So that each is drawn once, a thread takes those of a
** position, or of two where eight lie in a packet.
*/
#include "cuda_index.h"
#include "cuda_number.h"
#include "cuda_packet.h"

enum { A_POSITION = 4 }; /* elements */

/* N elements are a packet, and W a thread's. */
template <typename T, int N, typename I, typename C>
__device__ static inline void drop(T *y, const T *x, uint32_t threshold, C scale, const dn_rng &rng,
                                   const cuda_index &index) {
  enum { W = N > A_POSITION ? N : A_POSITION };
  const I n_elements = (I)index.n_elements * N, step = (I)gridDim.x * blockDim.x * W;
  for (I own = ((I)blockIdx.x * blockDim.x + threadIdx.x) * W; own < n_elements; own += step) {
    unsigned keeps = 0;
    CUDA_UNROLL
    for (int d = 0; d < W / A_POSITION; d++) {
      const dn_philox_words words = dn_philox(rng, (uint64_t)(own / A_POSITION + d));
      CUDA_UNROLL
      for (int w = 0; w < A_POSITION; w++)
        keeps |= (unsigned)(words.word[w] >= threshold) << (d * A_POSITION + w);
    }
    CUDA_UNROLL
    for (int k = 0; k < W / N; k++) {
      if (own + k * N >= n_elements) continue;
      int64_t offset[2];
      cuda_offsets_by<2>(index, own / N + k, offset);
      cuda_packet<T, N> packet = cuda_packet_load<N>(x + offset[1]);
      CUDA_UNROLL
      for (int e = 0; e < N; e++) {
        const bool kept = keeps >> (k * N + e) & 1;
        /* a dropped element is 0 even where the input is not finite */
        cuda_store(&packet.at[e], kept ? cuda_load(packet.at[e]) * scale : (C)0);
      }
      cuda_packet_store(y + offset[0], packet);
    }
  }
}

template <typename T, int N, typename C>
__global__ void dropout_kernel(T *y, const T *x, uint32_t threshold, C scale, dn_rng rng,
                               const double *base_at, const cuda_index index) {
  rng.position += (uint64_t)cuda_number_of(0.0, base_at);
  if (cuda_counts_near(index.n_elements * N))
    drop<T, N, uint32_t>(y, x, threshold, scale, rng, index);
  else
    drop<T, N, int64_t>(y, x, threshold, scale, rng, index);
}

static dn_status apply(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                       dn_number base) {
  rng.position += (uint64_t)base.value;
  const uint32_t threshold = dn_dropout_threshold(probability);
  const double scale = 1 / (1 - probability);
  int packet;
  const cuda_index index = cuda_index_of_packets(2, y, x, NULL, &packet);
  const int64_t share = packet > A_POSITION ? packet : A_POSITION;
  const int64_t n_threads = (dn_tensor_count(y) + share - 1) / share;
  CUDA_FOR_REAL(y->dtype, T, typedef cuda_types<T>::computed C; CUDA_FOR_PACKETS(
                    T, packet, N,
                    CUDA_LAUNCH((dropout_kernel<T, N, C>), cuda_blocks(n_threads), CUDA_THREADS, 0,
                                cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
                                threshold, (C)scale, rng, cuda_number_at(base), index)));
  return DN_OK;
}

dn_status cuda_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                               dn_number base) {
  return apply(y, x, probability, rng, base);
}

dn_status cuda_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng,
                                dn_number base) {
  return apply(dx, dy, probability, rng, base);
}
