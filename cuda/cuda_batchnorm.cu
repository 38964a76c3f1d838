/*
** Batch normalization. A channel's elements, image by image, are cut into parts, and a block takes a
** part of a channel: one kernel sums, and a second one adds the parts' sums up, in their order, and
** makes the result. The parts depend on the sizes alone, so results are the same at every run and on
** every GPU.
**
** Sums are kept in the type that computes (float for half and bfloat16) within a short run of a
** thread's elements, as distances from the run's first one, and in double from there on, as distances
** from the channel's first one. So a large mean costs no digits. A thread's elements come in packets,
** whose size follows from that of the planes, so the order of sums does too.
** N,C matrices are right too, but read with gaps.
*/
#include "cuda_packet.h"
#include "cuda_planes.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_batchnorm.h"
}

static const int64_t PART = 4096; /* elements that are worth a block */
static const int64_t MOST_PARTS = 128;

enum {
  BATCH = 4, /* packets that a thread has on the way at once */
  RUN = 64   /* elements that a thread sums in the computing type */
};

/* A channel's packets, cut into parts. How many elements a packet has follows from the planes' size. */
typedef struct parts {
  int64_t n_channels, n_parts, count; /* elements of a channel */
  int64_t n_packets, length;   /* of a channel; of a part, of which the last may be shorter */
  cuda_divisor by_parts, size; /* packets of a plane */
  int packet;                  /* elements */
} parts;

static parts parts_of(const dn_tensor *x) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t count = planes.n * planes.size;
  const int packet = cuda_packet_dividing(planes.size, (int64_t)dn_dtype_size(x->dtype));
  const int64_t n_packets = count / packet, wanted = (count + PART - 1) / PART;
  const int64_t most = wanted < MOST_PARTS ? wanted : MOST_PARTS;
  const int64_t length = (n_packets + most - 1) / most;
  const int64_t n_parts = (n_packets + length - 1) / length;
  const parts cut = {planes.c,
                     n_parts,
                     count,
                     n_packets,
                     length,
                     cuda_divisor_of(n_parts),
                     cuda_divisor_of(planes.size / packet),
                     packet};
  return cut;
}

static unsigned blocks_of(const parts &cut) {
  const int64_t n = cut.n_channels * cut.n_parts;
  return (unsigned)(n < CUDA_MOST_BLOCKS ? n : CUDA_MOST_BLOCKS);
}

/* Part `part` of channel c is number i of all; false behind the last. */
__device__ static inline bool is_part(const parts &cut, int64_t i, int64_t *c, int64_t *part) {
  cuda_divide(i, cut.by_parts, c, part);
  return *c < cut.n_channels;
}

/* The loop of a block over its parts; part `part` of channel c. */
#define FOR_PARTS(c, part, cut) \
  for (int64_t at = blockIdx.x, c, part; is_part(cut, at, &c, &part); at += gridDim.x)

/* Statements with I as the type that counts a channel's elements (cuda_divisor.h). */
#define BY_COUNT(cut, I, ...)          \
  if (cuda_counts_near((cut).count)) { \
    typedef uint32_t I;                \
    __VA_ARGS__;                       \
  } else {                             \
    typedef int64_t I;                 \
    __VA_ARGS__;                       \
  }

/* Behind the last packet of a part. */
template <typename I>
__device__ static inline I end_of(const parts &cut, int64_t part) {
  const int64_t end = (part + 1) * cut.length;
  return (I)(end < cut.n_packets ? end : cut.n_packets);
}

/* Where packet i of a channel begins, from the channel's first element on. */
template <int N, typename I>
__device__ static inline int64_t offset_of(const parts &cut, const cuda_planes &planes, I i) {
  I n, packet;
  cuda_divide(i, cut.size, &n, &packet);
  return n * planes.stride_n + (int64_t)packet * N;
}

/* ---- Sums ---- */

typedef struct sums {
  double sum, product;
} sums;

/* Adds a block's sums up and writes them; `shared` as cuda_block_reduce has it. */
__device__ static inline void write_sums(sums *partial, const parts &cut, int64_t c, int64_t part,
                                         sums own, double *shared) {
  own.sum = cuda_block_reduce(own.sum, 0.0, shared, cuda_add());
  own.product = cuda_block_reduce(own.product, 0.0, shared, cuda_add());
  if (threadIdx.x == 0) partial[c * cut.n_parts + part] = own;
}

