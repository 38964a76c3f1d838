/*
** Selections: the best element along a dimension, the k best along the last, rows by number.
**
** What is best is decided on keys (dn_order.h), among equals by the place. A few of a long row are
** found one after the other, each the best of those that come behind the one before. Otherwise every
** element counts how many come before it, which is its rank.
*/
#include "cuda_index.h"
#include "cuda_order.h"
#include "cuda_reduce.h"

enum {
  FEW = 16,   /* results of a row that are searched one by one */
  SHORT = 256 /* rows in which ranks are counted all the same: no thread waits for another */
};

/* Rows of x along a dimension and their results, by value. */
typedef struct selection {
  int64_t inverted;                             /* of dn_order.h */
  int64_t length, k;                            /* along the dimension: of x, of the results */
  int64_t x_stride, value_stride, index_stride; /* likewise, in elements */
  bool is_by_block;                             /* a block searches a row, else a thread does */
  bool is_by_rank;                              /* ranks are counted, nothing is searched */
  cuda_index rows;                              /* first elements: values, indices, x */
} selection;

struct first_place {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return a < b ? a : b; }
};

/* The best of places lane, lane + n_lanes, ... that comes behind `previous`. */
template <typename T>
__device__ static inline cuda_candidate best_behind(const T *x, const selection &job, bool is_first,
                                                    const cuda_candidate previous, int lane,
                                                    int n_lanes) {
  cuda_candidate best = {INT64_MIN, INT64_MAX};
  for (int64_t i = lane; i < job.length; i += n_lanes) {
    const cuda_candidate next = {cuda_key_of(cuda_load(x[i * job.x_stride]), job.inverted), i};
    if ((is_first || cuda_comes_before(previous, next)) && cuda_comes_before(next, best))
      best = next;
  }
  return best;
}

