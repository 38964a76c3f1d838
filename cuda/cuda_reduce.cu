/*
** Reductions over any dimensions of any strides.
**
** What is reduced into an output is cut into segments; an output's segment is a piece. A block folds
** a piece where the reduced elements lie closer together, a thread does where the outputs are
** neighbours, or where there is little to fold. Pieces meet in a second kernel, in a fixed order. How the
** work is cut depends on shapes and strides alone, so results are the same bits on every GPU.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_fold.h"
}

enum {
  AHEAD = 4,            /* elements that a thread reads before it folds the first of them */
  SHORT = 32,           /* reductions of so few elements are one thread's */
  ENOUGH_BLOCKS = 1024, /* pieces that fill a large GPU */
  ENOUGH_THREADS = 1 << 16,
  BLOCK_SEGMENT = 2048, /* fewest elements worth a piece of their own */
  THREAD_SEGMENT = 64
};

/* The type in which a dtype is folded, unless the result is double: then that is double too. */
template <typename T>
struct folded_as {
  typedef double type;
};
template <>
struct folded_as<int64_t> {
  typedef int64_t type;
};
template <>
struct folded_as<uint8_t> {
  typedef int64_t type;
};

/* One pass over a tensor, by value. */
typedef struct pass {
  dn_fold fold;
  dn_reduce_kind kind;
  double parameter;
  bool is_by_block;    /* a block folds a piece, else a thread does */
  bool writes_results; /* there is one segment, and its folds are the results */
  int64_t n_outputs, n_reduced, n_segments, segment;
  cuda_index kept;    /* the outputs: y and x */
  cuda_index reduced; /* what goes into one of them: x */
} pass;

/* ---- Folds by type ---- */

CUDA_INLINE void start_fold(dn_fold fold, double *start) { *start = dn_fold_start(fold); }
CUDA_INLINE void start_fold(dn_fold fold, int64_t *start) { *start = dn_fold_start_long(fold); }

CUDA_INLINE double step_fold(const pass &job, double so_far, double x, double centre) {
  return dn_fold_step(job.fold, so_far, x, centre, job.parameter);
}
CUDA_INLINE int64_t step_fold(const pass &job, int64_t so_far, int64_t x, double) {
  return dn_fold_step_long(job.fold, so_far, x);
}

/* Joins two folds, for cuda_reduce.h. */
struct meeting {
  dn_fold fold;
  __device__ double operator()(double a, double b) const { return dn_fold_meet(fold, a, b); }
  __device__ int64_t operator()(int64_t a, int64_t b) const {
    return dn_fold_step_long(fold, a, b);
  }
};

template <typename Y>
__device__ static inline void write_result(Y *y, const pass &job, double folded) {
  cuda_round(y, dn_fold_result(job.kind, job.parameter, folded, job.n_reduced));
}
template <typename Y>
__device__ static inline void write_result(Y *y, const pass &, int64_t folded) {
  cuda_store(y, folded);
}

/* ---- Kernels ---- */

/* This thread's share of places begin..end-1: those from begin + lane on, n_lanes apart. */
template <typename T, typename A>
__device__ static inline A fold_share(const T *x, const pass &job, double centre, int64_t begin,
                                      int64_t end, int lane, int n_lanes) {
  A folded;
  start_fold(job.fold, &folded);
  for (int64_t i = begin + lane; i < end; i += AHEAD * n_lanes) {
    A ahead[AHEAD];
    for (int k = 0; k < AHEAD; k++) {
      int64_t offset[1] = {0};
      if (i + k * n_lanes < end) cuda_offsets<1>(job.reduced, i + k * n_lanes, offset);
      ahead[k] = (A)cuda_load(x[offset[0]]);
    }
    for (int k = 0; k < AHEAD; k++)
      if (i + k * n_lanes < end) folded = step_fold(job, folded, ahead[k], centre);
  }
  return folded;
}