/* A channel's sums from its parts', by the lanes of a warp; every lane gets them. */
__device__ static inline sums read_sums(const sums *partial, const parts &cut, int64_t c) {
  sums total = {0, 0};
  for (int64_t part = threadIdx.x % CUDA_WARP; part < cut.n_parts; part += CUDA_WARP) {
    total.sum += partial[c * cut.n_parts + part].sum;
    total.product += partial[c * cut.n_parts + part].product;
  }
  total.sum = cuda_warp_reduce(total.sum, cuda_add());
  total.product = cuda_warp_reduce(total.product, cuda_add());
  return total;
}

/* Sums of x - center and of its square over a thread's packets of a part. */
template <int N, bool in_one, typename I, typename T>
__device__ static inline sums sum_moments(const T *from, const cuda_planes &planes,
                                          const parts &cut, int64_t part, double center) {
  typedef typename cuda_types<T>::computed C;
  const I end = end_of<I>(cut, part);
  sums total = {0, 0};
  I i = (I)(part * cut.length) + threadIdx.x;
  while (i < end) {
    const C shift = cuda_load(from[offset_of<N>(cut, planes, i)]);
    C sum = 0, squares = 0;
    int n = 0;
    for (int batch = 0; batch < RUN / (BATCH * N); batch++) {
      cuda_packet<T, N> ahead[BATCH];
      CUDA_UNROLL
      for (int k = 0; k < BATCH; k++)
        if (i + k * blockDim.x < end)
          ahead[k] = cuda_packet_load<N, in_one>(
              from + offset_of<N>(cut, planes, (I)(i + k * blockDim.x)));
      CUDA_UNROLL
      for (int k = 0; k < BATCH; k++) {
        if (i + k * blockDim.x >= end) continue;
        n += N;
        CUDA_UNROLL
        for (int e = 0; e < N; e++) {
          const C off = (C)cuda_load(ahead[k].at[e]) - shift;
          sum += off;
          squares += off * off;
        }
      }
      i += BATCH * blockDim.x;
    }
    const double distance = (double)shift - center;
    total.sum += (double)sum + n * distance;
    total.product += (double)squares + distance * (2 * (double)sum + n * distance);
  }
  return total;
}

/* Sums of x - center and of its square, center being the channel's first element. */
template <typename T, int N, bool in_one>
__global__ void batchnorm_moments_kernel(sums *partial, const T *x, const cuda_planes planes,
                                         const parts cut) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  FOR_PARTS(c, part, cut) {
    const T *const from = x + c * planes.stride_c;
    const double center = (double)cuda_load(from[0]);
    sums total;
    BY_COUNT(cut, I, total = (sum_moments<N, in_one, I>(from, planes, cut, part, center)));
    write_sums(partial, cut, c, part, total, shared);
  }
}

/* Sums of dy and of dy (x - shift) over a thread's packets of a part. */
template <int N, bool in_one, typename I, typename T, typename C>
__device__ static inline sums sum_slopes(const T *dy, const T *x, const cuda_planes &dy_planes,
                                         const cuda_planes &x_planes, const parts &cut,
                                         int64_t part, C shift) {
  enum { HALF = BATCH / 2 }; /* of two tensors */
  const I end = end_of<I>(cut, part);
  sums total = {0, 0};
  I i = (I)(part * cut.length) + threadIdx.x;
  while (i < end) {
    C sum = 0, product = 0;
    for (int batch = 0; batch < RUN / (HALF * N); batch++) {
      cuda_packet<T, N> slope[HALF], raw[HALF];
      CUDA_UNROLL
      for (int k = 0; k < HALF; k++) {
        const I own = (I)(i + k * blockDim.x);
        if (own >= end) continue;
        slope[k] = cuda_packet_load<N, in_one>(dy + offset_of<N>(cut, dy_planes, own));
        raw[k] = cuda_packet_load<N, in_one>(x + offset_of<N>(cut, x_planes, own));
      }
      CUDA_UNROLL
      for (int k = 0; k < HALF; k++) {
        if (i + k * blockDim.x >= end) continue;
        CUDA_UNROLL
        for (int e = 0; e < N; e++) {
          const C own = cuda_load(slope[k].at[e]);
          sum += own;
          product += own * ((C)cuda_load(raw[k].at[e]) - shift);
        }
      }
      i += HALF * blockDim.x;
    }
    total.sum += (double)sum;
    total.product += (double)product;
  }
  return total;
}

