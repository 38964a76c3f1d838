#include "cuda_parts.h"

#include "cuda_launch.h"

enum { COLUMNS = 32, SHARES = 8 };

/*
** A block adds up COLUMNS columns, neighbours, of the weight or of the sums (the last blocks); each of
** SHARES warps takes every SHARES-th row of them, and the first joins what they have.
*/
__global__ void __launch_bounds__(COLUMNS *SHARES)
    fused_parts_kernel(const cuda_parts parts, int n_weight_blocks) {
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
    parts.dweight[column] += (float)(parts.norm.scale * sum);
  else if (column < parts.n_channels)
    cuda_norm_end_beta(parts.norm, column, sum);
  else
    cuda_norm_end_gamma(parts.norm, column - parts.n_channels, sum);
}

dn_status cuda_parts_add(const cuda_parts *parts) {
  const int n_weight_blocks = parts->weights ? (parts->n_weights + COLUMNS - 1) / COLUMNS : 0;
  const int n_sum_blocks = (2 * parts->n_channels + COLUMNS - 1) / COLUMNS;
  CUDA_LAUNCH(fused_parts_kernel, (unsigned)(n_weight_blocks + n_sum_blocks), COLUMNS * SHARES, 0,
              cuda_stream(), *parts, n_weight_blocks);
  return DN_OK;
}
