/*
** Mean and variance of what a kernel makes, taken while it has it: deterministic, without a launch of
** its own.
**
** Sums are of distances from a centre, a value of the channel itself, so that little is lost where the
** mean is large against the deviation. Each block leaves a part for each channel; the last block of a
** group of CUDA_MOMENTS_GROUP adds its parts up, in their order, and the last group's last block adds up
** the groups. Who is last, tickets tell: counters of the device that are 0 between launches. That block may go
** on and make the table of the norm that reads the channels next.
*/
#ifndef CUDA_MOMENTS_H
#define CUDA_MOMENTS_H

#include "cuda_norm_table.h"
#include "cuda_slices.h"
#include "cuda_vector.h"

static const int CUDA_MOMENTS_GROUP = 32;

/* Of `count` values: x their centre, y the sum of distances from it, z of their squares, w the count. */
typedef float4 cuda_moments;

/* Where a launch leaves them: `n_blocks` tiles, each with a part for every channel. */
typedef struct cuda_moments_parts {
  cuda_moments *parts; /* n_blocks + n_groups rows of n_channels */
  unsigned *tickets;   /* 1 + n_groups for each slice of channels */
  int n_channels, n_blocks, n_groups;
  cuda_table<float> stats;      /* data NULL: nobody asks */
  cuda_norm_making<float> next; /* a table to make when they are there */
  bool next_is_own;             /* of these very statistics, so that each slice makes its part */
} cuda_moments_parts;

static inline int cuda_moments_groups(int64_t n_blocks) {
  return (int)((n_blocks + CUDA_MOMENTS_GROUP - 1) / CUDA_MOMENTS_GROUP);
}

static inline int64_t cuda_moments_bytes(int64_t n_channels, int64_t n_blocks) {
  return n_channels * (n_blocks + cuda_moments_groups(n_blocks)) * (int64_t)sizeof(cuda_moments);
}

/* stats NULL: nobody asks. scratch: cuda_moments_bytes. */
static inline cuda_moments_parts cuda_moments_parts_of(dn_tensor *stats, int64_t n_channels,
                                                       int64_t n_blocks, void *scratch) {
  const cuda_table<float> none = {NULL, 0};
  const cuda_moments_parts parts = {(cuda_moments *)scratch,
                                    cuda_current()->tickets,
                                    (int)n_channels,
                                    (int)n_blocks,
                                    cuda_moments_groups(n_blocks),
                                    stats ? cuda_table_of<float>(stats) : none,
                                    {},
                                    false};
  return parts;
}

/*
** Whether the last block makes what `next` asks for: not where its channels lie in several slices, none of
** which knows when the others have theirs.
*/
static inline bool cuda_moments_take(cuda_moments_parts *parts, const cuda_norm_request &next,
                                     const dn_tensor *stats, int64_t n_slices) {
  if (!next.norm || !stats) return false;
  parts->next_is_own =
      dn_tensor_data(next.stats) == dn_tensor_data(stats) && next.stats->size[1] == stats->size[1];
  if (n_slices > 1 && !parts->next_is_own) return false;
  parts->next = cuda_norm_making_of<float>(next);
  return true;
}

/* n sums about their own centres as one about the first's. */
typedef struct cuda_moments_sum {
  double center, sum, squares, count;
} cuda_moments_sum;

__device__ static inline void cuda_moments_add(cuda_moments_sum *all, const cuda_moments &part) {
  if (all->count == 0) all->center = part.x;
  const double off = part.x - all->center;
  all->sum += part.y + part.w * off;
  all->squares += part.z + 2 * off * part.y + part.w * off * off;
  all->count += part.w;
}

__device__ static inline cuda_moments cuda_moments_of(const cuda_moments_sum &all) {
  const cuda_moments part = {(float)all.center, (float)all.sum, (float)all.squares,
                             (float)all.count};
  return part;
}

