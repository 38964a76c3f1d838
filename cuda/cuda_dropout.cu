/*
** Dropout keeps no mask: the forward and the backward pass read the same random words from the same
** place of the generator's sequence, so both are one operation.
**
** Four elements share a position of the sequence. So that each is drawn once and memory is still
** read in order, a warp takes runs of 128 elements: lane l draws for elements 4l..4l+3 of the run,
** and the lanes then tell each other what is kept.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"
#include "cuda_number.h"

enum { A_POSITION = 4 }; /* elements */

template <typename T, typename C>
__global__ void dropout_kernel(T *y, const T *x, uint32_t threshold, C scale, dn_rng rng,
                               const double *base_at, const cuda_index index) {
  rng.position += (uint64_t)cuda_number_of(0.0, base_at);
  const int lane = (int)threadIdx.x % CUDA_WARP;
  const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  const int64_t step = (int64_t)gridDim.x * blockDim.x * A_POSITION;
  for (int64_t run = (thread - lane) * A_POSITION; run < index.n_elements; run += step) {
    const dn_philox_words words = dn_philox(rng, (uint64_t)(run / A_POSITION + lane));
    unsigned keeps = 0;
    for (int w = 0; w < A_POSITION; w++) keeps |= (unsigned)(words.word[w] >= threshold) << w;
    for (int k = 0; k < A_POSITION; k++) {
      const int within = k * CUDA_WARP + lane;
      const unsigned drawn = __shfl_sync(0xFFFFFFFFu, keeps, within / A_POSITION);
      if (run + within >= index.n_elements) continue;
      int64_t offset[2];
      cuda_offsets<2>(index, run + within, offset);
      const bool kept = drawn >> within % A_POSITION & 1;
      /* a dropped element is 0 even where the input is not finite */
      cuda_store(&y[offset[0]], kept ? cuda_load(x[offset[1]]) * scale : (C)0);
    }
  }
}

static dn_status apply(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                       dn_number base) {
  rng.position += (uint64_t)base.value;
  const cuda_index index = cuda_index_of(2, y, x);
  const uint32_t threshold = dn_dropout_threshold(probability);
  const double scale = 1 / (1 - probability);
  const int64_t n_positions = (index.n_elements + A_POSITION - 1) / A_POSITION;
  CUDA_FOR_REAL(y->dtype, T, typedef cuda_types<T>::computed C;
                CUDA_LAUNCH((dropout_kernel<T, C>), cuda_blocks(n_positions), CUDA_THREADS, 0,
                            cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
                            threshold, (C)scale, rng, cuda_number_at(base), index));
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