/* Sums of dy and of dy (x - mean). */
template <typename T, int N, bool in_one, typename C>
__global__ void batchnorm_slopes_kernel(sums *partial, const T *dy, const T *x, const C *mean,
                                        const cuda_planes dy_planes, const cuda_planes x_planes,
                                        const parts cut) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  FOR_PARTS(c, part, cut) {
    const T *const slope = dy + c * dy_planes.stride_c, *const from = x + c * x_planes.stride_c;
    sums total;
    BY_COUNT(
        cut, I,
        total = (sum_slopes<N, in_one, I>(slope, from, dy_planes, x_planes, cut, part, mean[c])));
    write_sums(partial, cut, c, part, total, shared);
  }
}

/* ---- Results ---- */

/* Element c of a vector, or `without` where it was left out. */
template <typename C>
__device__ static inline double parameter(const C *vector, int64_t c, double without) {
  return vector ? (double)vector[c] : without;
}

/* y = (x - shift) * scale + offset. */
template <typename C>
struct map {
  C shift, scale, offset;
};

template <typename C>
__device__ static inline map<C> map_of(double mean, double scale, double beta) {
  const C shift = (C)mean;
  const map<C> way = {shift, (C)scale, (C)dn_norm_offset(mean, (double)shift, scale, beta)};
  return way;
}

template <int N, bool in_one, typename I, typename T, typename C>
__device__ static inline void apply_packets(T *to, const T *from, const cuda_planes &y_planes,
                                            const cuda_planes &x_planes, const parts &cut,
                                            int64_t part, const map<C> &way) {
  const I end = end_of<I>(cut, part);
  for (I i = (I)(part * cut.length) + threadIdx.x; i < end; i += BATCH * blockDim.x) {
    cuda_packet<T, N> ahead[BATCH];
    CUDA_UNROLL
    for (int k = 0; k < BATCH; k++)
      if (i + k * blockDim.x < end)
        ahead[k] = cuda_packet_load<N, in_one>(
            from + offset_of<N>(cut, x_planes, (I)(i + k * blockDim.x)));
    CUDA_UNROLL
    for (int k = 0; k < BATCH; k++) {
      if (i + k * blockDim.x >= end) continue;
      CUDA_UNROLL
      for (int e = 0; e < N; e++)
        cuda_store(&ahead[k].at[e],
                   (cuda_load(ahead[k].at[e]) - way.shift) * way.scale + way.offset);
      cuda_packet_store<in_one>(to + offset_of<N>(cut, y_planes, (I)(i + k * blockDim.x)),
                                ahead[k]);
    }
  }
}

template <int N, bool in_one, typename T, typename C>
__device__ static inline void apply(T *y, const T *x, const cuda_planes &y_planes,
                                    const cuda_planes &x_planes, const parts &cut, int64_t c,
                                    int64_t part, const map<C> &way) {
  T *const to = y + c * y_planes.stride_c;
  const T *const from = x + c * x_planes.stride_c;
  BY_COUNT(cut, I, apply_packets<N, in_one, I>(to, from, y_planes, x_planes, cut, part, way));
}

/* Vectors over channels; NULL where left out. */
template <typename C>
struct forward_vectors {
  C *mean, *inv_std, *running_mean, *running_var;
  const C *gamma, *beta;
};

template <typename T, int N, bool in_one, typename C>
__global__ void batchnorm_forward_kernel(T *y, const T *x, const sums *partial,
                                         const forward_vectors<C> vectors, double momentum,
                                         double epsilon, const cuda_planes y_planes,
                                         const cuda_planes x_planes, const parts cut) {
  CUDA_SHARED(map<C>, way, 1);
  FOR_PARTS(c, part, cut) {
    __syncthreads(); /* readers of the last part's map are done */
    if (threadIdx.x < CUDA_WARP) {
      const double count = (double)cut.count, center = (double)cuda_load(x[c * x_planes.stride_c]);
      const sums total = read_sums(partial, cut, c);
      const dn_moments moments = dn_moments_of(center, total.sum, total.product, count);
      const double inv_std = dn_inv_std(moments.variance, epsilon);
      if (threadIdx.x == 0) {
        *way = map_of<C>(moments.mean, parameter(vectors.gamma, c, 1) * inv_std,
                         parameter(vectors.beta, c, 0));
        if (part == 0) {
          vectors.mean[c] = (C)moments.mean;
          vectors.inv_std[c] = (C)inv_std;
        }
        if (part == 0 && vectors.running_mean) {
          C *const mean = &vectors.running_mean[c], *const var = &vectors.running_var[c];
          *mean = (C)dn_running_mean((double)*mean, moments.mean, momentum);
          *var = (C)dn_running_var((double)*var, moments.variance, count, momentum);
        }
      }
    }
    __syncthreads();
    apply<N, in_one>(y, x, y_planes, x_planes, cut, c, part, *way);
  }
}

