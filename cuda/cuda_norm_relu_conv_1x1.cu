/*
** y = W relu(scale x + shift), and mean and variance of y.
**
** A block makes OUTPUTS (48 or 64, in blockIdx.y) x TILE results of a strip of pixels (blockIdx.x), its 4
** warps TILE/4 pixels each, for all outputs: 3 or 4 x TILE/32 products of 16x8. Channels go by in steps of
** 64 bytes, two products deep. While a step is multiplied, the next is on its way into registers; there
** x becomes z, rounded as factors are, and goes into the other of two halves of shared memory:
** z [channel][pixel] and W [output][channel].
*/
#include "cuda_norm_relu_conv_1x1.h"

#include "cuda_fused.h"
#include "cuda_mma.h"
#include "cuda_moments.h"
#include "cuda_strip.h"

enum { THREADS = 128, WARPS = 4, STEP_WORDS = 16, WEIGHT_PITCH = STEP_WORDS + 4 };

template <typename T, bool WHOLE>
struct forward_1x1 {
  T *y;
  const T *x;
  const float *weight; /* n_outputs, n_channels */
  cuda_table<float> norm;
  cuda_planes y_planes, x_planes;
  cuda_strip strip;
  cuda_moments_parts moments;
  int n_channels, n_outputs;
};

template <typename T, int OUTPUTS, int TILE>
struct sizes_1x1 {
  enum {
    STEP = STEP_WORDS * cuda_packed<T>::PER_WORD,                                   /* channels */
    Z_PITCH = TILE / cuda_packed<T>::PER_WORD + 4 * (3 - cuda_packed<T>::PER_WORD), /* words */
    HALF_WORDS = STEP * Z_PITCH + OUTPUTS * WEIGHT_PITCH,
    ROW_VECTORS = TILE / cuda_packed<T>::VECTOR,
    VECTORS = STEP * ROW_VECTORS / THREADS, /* of x, a thread and step */
    ROWS = THREADS / ROW_VECTORS,           /* channels that all threads take at once */
    WORDS = OUTPUTS * STEP_WORDS / THREADS, /* of W, a thread and step */
    TILES_M = OUTPUTS / 16,
    TILES_N = TILE / 32, /* products of a warp */
    SHARED_BYTES = 4 * 2 * HALF_WORDS
  };
};

/* What a thread has on its way: vectors of raw x, words of W. */
template <typename S>
struct step_1x1 {
  uint4 x[S::VECTORS];
  uint32_t weight[S::WORDS];
};

/* `own` is the thread's pixel in channel 0, where `there` elements are. */
template <typename T, typename S, bool WHOLE>
__device__ static inline void load_step(step_1x1<S> *step, const forward_1x1<T, WHOLE> &f,
                                        const T *own, int there, int first) {
  CUDA_UNROLL
  for (int i = 0; i < S::VECTORS; i++) {
    const int c = first + (int)threadIdx.x / S::ROW_VECTORS + i * S::ROWS;
    step->x[i] =
        cuda_load16_part<WHOLE>(own + c * f.x_planes.stride_c, c < f.n_channels ? there : 0);
  }
  CUDA_UNROLL
  for (int i = 0; i < S::WORDS; i++) {
    const int at = (int)threadIdx.x + i * THREADS, per_word = cuda_packed<T>::PER_WORD;
    const int m = (int)blockIdx.y * S::TILES_M * 16 + at / STEP_WORDS;
    const int c = first + at % STEP_WORDS * per_word;
    float pair[2];
    CUDA_UNROLL
    for (int j = 0; j < per_word; j++)
      pair[j] = m < f.n_outputs && c + j < f.n_channels
                    ? f.weight[(int64_t)m * f.n_channels + c + j]
                    : 0.f;
    step->weight[i] = cuda_factor_word(pair, T());
  }
}

