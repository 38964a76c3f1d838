/*
** The kernel of y = W z, and mean and variance of y, where z is made of x as it is read: of relu(scale x +
** shift) itself, or its means over windows of 2x2 (what a transition multiplies).
**
** A block makes OUTPUTS x TILE results of a strip of pixels (cuda_slices.h), its 4 warps TILE/4
** pixels each, for all outputs: OUTPUTS/16 x TILE/32 products of 16x8. Channels go by in steps of
** 64 bytes, two products deep. While a step is multiplied, the next is on its way into registers; there
** x becomes z, rounded as factors are, and goes into the other of two halves of shared memory:
** z [channel][pixel] and W [output][channel].
*/
#ifndef CUDA_NORM_RELU_CONV_1X1_KERNEL_H
#define CUDA_NORM_RELU_CONV_1X1_KERNEL_H

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
  cuda_strip strip; /* of y's pixels */
  cuda_moments_parts moments;
  int n_channels, n_outputs;
  int width; /* of a line of x, where windows are taken */
};

template <typename T, int OUTPUTS, int TILE>
struct sizes_1x1 {
  enum {
    PER_WORD = cuda_packed<T>::PER_WORD,
    STEP = STEP_WORDS * PER_WORD,                                                   /* channels */
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

/* ---- Where z comes from: how many times 16 bytes of x make a vector of it, which, and how ---- */

template <typename T, bool WHOLE>
struct plain_pixels {
  enum { LOADS = 1 };
  const T *own; /* the thread's pixel in channel 0 */
  int there;    /* pixels of the plane from it on */

  __device__ plain_pixels(const forward_1x1<T, WHOLE> &f, int pixel) {
    const cuda_spot spot = cuda_spot_of(f.strip, pixel);
    own = f.x + cuda_spot_offset(f.x_planes, spot);
    there = spot.there;
  }
  __device__ void load(uint4 *raw, const forward_1x1<T, WHOLE> &f, int c) const {
    raw[0] = cuda_load16_part<WHOLE>(own + c * f.x_planes.stride_c, c < f.n_channels ? there : 0);
  }
  /* A pixel beyond the plane becomes what it likes: its column is never stored. */
  __device__ static void activate(float *z, const uint4 *raw, float scale, float shift) {
    cuda_unpack<T>(z, raw[0]);
    CUDA_UNROLL
    for (int j = 0; j < cuda_packed<T>::VECTOR; j++)
      z[j] = cuda_norm_rectify(cuda_norm_apply(scale, z[j], shift));
  }
};

/* Lines of x are whole vectors, and twice as long as z's; so each half of a vector of z lies in one line. */
template <typename T, bool WHOLE>
struct pooled_pixels {
  enum { LOADS = 4, HALF = cuda_packed<T>::VECTOR / 2 };
  const T *own[2]; /* the upper left of each half's windows, in channel 0 */
  bool is_there[2];

