/*
** Log-softmax and the losses, in double inside as on the CPU: they are small beside the network's
** other work. One block sums a loss over the images.
*/
#include "cuda_dtype.h"
#include "cuda_index.h"
#include "cuda_reduce.h"

/* Parts of mse_forward's sum, and the fewest elements worth one. */
static const int64_t MOST_PARTS = 1024, PART = 2048;

/* ---- Log-softmax ---- */

/*
** Rows of log-softmax, by value. A block takes a row, or a thread where they are so short that the
** threads of a block would mostly wait for each other.
*/
typedef struct matrix {
  int64_t n_rows, n_classes;
  bool is_by_block;
} matrix;

/* This thread's row and, in it, its columns: lane, lane + n_lanes, ... */
typedef struct share {
  int64_t row, n_at_once;
  int lane, n_lanes;
} share;

__device__ static inline share share_of(const matrix &m) {
  const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  const share blocks = {blockIdx.x, gridDim.x, (int)threadIdx.x, (int)blockDim.x};
  const share threads = {thread, (int64_t)gridDim.x * blockDim.x, 0, 1};
  return m.is_by_block ? blocks : threads;
}

template <typename Join>
__device__ static inline double over_row(const matrix &m, double value, double nothing,
                                         double *shared, Join join) {
  return m.is_by_block ? cuda_block_reduce(value, nothing, shared, join) : value;
}

/* The row is shifted by its maximum, so that no exponential overflows. y may be x. */
template <typename T>
__global__ void log_softmax_forward_kernel(T *y, const T *x, const matrix m) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  const share own = share_of(m);
  for (int64_t row = own.row; row < m.n_rows; row += own.n_at_once) {
    const T *in = x + row * m.n_classes;
    T *out = y + row * m.n_classes;
    double most = -INFINITY, sum = 0;
    for (int64_t c = own.lane; c < m.n_classes; c += own.n_lanes)
      most = cuda_max()(most, (double)in[c]);
    most = over_row(m, most, -INFINITY, shared, cuda_max());
    for (int64_t c = own.lane; c < m.n_classes; c += own.n_lanes) sum += exp((double)in[c] - most);
    sum = over_row(m, sum, 0, shared, cuda_add());
    const double log_sum = most + log(sum);
    for (int64_t c = own.lane; c < m.n_classes; c += own.n_lanes)
      out[c] = (T)((double)in[c] - log_sum);
  }
}

/* dx may be dy or y. */
template <typename T>
__global__ void log_softmax_backward_kernel(T *dx, const T *dy, const T *y, const matrix m) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  const share own = share_of(m);
  for (int64_t row = own.row; row < m.n_rows; row += own.n_at_once) {
    const int64_t first = row * m.n_classes;
    double sum = 0;
    for (int64_t c = own.lane; c < m.n_classes; c += own.n_lanes) sum += (double)dy[first + c];
    sum = over_row(m, sum, 0, shared, cuda_add());
    for (int64_t c = own.lane; c < m.n_classes; c += own.n_lanes)
      dx[first + c] = (T)((double)dy[first + c] - exp((double)y[first + c]) * sum);
  }
}

static matrix matrix_of(const dn_tensor *x) {
  const int64_t n_classes = x->size[x->n_dim - 1];
  const matrix m = {x->n_dim == 2 ? x->size[0] : 1, n_classes, n_classes > CUDA_WARP};
  return m;
}

static unsigned blocks_of(const matrix &m) {
  if (!m.is_by_block) return cuda_blocks(m.n_rows);
  return (unsigned)(m.n_rows < CUDA_MOST_BLOCKS ? m.n_rows : CUDA_MOST_BLOCKS);
}

static int threads_of(const matrix &m) {
  return m.is_by_block ? cuda_block_threads(m.n_classes) : CUDA_THREADS;
}

dn_status cuda_log_softmax_forward(dn_tensor *y, const dn_tensor *x) {
  const matrix m = matrix_of(x);
  CUDA_FOR_COMPUTE(
      x->dtype, T,
      CUDA_LAUNCH((log_softmax_forward_kernel<T>), blocks_of(m), threads_of(m), 0, cuda_stream(),
                  (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x), m));
  return DN_OK;
}