/* A pixel beyond the plane becomes what it likes, its column is never stored; W is 0 beyond its channels. */
template <typename T, typename S, bool WHOLE>
__device__ static inline void store_step(uint32_t *z, const step_1x1<S> &step,
                                         const forward_1x1<T, WHOLE> &f, int first) {
  enum { VECTOR = cuda_packed<T>::VECTOR, PER_WORD = cuda_packed<T>::PER_WORD };
  uint32_t *const weight = z + S::STEP * S::Z_PITCH;
  CUDA_UNROLL
  for (int i = 0; i < S::VECTORS; i++) {
    const int row = (int)threadIdx.x / S::ROW_VECTORS + i * S::ROWS, c = first + row;
    const float scale = c < f.n_channels ? f.norm.data[DN_NORM_SCALE * f.norm.row + c] : 0.f;
    const float shift = c < f.n_channels ? f.norm.data[DN_NORM_SHIFT * f.norm.row + c] : 0.f;
    float v[VECTOR];
    cuda_unpack<T>(v, step.x[i]);
    CUDA_UNROLL
    for (int j = 0; j < VECTOR; j++) v[j] = cuda_norm_rectify(cuda_norm_apply(scale, v[j], shift));
    const uint4 words = {cuda_factor_word(v, T()), cuda_factor_word(v + PER_WORD, T()),
                         cuda_factor_word(v + 2 * PER_WORD, T()),
                         cuda_factor_word(v + 3 * PER_WORD, T())};
    cuda_store16(z + row * S::Z_PITCH + (int)threadIdx.x % S::ROW_VECTORS * 4, words);
  }
  CUDA_UNROLL
  for (int i = 0; i < S::WORDS; i++) {
    const int at = (int)threadIdx.x + i * THREADS;
    weight[at / STEP_WORDS * WEIGHT_PITCH + at % STEP_WORDS] = step.weight[i];
  }
}

template <typename T, typename S>
__device__ static inline void multiply_step(float (*sums)[S::TILES_N][4], const uint32_t *z) {
  const uint32_t *const weight = z + S::STEP * S::Z_PITCH;
  const int column = (int)threadIdx.x / CUDA_WARP * S::TILES_N * 8;
  CUDA_UNROLL
  for (int deep = 0; deep < 2; deep++) {
    uint32_t a[S::TILES_M][4];
    CUDA_UNROLL
    for (int m = 0; m < S::TILES_M; m++)
      cuda_load_a(a[m], weight + 16 * m * WEIGHT_PITCH, WEIGHT_PITCH, 8 * deep);
    CUDA_UNROLL
    for (int n = 0; n < S::TILES_N; n++) {
      uint32_t b[2];
      cuda_load_b_turned(b, z + deep * cuda_factor<T>::DEPTH * S::Z_PITCH, S::Z_PITCH,
                         column + 8 * n, T());
      CUDA_UNROLL
      for (int m = 0; m < S::TILES_M; m++) cuda_mma(sums[m][n], a[m], b, T());
    }
  }
}

/*
** Stores a warp's results, of which a lane has pairs of pixels, and leaves for each output the moments
** of what was stored in shared[output][warp].
*/
template <typename T, typename S, bool WHOLE>
__device__ static inline void store_results(cuda_moments *shared, const forward_1x1<T, WHOLE> &f,
                                            float (*sums)[S::TILES_N][4], int tile_first) {
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  T *to[S::TILES_N];
  int there[S::TILES_N];
  float count = 0;
  CUDA_UNROLL
  for (int n = 0; n < S::TILES_N; n++) {
    const cuda_spot spot = cuda_spot_of(f.strip, tile_first + (warp * S::TILES_N + n) * 8 + 2 * t);
    to[n] = f.y + cuda_spot_offset(f.y_planes, spot);
    there[n] = spot.there < 0 ? 0 : spot.there < 2 ? spot.there : 2;
    count += (float)there[n];
  }
  for (int d = 1; d < 4; d *= 2) count += __shfl_xor_sync(0xFFFFFFFFu, count, d);
  CUDA_UNROLL
  for (int half = 0; half < 2 * S::TILES_M; half++) { /* 8 outputs */
    const int m = half / 2, h = half % 2, output = 8 * half + g,
              k = (int)blockIdx.y * S::TILES_M * 16 + output;
    const bool is_own = k < f.n_outputs;
    float center = 0, sum = 0, squares = 0;
    CUDA_UNROLL
    for (int n = 0; n < S::TILES_N; n++) {
      float *const pair = &sums[m][n][2 * h];
      T *const at = to[n] + k * f.y_planes.stride_c;
      cuda_store_two<WHOLE>(at, at + 1, &pair[0], &pair[1], is_own ? there[n] : 0);
      if (n == 0) center = __shfl_sync(0xFFFFFFFFu, pair[0], 4 * g);
      const float low = there[n] > 0 ? pair[0] - center : 0.f;
      const float high = there[n] > 1 ? pair[1] - center : 0.f;
      sum += low + high;
      squares += low * low + high * high;
    }
    for (int d = 1; d < 4; d *= 2) {
      sum += __shfl_xor_sync(0xFFFFFFFFu, sum, d);
      squares += __shfl_xor_sync(0xFFFFFFFFu, squares, d);
    }
    const cuda_moments own = {center, sum, squares, count};
    if (t == 0) shared[output * WARPS + warp] = own;
  }
}

