#include "cuda_norm_relu_conv_1x1_kernel.h"
#include "cuda_transition_fused.h"

/* One slice of outputs where 128 will do, as x is the most of what is read, and read for each slice; so slices need
   not be neighbours, which would take the registers that a second block needs. */
template <typename T, int OUTPUTS, int TILE>
__global__ void __launch_bounds__(THREADS, 2)
    transition_forward_kernel(const forward_1x1<T, true> f) {
  CUDA_SHARED_DYNAMIC(uint32_t, shared);
  CUDA_SHARED(unsigned, ticket, 1);
  const cuda_slice_place place = {(int)blockIdx.x, (int)blockIdx.y};
  forward_tile<T, OUTPUTS, TILE, true, pooled_pixels<T, true>>(shared, ticket, f, place);
}

static int outputs_of(int64_t n_outputs) { return n_outputs > 64 ? 128 : 64; }

/* 64 pixels where that makes a block a multiprocessor of an H200; a thread has four times as much on its
   way as in a 1x1, so 128 would be too many. By what was worked out, not by a measurement. */
static int tile_of(int64_t n_pixels) { return n_pixels >= 128 * 64 ? 64 : 32; }

static int64_t blocks_of(const cuda_strip &strip) {
  const int tile = tile_of(strip.n);
  return (strip.n + tile - 1) / tile;
}

bool cuda_transition_forward_fits(const dn_tensor *y, const dn_tensor *x) {
  const int64_t vector = 16 / (int64_t)dn_dtype_size(x->dtype);
  const int64_t n_slices = (y->size[1] + 63) / 64;
  return cuda_fused_computes(x->dtype) && cuda_fused_counts(x) && x->size[3] % vector == 0 &&
         cuda_fused_is_whole(x) && cuda_fused_is_whole(y) &&
         n_slices * (1 + cuda_moments_groups(blocks_of(cuda_strip_of(y)))) <= CUDA_TICKETS;
}

int64_t cuda_transition_fused_forward_scratch(const dn_tensor *y, const dn_tensor *stats) {
  return stats ? cuda_moments_bytes(y->size[1], blocks_of(cuda_strip_of(y))) : 0;
}

template <typename T, int OUTPUTS, int TILE>
static dn_status launch(const forward_1x1<T, true> &f) {
  const dim3 blocks((unsigned)f.moments.n_blocks, (unsigned)cuda_slices(f.n_outputs, OUTPUTS));
  CUDA_LAUNCH((transition_forward_kernel<T, OUTPUTS, TILE>), blocks, THREADS,
              (sizes_1x1<T, OUTPUTS, TILE>::SHARED_BYTES), cuda_stream(), f);
  return DN_OK;
}

template <typename T, int OUTPUTS>
static dn_status launch_tile(const forward_1x1<T, true> &f) {
  return tile_of(f.strip.n) == 64 ? launch<T, OUTPUTS, 64>(f) : launch<T, OUTPUTS, 32>(f);
}

template <typename T>
static dn_status run(dn_tensor *y, dn_tensor *stats, const dn_tensor *x, const dn_tensor *norm,
                     const dn_tensor *weight, void *scratch) {
  const cuda_strip strip = cuda_strip_of(y);
  const forward_1x1<T, true> f =
      forward_1x1_of<T, true>(y, stats, x, norm, weight, strip, blocks_of(strip), scratch);
  return outputs_of(f.n_outputs) == 128 ? launch_tile<T, 128>(f) : launch_tile<T, 64>(f);
}

dn_status cuda_transition_fused_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight,
                                        void *scratch) {
  CUDA_FOR_FUSED(x->dtype, T, return run<T>(y, stats, x, norm, weight, scratch));
}
