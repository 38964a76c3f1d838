/*
** Batch normalization. A channel's elements, image by image, are cut into parts, and a block takes a
** part of a channel: one kernel sums, and a second one adds the parts' sums up, in their order, and
** makes the result. The parts depend on the sizes alone, so results are the same at every run and on
** every GPU.
**
** Sums are kept in the type that computes (float for half and bfloat16) within a short run of a
** thread's elements, as distances from the run's first one, and in double from there on, as distances
** from the channel's first one. So a large mean costs no digits.
** N,C matrices are right too, but read with gaps.
*/
#include "cuda_dtype.h"
#include "cuda_planes.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_batchnorm.h"
}

static const int64_t PART = 4096; /* elements that are worth a block */
static const int64_t MOST_PARTS = 128;

enum {
  BATCH = 4, /* elements that a thread has on the way at once */
  RUN = 64   /* elements that a thread sums in the computing type */
};

typedef struct parts {
  int64_t n_channels, n_parts, length; /* elements of a part; the last one may be shorter */
  int64_t count;                       /* of a channel */
} parts;

static parts parts_of(const dn_tensor *x) {
  const cuda_planes planes = cuda_planes_of(x);
  const int64_t count = planes.n * planes.size;
  const int64_t wanted = (count + PART - 1) / PART,
                most = wanted < MOST_PARTS ? wanted : MOST_PARTS;
  const int64_t length = (count + most - 1) / most;
  const parts cut = {planes.c, (count + length - 1) / length, length, count};
  return cut;
}

static unsigned blocks_of(const parts &cut) {
  const int64_t n = cut.n_channels * cut.n_parts;
  return (unsigned)(n < CUDA_MOST_BLOCKS ? n : CUDA_MOST_BLOCKS);
}

/* The loop of a block over its parts; part `part` of channel c. */
#define FOR_PARTS(c, part, cut)                                                                   \
  for (int64_t at_part = blockIdx.x, c = at_part / (cut).n_parts, part = at_part % (cut).n_parts; \
       at_part < (cut).n_channels * (cut).n_parts;                                                \
       at_part += gridDim.x, c = at_part / (cut).n_parts, part = at_part % (cut).n_parts)

/* A thread's way through a part: every blockDim.x-th element. */
typedef struct walk {
  int64_t left; /* elements of the part from here on, those of other threads included */
  int64_t image, place;
  int64_t image_step, place_step, size;
} walk;

__device__ static inline walk walk_of(const parts &cut, int64_t part, int64_t plane_size) {
  walk at;
  const int64_t begin = part * cut.length + threadIdx.x;
  const int64_t end = (part + 1) * cut.length < cut.count ? (part + 1) * cut.length : cut.count;
  at.left = end - begin;
  at.size = plane_size;
  cuda_divide(begin, plane_size, &at.image, &at.place);
  cuda_divide((int64_t)blockDim.x, plane_size, &at.image_step, &at.place_step);
  return at;
}

__device__ static inline void walk_on(walk &at) {
  at.left -= blockDim.x;
  at.image += at.image_step;
  at.place += at.place_step;
  if (at.place < at.size) return;
  at.place -= at.size;
  at.image++;
}