template <typename T, int OUTPUTS, int TILE, bool WHOLE>
__global__ void __launch_bounds__(THREADS, OUTPUTS == 48 ? 3 : 2)
    norm_relu_conv_1x1_forward_kernel(const forward_1x1<T, WHOLE> f) {
  typedef sizes_1x1<T, OUTPUTS, TILE> S;
  CUDA_SHARED_DYNAMIC(uint32_t, shared);
  CUDA_SHARED(unsigned, ticket, 1);
  const int tile_first = (int)blockIdx.x * TILE;
  const cuda_spot spot = cuda_spot_of(
      f.strip, tile_first + (int)threadIdx.x % S::ROW_VECTORS * cuda_packed<T>::VECTOR);
  const T *const own = f.x + cuda_spot_offset(f.x_planes, spot);
  float sums[S::TILES_M][S::TILES_N][4];
  CUDA_UNROLL
  for (int m = 0; m < S::TILES_M; m++) {
    CUDA_UNROLL
    for (int i = 0; i < 4 * S::TILES_N; i++) sums[m][i / 4][i % 4] = 0;
  }

  step_1x1<S> step;
  load_step(&step, f, own, spot.there, 0);
  store_step<T, S>(shared, step, f, 0);
  __syncthreads();
  uint32_t *now = shared, *next = shared + S::HALF_WORDS;
  for (int first = 0; first < f.n_channels; first += S::STEP) {
    const bool has_next = first + S::STEP < f.n_channels;
    if (has_next) load_step(&step, f, own, spot.there, first + S::STEP);
    multiply_step<T, S>(sums, now);
    if (has_next) store_step<T, S>(next, step, f, first + S::STEP);
    __syncthreads();
    uint32_t *const done = now;
    now = next;
    next = done;
  }

  cuda_moments *const warps = (cuda_moments *)shared;
  store_results<T, S>(warps, f, sums, tile_first);
  if (!f.moments.stats.data) return;
  __syncthreads();
  cuda_moments_sum all = {0, 0, 0, 0};
  if (threadIdx.x < OUTPUTS)
    for (int warp = 0; warp < WARPS; warp++)
      cuda_moments_add(&all, warps[threadIdx.x * WARPS + warp]);
  const int first = (int)blockIdx.y * OUTPUTS, rest = f.n_outputs - first;
  cuda_moments_finish(f.moments, cuda_moments_of(all), first, rest < OUTPUTS ? rest : OUTPUTS,
                      ticket);
}

/* ---- Its launch ---- */

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
  const dim3 blocks((unsigned)f.moments.n_blocks,
                    (unsigned)((f.n_outputs + OUTPUTS - 1) / OUTPUTS));
  CUDA_LAUNCH((norm_relu_conv_1x1_forward_kernel<T, OUTPUTS, TILE, WHOLE>), blocks, THREADS,
              S::SHARED_BYTES, cuda_stream(), f);
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
                     const dn_tensor *weight, void *scratch) {
  forward_1x1<T, WHOLE> f;
  f.y = (T *)dn_tensor_data(y);
  f.x = (const T *)dn_tensor_data(x);
  f.weight = (const float *)dn_tensor_data(weight);
  f.norm = cuda_table_of<float>(norm);
  f.y_planes = cuda_planes_of(y);
  f.x_planes = cuda_planes_of(x);
  f.strip = cuda_strip_of(x);
  f.moments = cuda_moments_parts_of(stats, y->size[1], blocks_of(f.strip), scratch);
  f.n_channels = (int)x->size[1];
  f.n_outputs = (int)y->size[1];
  return outputs_of(f.n_outputs) == 64 ? launch_tile<T, 64, WHOLE>(f)
                                       : launch_tile<T, 48, WHOLE>(f);
}

dn_status cuda_norm_relu_conv_1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          void *scratch) {
  const bool is_whole = cuda_fused_is_whole(y) && cuda_fused_is_whole(x);
  CUDA_FOR_FUSED(x->dtype, T,
                 return is_whole ? run<T, true>(y, stats, x, norm, weight, scratch)
                                 : run<T, false>(y, stats, x, norm, weight, scratch));
}