template <typename T, int N, bool in_one, typename C>
__global__ void batchnorm_inference_forward_kernel(T *y, const T *x, const C *running_mean,
                                                   const C *running_var, const C *gamma,
                                                   const C *beta, double epsilon,
                                                   const cuda_planes y_planes,
                                                   const cuda_planes x_planes, const parts cut) {
  CUDA_SHARED(map<C>, way, 1);
  FOR_PARTS(c, part, cut) {
    __syncthreads(); /* readers of the last part's map are done */
    if (threadIdx.x == 0)
      *way = map_of<C>((double)running_mean[c],
                       parameter(gamma, c, 1) * dn_inv_std((double)running_var[c], epsilon),
                       parameter(beta, c, 0));
    __syncthreads();
    apply<N, in_one>(y, x, y_planes, x_planes, cut, c, part, *way);
  }
}

/* `spread` is the batch's inv_std, or the running variance, which makes the statistics constants. */
template <typename C>
struct backward_vectors {
  C *dgamma, *dbeta;
  const C *mean, *spread, *gamma;
  bool of_batch;
};

/* dx = direct dy + (slope (x - mean) + offset). */
template <typename C>
struct slopes {
  C direct, slope, offset, mean;
};

/* By the first warp of a block. */
template <typename C>
__device__ static inline void make_slopes(slopes<C> *way, const sums *partial,
                                          const backward_vectors<C> &vectors, double epsilon,
                                          double scale, const parts &cut, int64_t c, int64_t part) {
  const double gamma = parameter(vectors.gamma, c, 1), spread = (double)vectors.spread[c];
  const double inv_std = vectors.of_batch ? spread : dn_inv_std(spread, epsilon);
  const sums total = partial ? read_sums(partial, cut, c) : sums{0, 0};
  const dn_norm_slopes found =
      vectors.of_batch
          ? dn_norm_slopes_of_batch(gamma, inv_std, total.sum, total.product, (double)cut.count)
          : dn_norm_slopes_of_constants(gamma, inv_std);
  if (threadIdx.x > 0) return;
  const slopes<C> rounded = {(C)found.direct, (C)found.slope, (C)found.offset, vectors.mean[c]};
  *way = rounded;
  if (part > 0 || !vectors.dgamma) return;
  vectors.dgamma[c] += (C)(scale * total.product * inv_std);
  vectors.dbeta[c] += (C)(scale * total.sum);
}

template <int N, bool in_one, typename I, typename T, typename C>
__device__ static inline void slope_packets(T *dx, const T *dy, const T *x,
                                            const cuda_planes &dx_planes,
                                            const cuda_planes &dy_planes,
                                            const cuda_planes &x_planes, const parts &cut,
                                            int64_t part, const slopes<C> &way) {
  const I end = end_of<I>(cut, part);
  for (I i = (I)(part * cut.length) + threadIdx.x; i < end; i += blockDim.x) {
    const cuda_packet<T, N> slope =
        cuda_packet_load<N, in_one>(dy + offset_of<N>(cut, dy_planes, i));
    const cuda_packet<T, N> raw = cuda_packet_load<N, in_one>(x + offset_of<N>(cut, x_planes, i));
    cuda_packet<T, N> result;
    CUDA_UNROLL
    for (int e = 0; e < N; e++) {
      const C off = cuda_load(raw.at[e]) - way.mean;
      cuda_store(&result.at[e],
                 way.direct * cuda_load(slope.at[e]) + (way.slope * off + way.offset));
    }
    cuda_packet_store<in_one>(dx + offset_of<N>(cut, dx_planes, i), result);
  }
}

/* dx may be dy: a thread reads a packet before it writes it. */
template <typename T, int N, bool in_one, typename C>
__global__ void batchnorm_backward_kernel(T *dx, const T *dy, const T *x, const sums *partial,
                                          const backward_vectors<C> vectors, double epsilon,
                                          double scale, const cuda_planes dx_planes,
                                          const cuda_planes dy_planes, const cuda_planes x_planes,
                                          const parts cut) {
  CUDA_SHARED(slopes<C>, shared, 1);
  FOR_PARTS(c, part, cut) {
    __syncthreads(); /* readers of the last part's slopes are done */
    if (threadIdx.x < CUDA_WARP)
      make_slopes(shared, partial, vectors, epsilon, scale, cut, c, part);
    __syncthreads();
    const slopes<C> way = *shared;
    T *const to = dx + c * dx_planes.stride_c;
    const T *const slope = dy + c * dy_planes.stride_c, *const from = x + c * x_planes.stride_c;
    BY_COUNT(cut, I,
             slope_packets<N, in_one, I>(to, slope, from, dx_planes, dy_planes, x_planes, cut, part,
                                         way));
  }
}