__device__ static inline int64_t walk_offset(const walk &at, const cuda_planes &planes) {
  return at.image * planes.stride_n + at.place;
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

/* Sums of x - center and of its square, center being the channel's first element. */
template <typename T>
__global__ void batchnorm_moments_kernel(sums *partial, const T *x, const cuda_planes planes,
                                         const parts cut) {
  typedef typename cuda_types<T>::computed C;
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  FOR_PARTS(c, part, cut) {
    const T *const from = x + c * planes.stride_c;
    const double center = (double)cuda_load(from[0]);
    sums total = {0, 0};
    walk at = walk_of(cut, part, planes.size);
    while (at.left > 0) {
      const C shift = cuda_load(from[walk_offset(at, planes)]);
      C sum = 0, squares = 0;
      int n = 0;
      for (int batch = 0; batch < RUN / BATCH; batch++) {
        C off[BATCH];
        for (int k = 0; k < BATCH; k++) {
          const bool is_there = at.left > 0;
          off[k] = is_there ? (C)cuda_load(from[walk_offset(at, planes)]) - shift : (C)0;
          n += is_there;
          walk_on(at);
        }
        for (int k = 0; k < BATCH; k++) {
          sum += off[k];
          squares += off[k] * off[k];
        }
      }
      const double distance = (double)shift - center;
      total.sum += (double)sum + n * distance;
      total.product += (double)squares + distance * (2 * (double)sum + n * distance);
    }
    write_sums(partial, cut, c, part, total, shared);
  }
}

/* Sums of dy and of dy (x - mean). */
template <typename T, typename C>
__global__ void batchnorm_slopes_kernel(sums *partial, const T *dy, const T *x, const C *mean,
                                        const cuda_planes dy_planes, const cuda_planes x_planes,
                                        const parts cut) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  FOR_PARTS(c, part, cut) {
    const T *const slopes = dy + c * dy_planes.stride_c, *const from = x + c * x_planes.stride_c;
    const C shift = mean[c];
    sums total = {0, 0};
    walk at = walk_of(cut, part, x_planes.size);
    while (at.left > 0) {
      C sum = 0, product = 0;
      for (int batch = 0; batch < RUN / BATCH; batch++) {
        C slope[BATCH], off[BATCH];
        for (int k = 0; k < BATCH; k++) {
          const bool is_there = at.left > 0;
          slope[k] = is_there ? (C)cuda_load(slopes[walk_offset(at, dy_planes)]) : (C)0;
          off[k] = is_there ? (C)cuda_load(from[walk_offset(at, x_planes)]) - shift : (C)0;
          walk_on(at);
        }
        for (int k = 0; k < BATCH; k++) {
          sum += slope[k];
          product += slope[k] * off[k];
        }
      }
      total.sum += (double)sum;
      total.product += (double)product;
    }
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

template <typename T, typename C>
__device__ static inline void apply(T *y, const T *x, const cuda_planes &y_planes,
                                    const cuda_planes &x_planes, const parts &cut, int64_t c,
                                    int64_t part, const map<C> way) {
  T *const to = y + c * y_planes.stride_c;
  const T *const from = x + c * x_planes.stride_c;
  for (walk at = walk_of(cut, part, x_planes.size); at.left > 0; walk_on(at))
    cuda_store(&to[walk_offset(at, y_planes)],
               (cuda_load(from[walk_offset(at, x_planes)]) - way.shift) * way.scale + way.offset);
}

/* Vectors over channels; NULL where left out. */
template <typename C>
struct forward_vectors {
  C *mean, *inv_std, *running_mean, *running_var;
  const C *gamma, *beta;
};

template <typename T, typename C>
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
    apply(y, x, y_planes, x_planes, cut, c, part, *way);
  }
}

template <typename T, typename C>
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
    apply(y, x, y_planes, x_planes, cut, c, part, *way);
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

/* dx may be dy: a thread reads an element before it writes it. */
template <typename T, typename C>
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
    const T *const gradient = dy + c * dy_planes.stride_c, *const from = x + c * x_planes.stride_c;
    for (walk at = walk_of(cut, part, x_planes.size); at.left > 0; walk_on(at)) {
      const C off = cuda_load(from[walk_offset(at, x_planes)]) - way.mean;
      cuda_store(&to[walk_offset(at, dx_planes)],
                 way.direct * cuda_load(gradient[walk_offset(at, dy_planes)]) +
                     (way.slope * off + way.offset));
    }
  }
}

/* Constants need no x: it may hold what is not finite, and is not read. */
template <typename T, typename C>
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
    const T *const gradient = dy + c * dy_planes.stride_c;
    for (walk at = walk_of(cut, part, dx_planes.size); at.left > 0; walk_on(at))
      cuda_store(&to[walk_offset(at, dx_planes)],
                 direct * cuda_load(gradient[walk_offset(at, dy_planes)]));
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

dn_status cuda_batchnorm_forward(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                 dn_tensor *running_mean, dn_tensor *running_var,
                                 const dn_tensor *x, const dn_tensor *gamma, const dn_tensor *beta,
                                 double momentum, double epsilon) {
  const parts cut = parts_of(x);
  const cuda_planes in = cuda_planes_of(x);
  sums *partial;
  DN_TRY(take_sums(cut, &partial));
  CUDA_FOR_REAL(
      x->dtype, T, typedef cuda_types<T>::computed C;
      const forward_vectors<C> vectors = {(C *)data_of(mean), (C *)data_of(inv_std),
                                          (C *)data_of(running_mean), (C *)data_of(running_var),
                                          (const C *)data_of(gamma), (const C *)data_of(beta)};
      const T *const from = (const T *)dn_tensor_data(x);
      CUDA_LAUNCH((batchnorm_moments_kernel<T>), blocks_of(cut), CUDA_THREADS, 0, cuda_stream(),
                  partial, from, in, cut);
      CUDA_LAUNCH((batchnorm_forward_kernel<T, C>), blocks_of(cut), CUDA_THREADS, 0, cuda_stream(),
                  (T *)dn_tensor_data(y), from, partial, vectors, momentum, epsilon,
                  cuda_planes_of(y), in, cut));
  return DN_OK;
}