/*
** A block, or a thread, folds a piece: parts[output][segment], or y. `sums` [or NULL]: of every
** output, from which its centre comes.
*/
template <typename T, typename Y, typename A>
__global__ void reduce_fold_kernel(Y *y, A *parts, const T *x, const A *sums, const pass job) {
  CUDA_SHARED(A, shared, CUDA_MOST_WARPS);
  const int lane = job.is_by_block ? (int)threadIdx.x : 0;
  const int n_lanes = job.is_by_block ? (int)blockDim.x : 1;
  const int64_t n_folding = job.is_by_block ? gridDim.x : (int64_t)gridDim.x * blockDim.x;
  int64_t piece = job.is_by_block ? blockIdx.x : (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  for (; piece < job.n_outputs * job.n_segments; piece += n_folding) {
    const int64_t output = piece % job.n_outputs, segment = piece / job.n_outputs;
    const int64_t begin = segment * job.segment, left = job.n_reduced - begin;
    int64_t offset[2];
    cuda_offsets<2>(job.kept, output, offset);
    const double centre = sums ? (double)sums[output] / (double)job.n_reduced : 0;
    A folded = fold_share<T, A>(x + offset[1], job, centre, begin,
                                begin + (left < job.segment ? left : job.segment), lane, n_lanes);
    if (job.is_by_block) {
      const meeting meet = {job.fold};
      A nothing;
      start_fold(job.fold, &nothing);
      folded = cuda_block_reduce(folded, nothing, shared, meet);
    }
    if (lane == 0 && job.writes_results) write_result(&y[offset[0]], job, folded);
    if (lane == 0 && !job.writes_results) parts[output * job.n_segments + segment] = folded;
  }
}

/* A warp joins the parts of an output. */
template <typename Y, typename A>
__global__ void reduce_join_kernel(Y *y, const A *parts, const pass job) {
  const int lane = (int)threadIdx.x % CUDA_WARP;
  const int64_t n_warps = (int64_t)gridDim.x * blockDim.x / CUDA_WARP;
  int64_t output = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / CUDA_WARP;
  for (; output < job.n_outputs; output += n_warps) {
    const meeting meet = {job.fold};
    A folded;
    start_fold(job.fold, &folded);
    for (int64_t i = lane; i < job.n_segments; i += CUDA_WARP)
      folded = meet(folded, parts[output * job.n_segments + i]);
    folded = cuda_warp_reduce(folded, meet);
    int64_t offset[2];
    cuda_offsets<2>(job.kept, output, offset);
    if (lane == 0) write_result(&y[offset[0]], job, folded);
  }
}

/* ---- The operation ---- */

static int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }

/* Splits x's dimensions into those that y keeps and those that are reduced, and cuts the work. */
static pass pass_of(const dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind, double parameter) {
  dn_tensor first = *x, inner = *x; /* x's first element of each output; one output's elements */
  for (int d = 0; d < x->n_dim; d++) {
    if (y->size[d] == x->size[d])
      inner.size[d] = 1;
    else
      first.size[d] = 1;
  }
  pass job;
  memset(&job, 0, sizeof job);
  job.fold = dn_fold_for(kind, parameter);
  job.kind = kind;
  job.parameter = parameter;
  job.kept = cuda_index_of(2, y, &first);
  job.reduced = cuda_index_of(1, &inner);
  job.n_outputs = job.kept.n_elements;
  job.n_reduced = job.reduced.n_elements;
  const int last = job.kept.n_dim - 1;
  const bool are_neighbours =
      job.kept.size[last] >= CUDA_WARP &&
      job.kept.stride[1][last] < job.reduced.stride[0][job.reduced.n_dim - 1];
  job.is_by_block = !are_neighbours && job.n_reduced > SHORT;
  const int64_t enough = job.is_by_block ? ENOUGH_BLOCKS : ENOUGH_THREADS;
  const int64_t least = job.is_by_block ? BLOCK_SEGMENT : THREAD_SEGMENT;
  int64_t n = at_most((job.n_reduced + least - 1) / least, enough / job.n_outputs);
  if (n < 1) n = 1;
  job.segment = (job.n_reduced + n - 1) / n;
  /* nothing to reduce still gives results */
  job.n_segments = job.segment == 0 ? 1 : (job.n_reduced + job.segment - 1) / job.segment;
  job.writes_results = job.n_segments == 1;
  return job;
}