/* n rows from `first` on, of one channel, in order; 8 are on the way at a time. */
__device__ static inline cuda_moments_sum cuda_moments_join(const cuda_moments *first, int row,
                                                            int n) {
  cuda_moments_sum all = {0, 0, 0, 0};
  for (int i = 0; i < n; i += 8) {
    cuda_moments some[8];
    CUDA_UNROLL
    for (int j = 0; j < 8; j++)
      if (i + j < n) some[j] = cuda_look(first + (int64_t)(i + j) * row);
    CUDA_UNROLL
    for (int j = 0; j < 8; j++)
      if (i + j < n) cuda_moments_add(&all, some[j]);
  }
  return all;
}

/* Whether this block is the last of n to come here; then it reads what the others have published. */
__device__ static inline bool cuda_is_last(unsigned *ticket, unsigned n, unsigned *shared) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) *shared = atomicAdd(ticket, 1u);
  __syncthreads();
  if (*shared != n - 1) return false;
  if (threadIdx.x == 0) atomicExch(ticket, 0u); /* for the next launch */
  __threadfence();
  __syncthreads();
  return true;
}

/*
** Every thread of the block comes here with the block's part of channel first + threadIdx.x, of
** n_own channels; the last block writes their rows of stats. `shared` is one number of the block's.
*/
__device__ static inline void cuda_moments_finish(const cuda_moments_parts &m,
                                                  const cuda_slice_place &place,
                                                  const cuda_moments &part, int first, int n_own,
                                                  unsigned *shared) {
  const int block = place.tile, group = block / CUDA_MOMENTS_GROUP, c = first + (int)threadIdx.x;
  const bool is_own = (int)threadIdx.x < n_own;
  unsigned *const tickets = m.tickets + (int64_t)place.slice * (1 + m.n_groups);
  if (is_own) cuda_publish(m.parts + (int64_t)block * m.n_channels + c, part);
  const int begin = group * CUDA_MOMENTS_GROUP, rest = m.n_blocks - begin;
  const int n = rest < CUDA_MOMENTS_GROUP ? rest : CUDA_MOMENTS_GROUP;
  if (!cuda_is_last(tickets + 1 + group, (unsigned)n, shared)) return;
  cuda_moments *const groups = m.parts + (int64_t)m.n_blocks * m.n_channels + c;
  if (is_own)
    cuda_publish(groups + (int64_t)group * m.n_channels,
                 cuda_moments_of(cuda_moments_join(m.parts + (int64_t)begin * m.n_channels + c,
                                                   m.n_channels, n)));
  if (!cuda_is_last(tickets, (unsigned)m.n_groups, shared)) return;
  if (is_own) {
    const cuda_moments_sum all = cuda_moments_join(groups, m.n_channels, m.n_groups);
    const dn_moments moments = dn_moments_of(all.center, all.sum, all.squares, all.count);
    m.stats.data[DN_STATS_MEAN * m.stats.row + c] = (float)moments.mean;
    m.stats.data[DN_STATS_VAR * m.stats.row + c] = (float)moments.variance;
  }
  if (m.next.n_channels == 0) return;
  __syncthreads(); /* the block sees its own statistics; those of other channels were there before */
  const int from = m.next_is_own ? first : 0;
  const int end = m.next_is_own ? first + n_own : (int)m.next.n_channels;
  for (int i = from + (int)threadIdx.x; i < end; i += (int)blockDim.x) cuda_norm_make(m.next, i);
}

/*
** The same of what the block's warps left in shared memory, warps[output][warp], of n_own outputs a slice and n_all
** in all; nothing where nobody asks.
*/
__device__ static inline void cuda_moments_finish_warps(const cuda_moments_parts &m,
                                                        const cuda_slice_place &place,
                                                        const cuda_moments *warps, int n_warps,
                                                        int n_own, int n_all, unsigned *shared) {
  if (!m.stats.data) return;
  __syncthreads();
  cuda_moments_sum all = {0, 0, 0, 0};
  if ((int)threadIdx.x < n_own)
    for (int warp = 0; warp < n_warps; warp++)
      cuda_moments_add(&all, warps[(int)threadIdx.x * n_warps + warp]);
  const int first = place.slice * n_own, rest = n_all - first;
  cuda_moments_finish(m, place, cuda_moments_of(all), first, rest < n_own ? rest : n_own, shared);
}

#endif
