#include "cuda_parts.h"

#include "cuda_fused.h"
#include "cuda_launch.h"
#include "cuda_scratch.h"

cuda_parts cuda_parts_of(const dn_tensor *x, int64_t channels_of_slice, int64_t n_tiles,
                         int64_t n_weights, bool has_sums) {
  const int64_t n_channels = x->size[1], size = (int64_t)sizeof(float);
  cuda_parts parts;
  memset(&parts, 0, sizeof parts);
  parts.n_slices = (int)((n_channels + channels_of_slice - 1) / channels_of_slice);
  const int64_t most = parts.n_slices < CUDA_FUSED_BLOCKS ? CUDA_FUSED_BLOCKS / parts.n_slices : 1;
  parts.n_blocks = (int)(n_tiles < most ? n_tiles : most);
  parts.n_weights = (int)n_weights;
  parts.weights = cuda_scratch_place(&parts.n_bytes, parts.n_blocks * n_weights, size);
  if (!has_sums) return parts;
  parts.n_channels = (int)n_channels;
  parts.sums = cuda_scratch_place(&parts.n_bytes, 2 * parts.n_blocks * 2 * n_channels, size);
  return parts;
}

/* The rows, and what becomes of their sums. */
typedef struct rows {
  const float *weights, *sums;
  int n_weights, n_weight_parts, n_channels, n_sum_parts;
  float *dweight, scale;
  cuda_norm_outputs<float> norm;
} rows;

enum { COLUMNS = 32, SHARES = 8 };

/*
** A block adds up COLUMNS columns, neighbours, of the weight or of the sums (the last blocks); each of
** SHARES warps takes every SHARES-th row of them, and the first joins what they have.
*/
__global__ void __launch_bounds__(COLUMNS *SHARES)
    fused_parts_kernel(const rows parts, int n_weight_blocks) {
  CUDA_SHARED(double, shared, COLUMNS *SHARES);
  const bool is_weight = (int)blockIdx.x < n_weight_blocks;
  const int block = (int)blockIdx.x - (is_weight ? 0 : n_weight_blocks);
  const int n_columns = is_weight ? parts.n_weights : 2 * parts.n_channels;
  const int n_rows = is_weight ? parts.n_weight_parts : parts.n_sum_parts;
  const int column = block * COLUMNS + (int)threadIdx.x % COLUMNS;
  const float *const from = (is_weight ? parts.weights : parts.sums) + column;
  double sum = 0;
  if (column < n_columns)
    for (int row = (int)threadIdx.x / COLUMNS; row < n_rows; row += SHARES)
      sum += from[(int64_t)row * n_columns];
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x >= COLUMNS || column >= n_columns) return;
  for (int share = 1; share < SHARES; share++) sum += shared[share * COLUMNS + (int)threadIdx.x];
  if (is_weight)
    parts.dweight[column] += (float)(parts.scale * sum);
  else if (column < parts.n_channels)
    cuda_norm_end_beta(parts.norm, column, sum);
  else
    cuda_norm_end_gamma(parts.norm, column - parts.n_channels, sum);
}

dn_status cuda_parts_add(const cuda_parts &parts, void *scratch, dn_tensor *dweight, double scale,
                         const cuda_norm_gradient *gradient) {
  rows all;
  memset((void *)&all, 0, sizeof all);
  all.weights = cuda_parts_weights(parts, scratch);
  all.sums = cuda_parts_sums(parts, scratch);
  all.n_weights = parts.n_weights;
  all.n_weight_parts = parts.n_blocks;
  all.n_channels = parts.n_channels;
  all.n_sum_parts = 2 * parts.n_blocks;
  all.dweight = dweight ? (float *)dn_tensor_data(dweight) : NULL;
  all.scale = (float)scale;
  if (gradient) all.norm = cuda_norm_outputs_of<float>(*gradient);
  const int n_weight_blocks = (all.n_weights + COLUMNS - 1) / COLUMNS;
  const int n_sum_blocks = (2 * all.n_channels + COLUMNS - 1) / COLUMNS;
  CUDA_LAUNCH(fused_parts_kernel, (unsigned)(n_weight_blocks + n_sum_blocks), COLUMNS * SHARES, 0,
              cuda_stream(), all, n_weight_blocks);
  return DN_OK;
}