dn_status cuda_log_softmax_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  const matrix m = matrix_of(y);
  CUDA_FOR_COMPUTE(y->dtype, T,
                   CUDA_LAUNCH((log_softmax_backward_kernel<T>), blocks_of(m), threads_of(m), 0,
                               cuda_stream(), (T *)dn_tensor_data(dx),
                               (const T *)dn_tensor_data(dy), (const T *)dn_tensor_data(y), m));
  return DN_OK;
}

/* ---- Negative log-likelihood ---- */

/* class_weight: NULL for ones. */
template <typename T>
__device__ static inline double weight_of(const T *class_weight, int64_t label) {
  return class_weight ? (double)class_weight[label - 1] : 1;
}

/* One block sums over the images: the loss. */
template <typename T>
__global__ void nll_forward_kernel(T *loss, const T *x, const int64_t *target,
                                   const T *class_weight, int64_t n_images, int64_t n_classes,
                                   bool average, const cuda_reporter reporter) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  double sum = 0, weights = 0;
  for (int64_t n = threadIdx.x; n < n_images; n += blockDim.x) {
    const int64_t label = target[n];
    if (label < 1 || label > n_classes) {
      cuda_fault_report(reporter, n, label);
      continue;
    }
    const double weight = weight_of(class_weight, label);
    sum -= weight * (double)x[n * n_classes + label - 1];
    weights += weight;
  }
  sum = cuda_block_reduce(sum, 0.0, shared, cuda_add());
  weights = cuda_block_reduce(weights, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) *loss = (T)(average ? sum / weights : sum);
}

/* One block sums the weights of the images' labels. */
template <typename T>
__global__ void nll_weights_kernel(double *total, const int64_t *target, const T *class_weight,
                                   int64_t n_images, int64_t n_classes) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  double sum = 0;
  for (int64_t n = threadIdx.x; n < n_images; n += blockDim.x)
    if (target[n] >= 1 && target[n] <= n_classes) sum += weight_of(class_weight, target[n]);
  sum = cuda_block_reduce(sum, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) *total = sum;
}

/* Divided by *total, or by `divisor` where total is NULL. */
template <typename T>
__global__ void nll_backward_kernel(T *dx, const int64_t *target, const T *class_weight,
                                    const double *total, double divisor, int64_t n_images,
                                    int64_t n_classes, const cuda_reporter reporter) {
  CUDA_FOR(i, n_images * n_classes) {
    const int64_t n = i / n_classes, c = i % n_classes, label = target[n];
    if (c == 0 && (label < 1 || label > n_classes)) cuda_fault_report(reporter, n, label);
    double slope = 0;
    if (c == label - 1) slope = -weight_of(class_weight, label) / (total ? *total : divisor);
    dx[i] = (T)slope;
  }
}

dn_status cuda_nll_forward(dn_tensor *loss, const dn_tensor *log_probabilities,
                           const dn_tensor *target, const dn_tensor *class_weight, bool average) {
  const int64_t n_images = log_probabilities->size[0], n_classes = log_probabilities->size[1];
  const cuda_reporter reporter =
      cuda_fault_reporter(CUDA_FAULT_LABEL, DN_OP_nll_forward, 3, n_classes);
  const void *weights = class_weight ? dn_tensor_data(class_weight) : NULL;
  CUDA_FOR_COMPUTE(
      loss->dtype, T,
      CUDA_LAUNCH((nll_forward_kernel<T>), 1, cuda_block_threads(n_images), 0, cuda_stream(),
                  (T *)dn_tensor_data(loss), (const T *)dn_tensor_data(log_probabilities),
                  (const int64_t *)dn_tensor_data(target), (const T *)weights, n_images, n_classes,
                  average, reporter));
  return DN_OK;
}

template <typename T>
static dn_status nll_backward(dn_tensor *dx, const dn_tensor *target, const T *weights,
                              bool average, double *total) {
  const int64_t n_images = dx->size[0], n_classes = dx->size[1];
  const int64_t *labels = (const int64_t *)dn_tensor_data(target);
  const double divisor = average ? (double)n_images : 1;
  const cuda_reporter reporter =
      cuda_fault_reporter(CUDA_FAULT_LABEL, DN_OP_nll_backward, 2, n_classes);
  if (total)
    CUDA_LAUNCH((nll_weights_kernel<T>), 1, cuda_block_threads(n_images), 0, cuda_stream(), total,
                labels, weights, n_images, n_classes);
  CUDA_LAUNCH((nll_backward_kernel<T>), cuda_blocks(n_images * n_classes), CUDA_THREADS, 0,
              cuda_stream(), (T *)dn_tensor_data(dx), labels, weights, total, divisor, n_images,
              n_classes, reporter);
  return DN_OK;
}