/* Folds into y, or into parts. */
template <typename T, typename Y, typename A>
static dn_status launch_fold(const pass &job, Y *y, A *parts, const T *x, const A *sums) {
  const int64_t n_pieces = job.n_outputs * job.n_segments;
  const int threads = job.is_by_block ? cuda_block_threads(job.segment) : CUDA_THREADS;
  const unsigned blocks =
      job.is_by_block ? (unsigned)at_most(n_pieces, CUDA_MOST_BLOCKS) : cuda_blocks(n_pieces);
  CUDA_LAUNCH((reduce_fold_kernel<T, Y, A>), blocks, threads, 0, cuda_stream(), y, parts, x, sums,
              job);
  return DN_OK;
}

template <typename Y, typename A>
static dn_status launch_join(const pass &job, Y *y, const A *parts) {
  CUDA_LAUNCH((reduce_join_kernel<Y, A>), cuda_blocks(job.n_outputs * CUDA_WARP), CUDA_THREADS, 0,
              cuda_stream(), y, parts, job);
  return DN_OK;
}

/* The sum of every output, one behind the other. */
template <typename T, typename A>
static dn_status run_sums(pass job, A *sums, A *parts, const T *x) {
  job.fold = DN_FOLD_SUM;
  job.kind = DN_REDUCE_SUM;
  job.writes_results = false;
  if (job.n_segments == 1) return launch_fold<T, A, A>(job, NULL, sums, x, NULL);
  DN_TRY((launch_fold<T, A, A>(job, NULL, parts, x, NULL)));
  job.kept.n_dim = 1;
  job.kept.size[0] = job.n_outputs;
  job.kept.stride[0][0] = 1;
  return launch_join<A, A>(job, sums, parts);
}

/* x's elements are T and y's Y; A is what they are folded in. */
template <typename T, typename Y, typename A>
static dn_status reduce(dn_tensor *y, const dn_tensor *x, const pass &job) {
  const bool needs_sums = job.kind == DN_REDUCE_VAR;
  const int64_t n_parts = job.writes_results ? 0 : job.n_outputs * job.n_segments;
  int64_t n_bytes = 0;
  const int64_t parts_at = cuda_scratch_place(&n_bytes, n_parts, sizeof(A));
  const int64_t sums_at = cuda_scratch_place(&n_bytes, needs_sums ? job.n_outputs : 0, sizeof(A));
  void *scratch = NULL;
  DN_TRY(n_bytes > 0 ? cuda_scratch(n_bytes, &scratch) : cuda_scratch_none());
  A *parts = (A *)((char *)scratch + parts_at);
  A *sums = needs_sums ? (A *)((char *)scratch + sums_at) : NULL;
  Y *results = (Y *)dn_tensor_data(y);
  const T *numbers = (const T *)dn_tensor_data(x);
  if (needs_sums) DN_TRY((run_sums<T, A>(job, sums, parts, numbers)));
  DN_TRY((launch_fold<T, Y, A>(job, results, parts, numbers, sums)));
  return job.writes_results ? DN_OK : launch_join<Y, A>(job, results, parts);
}

dn_status cuda_reduce(dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind, double parameter) {
  const pass job = pass_of(y, x, kind, parameter);
  if (y->dtype == x->dtype) {
    CUDA_FOR_ANY(x->dtype, T, return reduce<T, T, folded_as<T>::type>(y, x, job));
  } else if (y->dtype == DN_DOUBLE) {
    CUDA_FOR_ANY(x->dtype, T, return reduce<T, double, double>(y, x, job));
  }
  return reduce<uint8_t, int64_t, int64_t>(y, x, job);
}