dn_status cuda_batchnorm_inference_forward(dn_tensor *y, const dn_tensor *x,
                                           const dn_tensor *running_mean,
                                           const dn_tensor *running_var, const dn_tensor *gamma,
                                           const dn_tensor *beta, double epsilon) {
  const parts cut = parts_of(x);
  CUDA_FOR_REAL(x->dtype, T, typedef cuda_types<T>::computed C; CUDA_LAUNCH(
                    (batchnorm_inference_forward_kernel<T, C>), blocks_of(cut), CUDA_THREADS, 0,
                    cuda_stream(), (T *)dn_tensor_data(y), (const T *)dn_tensor_data(x),
                    (const C *)data_of(running_mean), (const C *)data_of(running_var),
                    (const C *)data_of(gamma), (const C *)data_of(beta), epsilon, cuda_planes_of(y),
                    cuda_planes_of(x), cut));
  return DN_OK;
}

dn_status cuda_batchnorm_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                  const dn_tensor *dy, const dn_tensor *x, const dn_tensor *mean,
                                  const dn_tensor *inv_std, const dn_tensor *gamma, double scale) {
  const parts cut = parts_of(x);
  const cuda_planes to = cuda_planes_of(dx), gradient = cuda_planes_of(dy), in = cuda_planes_of(x);
  sums *partial;
  DN_TRY(take_sums(cut, &partial));
  CUDA_FOR_REAL(
      x->dtype, T, typedef cuda_types<T>::computed C;
      const backward_vectors<C> vectors = {(C *)data_of(dgamma), (C *)data_of(dbeta),
                                           (const C *)data_of(mean), (const C *)data_of(inv_std),
                                           (const C *)data_of(gamma), true};
      const T *const slope = (const T *)dn_tensor_data(dy), *const from =
                                                                (const T *)dn_tensor_data(x);
      CUDA_LAUNCH((batchnorm_slopes_kernel<T, C>), blocks_of(cut), CUDA_THREADS, 0, cuda_stream(),
                  partial, slope, from, vectors.mean, gradient, in, cut);
      CUDA_LAUNCH((batchnorm_backward_kernel<T, C>), blocks_of(cut), CUDA_THREADS, 0, cuda_stream(),
                  (T *)dn_tensor_data(dx), slope, from, partial, vectors, 0.0, scale, to, gradient,
                  in, cut));
  return DN_OK;
}

dn_status cuda_batchnorm_inference_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                            const dn_tensor *dy, const dn_tensor *x,
                                            const dn_tensor *running_mean,
                                            const dn_tensor *running_var, const dn_tensor *gamma,
                                            double epsilon, double scale) {
  const parts cut = parts_of(x);
  const cuda_planes to = cuda_planes_of(dx), gradient = cuda_planes_of(dy), in = cuda_planes_of(x);
  sums *partial = NULL;
  DN_TRY(dgamma ? take_sums(cut, &partial) : cuda_scratch_none());
  CUDA_FOR_REAL(x->dtype, T, typedef cuda_types<T>::computed C;
                const backward_vectors<C> vectors = {(C *)data_of(dgamma), (C *)data_of(dbeta),
                                                     (const C *)data_of(running_mean),
                                                     (const C *)data_of(running_var),
                                                     (const C *)data_of(gamma), false};
                const T *const slope = (const T *)dn_tensor_data(dy); if (dgamma) CUDA_LAUNCH(
                    (batchnorm_slopes_kernel<T, C>), blocks_of(cut), CUDA_THREADS, 0, cuda_stream(),
                    partial, slope, (const T *)dn_tensor_data(x), vectors.mean, gradient, in, cut);
                CUDA_LAUNCH((batchnorm_inference_backward_kernel<T, C>), blocks_of(cut),
                            CUDA_THREADS, 0, cuda_stream(), (T *)dn_tensor_data(dx), slope, partial,
                            vectors, epsilon, scale, to, gradient, cut));
  return DN_OK;
}