dn_status cuda_nll_backward(dn_tensor *dx, const dn_tensor *target, const dn_tensor *class_weight,
                            bool average) {
  void *total = NULL;
  const bool is_weighted = class_weight && average;
  DN_TRY(is_weighted ? cuda_scratch(sizeof(double), &total) : cuda_scratch_none());
  const void *weights = class_weight ? dn_tensor_data(class_weight) : NULL;
  CUDA_FOR_COMPUTE(
      dx->dtype, T,
      return nll_backward<T>(dx, target, (const T *)weights, average, (double *)total));
  return DN_OK;
}

/* ---- Mean squared error ---- */

/* A block sums one of gridDim.x parts, which are `part` elements long. */
template <typename T>
__global__ void mse_parts_kernel(double *parts, const T *x, const T *target, int64_t part,
                                 const cuda_index index) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  const int64_t begin = blockIdx.x * part;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < begin + part && i < index.n_elements; i += blockDim.x) {
    int64_t offset[2];
    cuda_offsets<2>(index, i, offset);
    const double off = (double)x[offset[0]] - (double)target[offset[1]];
    sum += off * off;
  }
  sum = cuda_block_reduce(sum, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/* One block sums the parts. */
template <typename T>
__global__ void mse_forward_kernel(T *loss, const double *parts, int64_t n_parts, double divisor) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n_parts; i += blockDim.x) sum += parts[i];
  sum = cuda_block_reduce(sum, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) *loss = (T)(sum / divisor);
}

template <typename T>
__global__ void mse_backward_kernel(T *dx, const T *x, const T *target, double scale,
                                    const cuda_index index) {
  CUDA_FOR(i, index.n_elements) {
    int64_t offset[3];
    cuda_offsets<3>(index, i, offset);
    dx[offset[0]] = (T)(scale * ((double)x[offset[1]] - (double)target[offset[2]]));
  }
}

dn_status cuda_mse_forward(dn_tensor *loss, const dn_tensor *x, const dn_tensor *target,
                           bool average) {
  const cuda_index index = cuda_index_of(2, x, target);
  const int64_t n = index.n_elements, enough = (n + PART - 1) / PART;
  const int64_t n_parts = enough < MOST_PARTS ? enough : MOST_PARTS;
  const int64_t part = (n + n_parts - 1) / n_parts;
  const double divisor = average ? (double)n : 1;
  void *parts;
  DN_TRY(cuda_scratch(n_parts * (int64_t)sizeof(double), &parts));
  CUDA_FOR_COMPUTE(
      x->dtype, T,
      CUDA_LAUNCH((mse_parts_kernel<T>), (unsigned)n_parts, cuda_block_threads(part), 0,
                  cuda_stream(), (double *)parts, (const T *)dn_tensor_data(x),
                  (const T *)dn_tensor_data(target), part, index);
      CUDA_LAUNCH((mse_forward_kernel<T>), 1, cuda_block_threads(n_parts), 0, cuda_stream(),
                  (T *)dn_tensor_data(loss), (const double *)parts, n_parts, divisor));
  return DN_OK;
}

dn_status cuda_mse_backward(dn_tensor *dx, const dn_tensor *x, const dn_tensor *target,
                            bool average) {
  const cuda_index index = cuda_index_of(3, dx, x, target);
  const double scale = average ? 2 / (double)index.n_elements : 2;
  CUDA_FOR_COMPUTE(
      dx->dtype, T,
      CUDA_LAUNCH((mse_backward_kernel<T>), cuda_blocks(index.n_elements), CUDA_THREADS, 0,
                  cuda_stream(), (T *)dn_tensor_data(dx), (const T *)dn_tensor_data(x),
                  (const T *)dn_tensor_data(target), scale, index));
  return DN_OK;
}