template <int N, bool in_one, typename I, typename T, typename C>
__device__ static inline void scale_packets(T *dx, const T *dy, const cuda_planes &dx_planes,
                                            const cuda_planes &dy_planes, const parts &cut,
                                            int64_t part, C direct) {
  const I end = end_of<I>(cut, part);
  for (I i = (I)(part * cut.length) + threadIdx.x; i < end; i += blockDim.x) {
    cuda_packet<T, N> packet = cuda_packet_load<N, in_one>(dy + offset_of<N>(cut, dy_planes, i));
    CUDA_UNROLL
    for (int e = 0; e < N; e++) cuda_store(&packet.at[e], direct * cuda_load(packet.at[e]));
    cuda_packet_store<in_one>(dx + offset_of<N>(cut, dx_planes, i), packet);
  }
}

/* Constants need no x: it may hold what is not finite, and is not read. */
template <typename T, int N, bool in_one, typename C>
__global__ void batchnorm_inference_backward_kernel(T *dx, const T *dy, const sums *partial,
                                                    const backward_vectors<C> vectors,
                                                    double epsilon, double scale,
                                                    const cuda_planes dx_planes,
                                                    const cuda_planes dy_planes, const parts cut) {
  CUDA_SHARED(slopes<C>, shared, 1);
  FOR_PARTS(c, part, cut) {
    __syncthreads(); /* readers of the last part's slopes are done */
    if (threadIdx.x < CUDA_WARP)
      make_slopes(shared, partial, vectors, epsilon, scale, cut, c, part);
    __syncthreads();
    const C direct = shared->direct;
    T *const to = dx + c * dx_planes.stride_c;
    const T *const slope = dy + c * dy_planes.stride_c;
    BY_COUNT(cut, I,
             scale_packets<N, in_one, I>(to, slope, dx_planes, dy_planes, cut, part, direct));
  }
}

/* ---- Operations ---- */

static void *data_of(const dn_tensor *vector) { return vector ? dn_tensor_data(vector) : NULL; }

/* Scratch for the parts' sums. */
static dn_status take_sums(const parts &cut, sums **partial) {
  int64_t n_bytes = 0;
  cuda_scratch_place(&n_bytes, cut.n_channels * cut.n_parts, (int64_t)sizeof(sums));
  void *block;
  DN_TRY(cuda_scratch(n_bytes, &block));
  *partial = (sums *)block;
  return DN_OK;
}

/*
** Statements for every type and packet: T as elements are stored and C as they are computed, N elements a
** packet, in one go where `fits`.
*/
#define FOR_KINDS(dtype, cut, fits, ...)                                       \
  CUDA_FOR_REAL(dtype, T, typedef cuda_types<T>::computed C; CUDA_FOR_PACKETS( \
                    T, (cut).packet, N,                                        \
                    if (fits) {                                                \
                      enum { IN_ONE = true };                                  \
                      __VA_ARGS__;                                             \
                    } else {                                                   \
                      enum { IN_ONE = N == 1 };                                \
                      __VA_ARGS__;                                             \
                    }))

#define LAUNCH(kernel, cut, ...) \
  CUDA_LAUNCH(kernel, blocks_of(cut), CUDA_THREADS, 0, cuda_stream(), __VA_ARGS__, cut)

dn_status cuda_batchnorm_forward(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                 dn_tensor *running_mean, dn_tensor *running_var,
                                 const dn_tensor *x, const dn_tensor *gamma, const dn_tensor *beta,
                                 double momentum, double epsilon) {
  const parts cut = parts_of(x);
  const cuda_planes in = cuda_planes_of(x), out = cuda_planes_of(y);
  const bool fits = cuda_planes_fit(x, cut.packet) && cuda_planes_fit(y, cut.packet);
  sums *partial;
  DN_TRY(take_sums(cut, &partial));
  FOR_KINDS(
      x->dtype, cut, fits,
      const forward_vectors<C> vectors = {(C *)data_of(mean), (C *)data_of(inv_std),
                                          (C *)data_of(running_mean), (C *)data_of(running_var),
                                          (const C *)data_of(gamma), (const C *)data_of(beta)};
      const T *const from = (const T *)dn_tensor_data(x);
      LAUNCH((batchnorm_moments_kernel<T, N, IN_ONE>), cut, partial, from, in);
      LAUNCH((batchnorm_forward_kernel<T, N, IN_ONE, C>), cut, (T *)dn_tensor_data(y), from,
             partial, vectors, momentum, epsilon, out, in));
  return DN_OK;
}

