#include "cuda_norm_relu_conv_1x1.h"

#include "cuda_norm_relu_conv_1x1_kernel.h"

template <typename T, int OUTPUTS, int TILE, bool WHOLE>
__global__ void __launch_bounds__(THREADS, OUTPUTS == 48 ? 3 : 2)
    norm_relu_conv_1x1_forward_kernel(const forward_1x1<T, WHOLE> f) {
  CUDA_SHARED_DYNAMIC(uint32_t, shared);
  CUDA_SHARED(unsigned, ticket, 1);
  forward_tile<T, OUTPUTS, TILE, WHOLE, plain_pixels<T, WHOLE>>(
      shared, ticket, f, cuda_slice_place_of(f.n_outputs, OUTPUTS));
}

/* Slices of 48 outputs, or of 64 where these leave fewer rows unused, or as many with fewer slices. */
static int outputs_of(int64_t n_outputs) {
  const int64_t by_48 = (n_outputs + 47) / 48 * 48, by_64 = (n_outputs + 63) / 64 * 64;
  return n_outputs > 48 && by_64 <= by_48 ? 64 : 48;
}

/*
** Large tiles read weights seldom, small ones give work to all multiprocessors where pixels are few: 128
** pixels where that makes 256 tiles, two a multiprocessor of an H200; 64 where that makes 128; else 32.
** By what was worked out for an H200, not by a measurement.
*/
static int tile_of(int64_t n_pixels) {
  return n_pixels >= 256 * 128 ? 128 : n_pixels >= 128 * 64 ? 64 : 32;
}

static int64_t blocks_of(const cuda_strip &strip) {
  const int tile = tile_of(strip.n);
  return (strip.n + tile - 1) / tile;
}

bool cuda_norm_relu_conv_1x1_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight) {
  const int64_t n_slices = (y->size[1] + 47) / 48;
  return weight->size[2] == 1 && cuda_fused_computes(x->dtype) && cuda_fused_counts(x) &&
         n_slices * (1 + cuda_moments_groups(blocks_of(cuda_strip_of(y)))) <= CUDA_TICKETS;
}

int64_t cuda_norm_relu_conv_1x1_scratch(const dn_tensor *y, const dn_tensor *stats) {
  return stats ? cuda_moments_bytes(y->size[1], blocks_of(cuda_strip_of(y))) : 0;
}

template <typename T, int OUTPUTS, int TILE, bool WHOLE>
static dn_status launch(const forward_1x1<T, WHOLE> &f) {
  typedef sizes_1x1<T, OUTPUTS, TILE> S;
  const int64_t n_blocks = (int64_t)f.moments.n_blocks * cuda_slices(f.n_outputs, OUTPUTS);
  CUDA_LAUNCH((norm_relu_conv_1x1_forward_kernel<T, OUTPUTS, TILE, WHOLE>), (unsigned)n_blocks,
              THREADS, S::SHARED_BYTES, cuda_stream(), f);
  return DN_OK;
}

template <typename T, int OUTPUTS, bool WHOLE>
static dn_status launch_tile(const forward_1x1<T, WHOLE> &f) {
  switch (tile_of(f.strip.n)) {
    case 128:
      return launch<T, OUTPUTS, 128, WHOLE>(f);
    case 64:
      return launch<T, OUTPUTS, 64, WHOLE>(f);
    default:
      return launch<T, OUTPUTS, 32, WHOLE>(f);
  }
}

template <typename T, bool WHOLE>
static dn_status run(dn_tensor *y, dn_tensor *stats, const dn_tensor *x, const dn_tensor *norm,
                     const dn_tensor *weight, const cuda_norm_request &next, void *scratch) {
  const cuda_strip strip = cuda_strip_of(y);
  forward_1x1<T, WHOLE> f =
      forward_1x1_of<T, WHOLE>(y, stats, x, norm, weight, strip, blocks_of(strip), scratch);
  const int outputs = outputs_of(f.n_outputs);
  const bool is_made =
      cuda_moments_take(&f.moments, next, stats, cuda_slices(f.n_outputs, outputs));
  DN_TRY((outputs == 64 ? launch_tile<T, 64, WHOLE>(f) : launch_tile<T, 48, WHOLE>(f)));
  return is_made ? DN_OK : cuda_norm_table_make(next);
}

dn_status cuda_norm_relu_conv_1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          const cuda_norm_request &next, void *scratch) {
  const bool is_whole = cuda_fused_is_whole(y) && cuda_fused_is_whole(x);
  CUDA_FOR_FUSED(x->dtype, T,
                 return is_whole ? run<T, true>(y, stats, x, norm, weight, next, scratch)
                                 : run<T, false>(y, stats, x, norm, weight, next, scratch));
}