/* A block, or a thread, finds the k best of a row. */
template <typename T>
__global__ void select_search_kernel(T *values, int64_t *indices, const T *x, const selection job) {
  CUDA_SHARED(int64_t, shared, CUDA_MOST_WARPS);
  const int lane = job.is_by_block ? (int)threadIdx.x : 0;
  const int n_lanes = job.is_by_block ? (int)blockDim.x : 1;
  const int64_t n_searching = job.is_by_block ? gridDim.x : (int64_t)gridDim.x * blockDim.x;
  int64_t row = job.is_by_block ? blockIdx.x : (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  for (; row < job.rows.n_elements; row += n_searching) {
    int64_t offset[3];
    cuda_offsets<3>(job.rows, row, offset);
    const T *numbers = x + offset[2];
    cuda_candidate best = {0, 0};
    for (int64_t rank = 0; rank < job.k; rank++) {
      best = best_behind(numbers, job, rank == 0, best, lane, n_lanes);
      if (job.is_by_block) {
        const int64_t key = cuda_block_reduce(best.key, INT64_MIN, shared, cuda_max());
        const int64_t place = best.key == key ? best.place : INT64_MAX;
        best.place = cuda_block_reduce(place, INT64_MAX, shared, first_place());
        best.key = key;
      }
      if (lane == 0) {
        values[offset[0] + rank * job.value_stride] = numbers[best.place * job.x_stride];
        indices[offset[1] + rank * job.index_stride] = best.place + 1;
      }
    }
  }
}

/* A thread counts what comes before an element; its warp reads the same ones at the same time. */
template <typename T>
__global__ void select_rank_kernel(T *values, int64_t *indices, const T *x, const selection job) {
  CUDA_FOR(i, job.rows.n_elements * job.length) {
    int64_t offset[3];
    cuda_offsets<3>(job.rows, i / job.length, offset);
    const T *numbers = x + offset[2];
    const int64_t place = i % job.length;
    const T number = numbers[place * job.x_stride];
    const cuda_candidate own = {cuda_key_of(cuda_load(number), job.inverted), place};
    int64_t rank = 0;
    for (int64_t j = 0; j < job.length; j++) {
      const cuda_candidate other = {cuda_key_of(cuda_load(numbers[j * job.x_stride]), job.inverted),
                                    j};
      rank += cuda_comes_before(other, own);
    }
    if (rank < job.k) {
      values[offset[0] + rank * job.value_stride] = number;
      indices[offset[1] + rank * job.index_stride] = place + 1;
    }
  }
}

template <typename T>
static dn_status select(const selection &job, void *values, void *indices, const void *x) {
  if (job.is_by_rank) {
    CUDA_LAUNCH((select_rank_kernel<T>), cuda_blocks(job.rows.n_elements * job.length),
                CUDA_THREADS, 0, cuda_stream(), (T *)values, (int64_t *)indices, (const T *)x, job);
    return DN_OK;
  }
  const int64_t n_rows = job.rows.n_elements;
  const int threads = job.is_by_block ? cuda_block_threads(job.length) : CUDA_THREADS;
  const unsigned blocks = !job.is_by_block            ? cuda_blocks(n_rows)
                          : n_rows < CUDA_MOST_BLOCKS ? (unsigned)n_rows
                                                      : (unsigned)CUDA_MOST_BLOCKS;
  CUDA_LAUNCH((select_search_kernel<T>), blocks, threads, 0, cuda_stream(), (T *)values,
              (int64_t *)indices, (const T *)x, job);
  return DN_OK;
}

/* The k best along dim; values and indices have k there. */
static dn_status select_along(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, int dim,
                              bool largest) {
  dn_tensor firsts[] = {*values, *indices, *x};
  for (int t = 0; t < 3; t++) firsts[t].size[dim] = 1;
  selection job;
  memset(&job, 0, sizeof job);
  job.inverted = dn_order_inverted(largest);
  job.length = x->size[dim];
  job.k = values->size[dim];
  job.x_stride = x->stride[dim];
  job.value_stride = values->stride[dim];
  job.index_stride = indices->stride[dim];
  job.rows = cuda_index_of(3, &firsts[0], &firsts[1], &firsts[2]);
  const int last = job.rows.n_dim - 1;
  const bool are_neighbours =
      job.rows.size[last] >= CUDA_WARP && job.rows.stride[2][last] < job.x_stride;
  job.is_by_block = !are_neighbours;
  job.is_by_rank = job.k > FEW || (!are_neighbours && job.length <= SHORT);
  CUDA_FOR_ANY(
      x->dtype, T,
      return select<T>(job, dn_tensor_data(values), dn_tensor_data(indices), dn_tensor_data(x)));
  return DN_OK;
}

dn_status cuda_arg_reduce(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, int dim,
                          bool largest) {
  return select_along(values, indices, x, dim, largest);
}

dn_status cuda_topk(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, bool largest) {
  return select_along(values, indices, x, x->n_dim - 1, largest);
}

/* ---- Rows by number ---- */

/* A thread takes an element of y; row: the walk over one row of y and of x. */
template <typename T>
__global__ void index_select_kernel(T *y, const T *x, const int64_t *index, int64_t n_rows,
                                    int64_t y_stride, int64_t x_stride,
                                    const cuda_reporter reporter, const cuda_index row) {
  CUDA_FOR(i, n_rows * row.n_elements) {
    const int64_t place = i / row.n_elements, element = i % row.n_elements;
    const int64_t from = index[place];
    if (from < 1 || from > reporter.limit) {
      if (element == 0) cuda_fault_report(reporter, place, from);
      continue;
    }
    int64_t offset[2];
    cuda_offsets<2>(row, element, offset);
    y[place * y_stride + offset[0]] = x[(from - 1) * x_stride + offset[1]];
  }
}

dn_status cuda_index_select(dn_tensor *y, const dn_tensor *x, const dn_tensor *index) {
  dn_tensor y_row = *y, x_row = *x;
  y_row.size[0] = x_row.size[0] = 1;
  const cuda_index row = cuda_index_of(2, &y_row, &x_row);
  const cuda_reporter reporter =
      cuda_fault_reporter(CUDA_FAULT_POSITION, DN_OP_index_select, 3, x->size[0]);
  CUDA_FOR_ANY(y->dtype, T,
               CUDA_LAUNCH((index_select_kernel<T>), cuda_blocks(y->size[0] * row.n_elements),
                           CUDA_THREADS, 0, cuda_stream(), (T *)dn_tensor_data(y),
                           (const T *)dn_tensor_data(x), (const int64_t *)dn_tensor_data(index),
                           y->size[0], y->stride[0], x->stride[0], reporter, row));
  return DN_OK;
}