dn_status cuda_batchnorm_inference_forward(dn_tensor *y, const dn_tensor *x,
                                           const dn_tensor *running_mean,
                                           const dn_tensor *running_var, const dn_tensor *gamma,
                                           const dn_tensor *beta, double epsilon) {
  const parts cut = parts_of(x);
  const bool fits = cuda_planes_fit(x, cut.packet) && cuda_planes_fit(y, cut.packet);
  FOR_KINDS(
      x->dtype, cut, fits,
      LAUNCH((batchnorm_inference_forward_kernel<T, N, IN_ONE, C>), cut, (T *)dn_tensor_data(y),
             (const T *)dn_tensor_data(x), (const C *)data_of(running_mean),
             (const C *)data_of(running_var), (const C *)data_of(gamma), (const C *)data_of(beta),
             epsilon, cuda_planes_of(y), cuda_planes_of(x)));
  return DN_OK;
}

dn_status cuda_batchnorm_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *mean,
                                  const dn_tensor *inv_std, const dn_tensor *gamma, double scale) {
  const parts cut = parts_of(x);
  const cuda_planes to = cuda_planes_of(dx), gradient = cuda_planes_of(dy), in = cuda_planes_of(x);
  const bool fits = cuda_planes_fit(dx, cut.packet) && cuda_planes_fit(dy, cut.packet) &&
                    cuda_planes_fit(x, cut.packet);
  sums *partial;
  DN_TRY(take_sums(cut, &partial));
  FOR_KINDS(
      x->dtype, cut, fits,
      const backward_vectors<C> vectors = {(C *)data_of(dgamma), (C *)data_of(dbeta),
                                           (const C *)data_of(mean), (const C *)data_of(inv_std),
                                           (const C *)data_of(gamma), true};
      const T *const slope = (const T *)dn_tensor_data(dy);
      const T *const from = (const T *)dn_tensor_data(x);
      LAUNCH((batchnorm_slopes_kernel<T, N, IN_ONE, C>), cut, partial, slope, from, vectors.mean,
             gradient, in);
      LAUNCH((batchnorm_backward_kernel<T, N, IN_ONE, C>), cut, (T *)dn_tensor_data(dx), slope,
             from, partial, vectors, 0.0, scale, to, gradient, in));
  return DN_OK;
}

dn_status cuda_batchnorm_inference_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                            const dn_tensor *dy, const dn_tensor *x,
                                            const dn_tensor *running_mean,
                                            const dn_tensor *running_var, const dn_tensor *gamma,
                                            double epsilon, double scale) {
  const parts cut = parts_of(x);
  const cuda_planes to = cuda_planes_of(dx), gradient = cuda_planes_of(dy), in = cuda_planes_of(x);
  const bool fits = cuda_planes_fit(dx, cut.packet) && cuda_planes_fit(dy, cut.packet) &&
                    cuda_planes_fit(x, cut.packet);
  sums *partial = NULL;
  DN_TRY(dgamma ? take_sums(cut, &partial) : cuda_scratch_none());
  FOR_KINDS(x->dtype, cut, fits,
            const backward_vectors<C> vectors = {(C *)data_of(dgamma), (C *)data_of(dbeta),
                                                 (const C *)data_of(running_mean),
                                                 (const C *)data_of(running_var),
                                                 (const C *)data_of(gamma), false};
            const T *const slope = (const T *)dn_tensor_data(dy);
            if (dgamma) LAUNCH((batchnorm_slopes_kernel<T, N, IN_ONE, C>), cut, partial, slope,
                               (const T *)dn_tensor_data(x), vectors.mean, gradient, in);
            LAUNCH((batchnorm_inference_backward_kernel<T, N, IN_ONE, C>), cut,
                   (T *)dn_tensor_data(dx), slope, partial, vectors, epsilon, scale, to, gradient));
  return DN_OK;
}