  __device__ pooled_pixels(const forward_1x1<T, WHOLE> &f, int pixel) {
    const cuda_spot spot = cuda_spot_of(f.strip, pixel);
    CUDA_UNROLL
    for (int h = 0; h < 2; h++) {
      const int at = spot.at + h * HALF, width = f.width / 2, line = at / width;
      own[h] =
          f.x + spot.image * f.x_planes.stride_n + 2 * line * f.width + 2 * (at - line * width);
      is_there[h] = spot.there > h * HALF;
    }
  }
  __device__ void load(uint4 *raw, const forward_1x1<T, WHOLE> &f, int c) const {
    CUDA_UNROLL
    for (int i = 0; i < LOADS; i++) { /* two lines of each half */
      const uint4 zeros = {0, 0, 0, 0};
      const T *const from = own[i / 2] + c * f.x_planes.stride_c + i % 2 * f.width;
      raw[i] = c < f.n_channels && is_there[i / 2] ? cuda_load16(from) : zeros;
    }
  }
  __device__ static void activate(float *z, const uint4 *raw, float scale, float shift) {
    CUDA_UNROLL
    for (int h = 0; h < 2; h++) {
      float v[2][2 * HALF];
      cuda_unpack<T>(v[0], raw[2 * h]);
      cuda_unpack<T>(v[1], raw[2 * h + 1]);
      CUDA_UNROLL
      for (int j = 0; j < HALF; j++) {
        float sum = 0;
        CUDA_UNROLL
        for (int i = 0; i < 4; i++)
          sum += cuda_norm_rectify(cuda_norm_apply(scale, v[i / 2][2 * j + i % 2], shift));
        z[h * HALF + j] = sum / 4;
      }
    }
  }
};

/* ---- One step of channels ---- */

/*
** What a thread has on its way: raw x of its vectors, and of its words of W the numbers, so that nobody waits for
** them before the products. Where windows take the registers W comes as words.
*/
template <typename S, int LOADS>
struct step_1x1 {
  enum { IS_RAW = LOADS == 1 };
  uint4 x[S::VECTORS][LOADS];
  float numbers[S::WORDS][S::PER_WORD];
  uint32_t words[S::WORDS]; /* where IS_RAW nobody uses them, and they take no registers */
};

template <typename T, typename S, bool WHOLE, typename Pixels>
__device__ static inline void load_step(step_1x1<S, Pixels::LOADS> *step,
                                        const forward_1x1<T, WHOLE> &f, const Pixels &pixels,
                                        int slice, int first) {
  CUDA_UNROLL
  for (int i = 0; i < S::VECTORS; i++) {
    const int c = first + (int)threadIdx.x / S::ROW_VECTORS + i * S::ROWS;
    pixels.load(step->x[i], f, c);
  }
  CUDA_UNROLL
  for (int i = 0; i < S::WORDS; i++) {
    const int at = (int)threadIdx.x + i * THREADS;
    const int m = slice * S::TILES_M * 16 + at / STEP_WORDS;
    const int c = first + at % STEP_WORDS * S::PER_WORD;
    float *const numbers = step->numbers[i];
    CUDA_UNROLL
    for (int j = 0; j < S::PER_WORD; j++)
      numbers[j] = m < f.n_outputs && c + j < f.n_channels
                       ? f.weight[(int64_t)m * f.n_channels + c + j]
                       : 0.f;
    if (!step->IS_RAW) step->words[i] = cuda_factor_word(numbers, T());
  }
}

/* W is 0 beyond its channels. */
template <typename T, typename S, bool WHOLE, typename Pixels>
__device__ static inline void store_step(uint32_t *z, const step_1x1<S, Pixels::LOADS> &step,
                                         const forward_1x1<T, WHOLE> &f, const Pixels &,
                                         int first) {
  enum { VECTOR = cuda_packed<T>::VECTOR, PER_WORD = cuda_packed<T>::PER_WORD };
  uint32_t *const weight = z + S::STEP * S::Z_PITCH;
  CUDA_UNROLL
  for (int i = 0; i < S::VECTORS; i++) {
    const int row = (int)threadIdx.x / S::ROW_VECTORS + i * S::ROWS, c = first + row;
    const float scale = c < f.n_channels ? f.norm.data[DN_NORM_SCALE * f.norm.row + c] : 0.f;
    const float shift = c < f.n_channels ? f.norm.data[DN_NORM_SHIFT * f.norm.row + c] : 0.f;
    float v[VECTOR];
    Pixels::activate(v, step.x[i], scale, shift);
    const uint4 words = {cuda_factor_word(v, T()), cuda_factor_word(v + PER_WORD, T()),
                         cuda_factor_word(v + 2 * PER_WORD, T()),
                         cuda_factor_word(v + 3 * PER_WORD, T())};
    cuda_store16(z + row * S::Z_PITCH + (int)threadIdx.x % S::ROW_VECTORS * 4, words);
  }
  CUDA_UNROLL
  for (int i = 0; i < S::WORDS; i++) {
    const int at = (int)threadIdx.x + i * THREADS;
    weight[at / STEP_WORDS * WEIGHT_PITCH + at % STEP_WORDS] =
        step.IS_RAW ? cuda_factor_word(step.numbers[i], T()) : step.words[i];
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
                                            float (*sums)[S::TILES_N][4], int slice,
                                            int tile_first) {
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
              k = slice * S::TILES_M * 16 + output;
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

/* What a block does; Pixels is plain_pixels or pooled_pixels. */
template <typename T, int OUTPUTS, int TILE, bool WHOLE, typename Pixels>
__device__ static inline void forward_tile(uint32_t *shared, unsigned *ticket,
                                           const forward_1x1<T, WHOLE> &f,
                                           const cuda_slice_place &place) {
  typedef sizes_1x1<T, OUTPUTS, TILE> S;
  const int tile_first = place.tile * TILE;
  const Pixels pixels(f, tile_first + (int)threadIdx.x % S::ROW_VECTORS * cuda_packed<T>::VECTOR);
  float sums[S::TILES_M][S::TILES_N][4];
  CUDA_UNROLL
  for (int m = 0; m < S::TILES_M; m++) {
    CUDA_UNROLL
    for (int i = 0; i < 4 * S::TILES_N; i++) sums[m][i / 4][i % 4] = 0;
  }

  step_1x1<S, Pixels::LOADS> step;
  load_step(&step, f, pixels, place.slice, 0);
  store_step(shared, step, f, pixels, 0);
  __syncthreads();
  uint32_t *now = shared, *next = shared + S::HALF_WORDS;
  for (int first = 0; first < f.n_channels; first += S::STEP) {
    const bool has_next = first + S::STEP < f.n_channels;
    if (has_next) load_step(&step, f, pixels, place.slice, first + S::STEP);
    multiply_step<T, S>(sums, now);
    if (has_next) store_step(next, step, f, pixels, first + S::STEP);
    __syncthreads();
    uint32_t *const done = now;
    now = next;
    next = done;
  }

  cuda_moments *const warps = (cuda_moments *)shared;
  store_results<T, S>(warps, f, sums, place.slice, tile_first);
  cuda_moments_finish_warps(f.moments, place, warps, WARPS, OUTPUTS, f.n_outputs, ticket);
}

/* ---- For its launch ---- */

/* What the kernel reads and writes, y's pixels in a strip of n_blocks tiles. */
template <typename T, bool WHOLE>
static forward_1x1<T, WHOLE> forward_1x1_of(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                            const dn_tensor *norm, const dn_tensor *weight,
                                            const cuda_strip &strip, int64_t n_blocks,
                                            void *scratch) {
  forward_1x1<T, WHOLE> f;
  f.y = (T *)dn_tensor_data(y);
  f.x = (const T *)dn_tensor_data(x);
  f.weight = (const float *)dn_tensor_data(weight);
  f.norm = cuda_table_of<float>(norm);
  f.y_planes = cuda_planes_of(y);
  f.x_planes = cuda_planes_of(x);
  f.strip = strip;
  f.moments = cuda_moments_parts_of(stats, y->size[1], n_blocks, scratch);
  f.n_channels = (int)x->size[1];
  f.n_outputs = (int)y->size[1];
  f.width = (int)x->size[3];
  return f;
}

#endif
