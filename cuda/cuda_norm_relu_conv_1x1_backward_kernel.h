/*
** The kernel of the way back of y = W z, z = relu(scale x + shift), in one pass over dy, y, x and dx:
**   du = dy + deferred terms        dz = W' du where the ReLU let x pass, else 0
**   dx = (dx +) scale dz            dW = du z',  sums of dz and of dz (x - mean)
** POOLED: of a transition, y = W means of z over windows of 2x2. A mean's gradient is a quarter of it for each
** of its window's pixels, so du is dy, a pixel of which stands for four, and results are divided by 4.
**
** A block has 48 channels (blockIdx.y) and takes tiles of 64 pixels of the strip in turn; du [output][pixel],
** raw x and W' [channel][output] lie in shared memory. Its 6 warps are 3 rows of 2. For dz a warp has 16 of
** the channels and half of the pixels; for dW every third 16 outputs and 24 of the channels. z is made
** of x as it is read. dW and the sums stay in registers until the last tile, and are left as a part.
*/
#ifndef CUDA_NORM_RELU_CONV_1X1_BACKWARD_KERNEL_H
#define CUDA_NORM_RELU_CONV_1X1_BACKWARD_KERNEL_H

#include "cuda_fused.h"
#include "cuda_mma.h"
#include "cuda_parts.h"
#include "cuda_strip.h"

enum { THREADS = 192, CHANNELS = 48, TILE = 64, TILES_N = 4, TILES_DW = 3 };

template <typename T, bool WHOLE>
struct backward_1x1 {
  T *dx;
  const T *dy, *y, *x;
  const float *weight; /* n_outputs, n_channels */
  cuda_table<float> norm, deferred;
  cuda_planes dx_planes, dy_planes, y_planes, x_planes;
  cuda_strip strip;
  float *weight_parts, *sum_parts; /* the first NULL: the weight is frozen */
  int n_channels, n_outputs, n_tiles;
  int height, width; /* of x, where windows are taken */
  bool accumulate;
};

template <typename T>
struct sizes_back_1x1 {
  enum {
    PITCH = TILE / cuda_packed<T>::PER_WORD + 4, /* words of a row of pixels */
    ROW_VECTORS = TILE / cuda_packed<T>::VECTOR,
    ROWS = THREADS / ROW_VECTORS /* that all threads take at once */
  };
};

/* Outputs up to whole products, and the words of a row of them. */
static inline __host__ __device__ int rows_of(int n_outputs) { return (n_outputs + 15) / 16 * 16; }

template <typename T>
static inline __host__ __device__ int weight_pitch_of(int n_outputs) {
  return rows_of(n_outputs) / cuda_packed<T>::PER_WORD + 4;
}

template <typename T>
static int64_t shared_bytes(int n_outputs) {
  const int rows = rows_of(n_outputs);
  return 16 * rows + 4 * ((int64_t)(rows + CHANNELS) * sizes_back_1x1<T>::PITCH +
                          CHANNELS * weight_pitch_of<T>(n_outputs));
}

/* W' of the block's channels, 0 beyond W. */
template <typename T, bool WHOLE>
__device__ static inline void load_weight(uint32_t *weights, const backward_1x1<T, WHOLE> &f,
                                          int first) {
  const int per_word = cuda_packed<T>::PER_WORD, n_words = rows_of(f.n_outputs) / per_word;
  for (int i = (int)threadIdx.x; i < CHANNELS * n_words; i += THREADS) {
    const int c = i % CHANNELS, word = i / CHANNELS; /* neighbours in memory */
    float pair[2];
    CUDA_UNROLL
    for (int j = 0; j < per_word; j++) {
      const int output = word * per_word + j;
      pair[j] = output < f.n_outputs && first + c < f.n_channels
                    ? f.weight[(int64_t)output * f.n_channels + first + c]
                    : 0.f;
    }
    weights[c * weight_pitch_of<T>(f.n_outputs) + word] = cuda_factor_word(pair, T());
  }
}

/* offset, slope and mean of each output; 0 where nothing is deferred. */
template <typename T, bool WHOLE>
__device__ static inline void load_terms(float4 *terms, const backward_1x1<T, WHOLE> &f) {
  for (int k = (int)threadIdx.x; k < rows_of(f.n_outputs); k += THREADS) {
    float4 own = {0, 0, 0, 0};
    if (f.y && k < f.n_outputs) {
      own.x = f.deferred.data[DN_DEFERRED_OFFSET * f.deferred.row + k];
      own.y = f.deferred.data[DN_DEFERRED_SLOPE * f.deferred.row + k];
      own.z = f.deferred.data[DN_DEFERRED_MEAN * f.deferred.row + k];
    }
    terms[k] = own;
  }
}

/* Half a vector, which begins at a multiple of 8 bytes. */
template <typename T>
__device__ static inline uint4 load_half(const T *from) {
  const uint2 half = *(const uint2 *)from;
  const uint4 words = {half.x, half.y, 0, 0};
  return words;
}

/* Its numbers, each twice. */
template <typename T>
__device__ static inline void unpack_doubled(float *v, const uint4 &half) {
  enum { VECTOR = cuda_packed<T>::VECTOR };
  float single[VECTOR];
  cuda_unpack<T>(single, half);
  CUDA_UNROLL
  for (int j = 0; j < VECTOR; j++) v[j] = single[j / 2];
}

/* Where the windows of the vector at a spot of x's plane are in dy's plane; none behind the last window. */
template <typename T, bool WHOLE>
__device__ static inline cuda_spot windows_at(const backward_1x1<T, WHOLE> &f,
                                              const cuda_spot &spot) {
  const int line = spot.at / f.width, column = spot.at - line * f.width;
  const cuda_spot windows = {spot.image, line / 2 * (f.width / 2) + column / 2,
                             line / 2 < f.height / 2 ? spot.there : 0};
  return windows;
}

/* du as products take it, 0 where no pixel is, and raw x; AHEAD rows are on their way at a time. */
template <typename T, bool WHOLE, bool POOLED>
__device__ static inline void load_tile(uint32_t *du, uint32_t *raw, const float4 *terms,
                                        const backward_1x1<T, WHOLE> &f, int first, int tile) {
  typedef sizes_back_1x1<T> S;
  enum { VECTOR = cuda_packed<T>::VECTOR, PER_WORD = cuda_packed<T>::PER_WORD, AHEAD = 2 };
  const int vector = (int)threadIdx.x % S::ROW_VECTORS;
  const cuda_spot spot = cuda_spot_of(f.strip, tile * TILE + vector * VECTOR);
  const cuda_spot above = POOLED ? windows_at(f, spot) : spot;
  const T *const dy = f.dy + cuda_spot_offset(f.dy_planes, above);
  const T *const y = !POOLED && f.y ? f.y + cuda_spot_offset(f.y_planes, spot) : NULL;
  const T *const x = f.x + cuda_spot_offset(f.x_planes, spot);
  const int own_row = (int)threadIdx.x / S::ROW_VECTORS, n_rows = rows_of(f.n_outputs);
  for (int k = own_row; k < n_rows; k += AHEAD * S::ROWS) {
    uint4 own_dy[AHEAD] = {}, own_y[AHEAD] = {};
    CUDA_UNROLL
    for (int i = 0; i < AHEAD; i++) {
      const int own = k + i * S::ROWS, there = own < f.n_outputs ? above.there : 0;
      const T *const from = dy + own * f.dy_planes.stride_c;
      if (!POOLED)
        own_dy[i] = cuda_load16_part<WHOLE>(from, there);
      else if (there > 0)
        own_dy[i] = load_half(from);
      if (y) own_y[i] = cuda_load16_part<WHOLE>(y + own * f.y_planes.stride_c, there);
    }
    CUDA_UNROLL
    for (int i = 0; i < AHEAD; i++) {
      const int own = k + i * S::ROWS, there = own < f.n_outputs ? above.there : 0;
      if (own >= n_rows) continue;
      float v[VECTOR], u[VECTOR];
      if (POOLED)
        unpack_doubled<T>(v, own_dy[i]);
      else
        cuda_unpack<T>(v, own_dy[i]);
      if (y) {
        cuda_unpack<T>(u, own_y[i]);
        const float4 own_terms = terms[own];
        CUDA_UNROLL
        for (int j = 0; j < VECTOR; j++)
          v[j] = j < there ? cuda_deferred_add(v[j], u[j], own_terms.x, own_terms.y, own_terms.z)
                           : 0.f;
      }
      const uint4 words = {cuda_factor_word(v, T()), cuda_factor_word(v + PER_WORD, T()),
                           cuda_factor_word(v + 2 * PER_WORD, T()),
                           cuda_factor_word(v + 3 * PER_WORD, T())};
      cuda_store16(du + own * S::PITCH + 4 * vector, words);
    }
  }
  CUDA_UNROLL
  for (int i = 0; i < CHANNELS; i += AHEAD * S::ROWS) {
    uint4 own_x[AHEAD];
    CUDA_UNROLL
    for (int j = 0; j < AHEAD; j++) {
      const int c = first + own_row + i + j * S::ROWS;
      own_x[j] =
          cuda_load16_part<WHOLE>(x + c * f.x_planes.stride_c, c < f.n_channels ? spot.there : 0);
    }
    CUDA_UNROLL
    for (int j = 0; j < AHEAD; j++)
      cuda_store16(raw + (own_row + i + j * S::ROWS) * S::PITCH + 4 * vector, own_x[j]);
  }
}

/* What a thread knows of a channel of dz, and keeps of it over all tiles. */
typedef struct channel_1x1 {
  float scale, shift, mean, sum, product;
} channel_1x1;

template <typename T, bool WHOLE>
__device__ static inline void begin_channel(channel_1x1 *channel, const backward_1x1<T, WHOLE> &f,
                                            int c) {
  const bool is_own = c < f.n_channels;
  channel->mean = is_own ? f.norm.data[DN_NORM_MEAN * f.norm.row + c] : 0.f;
  channel->scale = is_own ? f.norm.data[DN_NORM_SCALE * f.norm.row + c] : 0.f;
  channel->shift = is_own ? f.norm.data[DN_NORM_SHIFT * f.norm.row + c] : 0.f;
  channel->sum = channel->product = 0;
}

/* dx of N times 8 pixels from a spot on, of channels c and c + 8, as it was; 0 where nothing is added to it. */
template <typename T, bool WHOLE, int N>
__device__ static inline void load_dx(typename cuda_two<T>::loaded (*before)[2],
                                      const backward_1x1<T, WHOLE> &f, cuda_spot spot, int c) {
  CUDA_UNROLL
  for (int n = 0; n < N; n++) {
    const T *const from = f.dx + cuda_spot_offset(f.dx_planes, spot) + c * f.dx_planes.stride_c;
    CUDA_UNROLL
    for (int h = 0; h < 2; h++) {
      const T *const pair = from + 8 * h * f.dx_planes.stride_c;
      const bool is_there = f.accumulate && c + 8 * h < f.n_channels;
      before[n][h] = cuda_load_two<WHOLE>(pair, pair + 1, is_there ? spot.there : 0);
    }
    cuda_spot_move(&spot, f.strip, 8);
  }
}

/*
** dz of the warp's 16 channels and 32 pixels, its sums, and dx, which is on its way while products are made: all of
** it, or half where registers are short.
*/
template <typename T, bool WHOLE, bool POOLED>
__device__ static inline void multiply_dz(channel_1x1 *channels, const uint32_t *du,
                                          const uint32_t *raw, const uint32_t *weights,
                                          const backward_1x1<T, WHOLE> &f, int first, int tile) {
  typedef sizes_back_1x1<T> S;
  enum { AHEAD = WHOLE && !POOLED ? 2 * cuda_packed<T>::PER_WORD : 2 };
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  const int row = 16 * (warp % 3), column = 32 * (warp / 3);
  const int pitch = weight_pitch_of<T>(f.n_outputs);
  cuda_spot spot = cuda_spot_of(f.strip, tile * TILE + column + 2 * t);
  typename cuda_two<T>::loaded before[AHEAD][2];
  load_dx<T, WHOLE, AHEAD>(before, f, spot, first + row + g);
  float dz[TILES_N][4];
  CUDA_UNROLL
  for (int i = 0; i < 4 * TILES_N; i++) dz[i / 4][i % 4] = 0;
  for (int k = 0; k < rows_of(f.n_outputs); k += cuda_factor<T>::DEPTH) {
    uint32_t a[4];
    cuda_load_a(a, weights + row * pitch, pitch, k / cuda_packed<T>::PER_WORD);
    CUDA_UNROLL
    for (int n = 0; n < TILES_N; n++) {
      uint32_t b[2];
      cuda_load_b_turned(b, du + k * S::PITCH, S::PITCH, column + 8 * n, T());
      cuda_mma(dz[n], a, b, T());
    }
  }
  if (POOLED) {
    CUDA_UNROLL
    for (int i = 0; i < 4 * TILES_N; i++) dz[i / 4][i % 4] /= 4;
  }
  CUDA_UNROLL
  for (int n = 0; n < TILES_N; n++) {
    if (n > 0 && n % AHEAD == 0) load_dx<T, WHOLE, AHEAD>(before, f, spot, first + row + g);
    T *const to = f.dx + cuda_spot_offset(f.dx_planes, spot);
    CUDA_UNROLL
    for (int h = 0; h < 2; h++) {
      channel_1x1 *const own = &channels[h];
      const int within = row + 8 * h + g;
      float low, high, dx_low, dx_high;
      const T *const x = (const T *)(raw + within * S::PITCH) + column + 8 * n + 2 * t;
      cuda_unpack_two(cuda_load_two<true>(x, x + 1, 2), &low, &high, T());
      const float dz_low = cuda_norm_apply(own->scale, low, own->shift) > 0 ? dz[n][2 * h] : 0.f;
      const float dz_high =
          cuda_norm_apply(own->scale, high, own->shift) > 0 ? dz[n][2 * h + 1] : 0.f;
      own->sum += dz_low + dz_high;
      own->product += dz_low * (low - own->mean) + dz_high * (high - own->mean);
      cuda_unpack_two(before[n % AHEAD][h], &dx_low, &dx_high, T());
      dx_low += own->scale * dz_low;
      dx_high += own->scale * dz_high;
      T *const pair = to + (first + within) * f.dx_planes.stride_c;
      cuda_store_two<WHOLE>(pair, pair + 1, &dx_low, &dx_high,
                            first + within < f.n_channels ? spot.there : 0);
    }
    cuda_spot_move(&spot, f.strip, 8);
  }
}

/* Adds the tile's share of dW: rows of outputs, columns of channels, pixels are the depth. */
template <typename T, int ROWS_DW>
__device__ static inline void multiply_dw(float (*dw)[TILES_DW][4], const uint32_t *du,
                                          const uint32_t *raw, const float *scale,
                                          const float *shift, int n_outputs) {
  typedef sizes_back_1x1<T> S;
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  CUDA_UNROLL
  for (int k = 0; k < TILE; k += cuda_factor<T>::DEPTH) {
    const int at = k / cuda_packed<T>::PER_WORD;
    uint32_t b[TILES_DW][2];
    CUDA_UNROLL
    for (int n = 0; n < TILES_DW; n++) {
      const uint32_t *const own = raw + (24 * (warp / 3) + 8 * n + g) * S::PITCH + at + t;
      CUDA_UNROLL
      for (int half = 0; half < 2; half++) {
        float z[2];
        cuda_unpack_word(z, own[4 * half], T());
        CUDA_UNROLL
        for (int j = 0; j < cuda_packed<T>::PER_WORD; j++)
          z[j] = cuda_norm_rectify(cuda_norm_apply(scale[n], z[j], shift[n]));
        b[n][half] = cuda_factor_word(z, T());
      }
    }
    CUDA_UNROLL
    for (int i = 0; i < ROWS_DW; i++) {
      const int row = 16 * (warp % 3 + 3 * i);
      if (row >= n_outputs) continue; /* the whole warp */
      uint32_t a[4];
      cuda_load_a(a, du + row * S::PITCH, S::PITCH, at);
      CUDA_UNROLL
      for (int n = 0; n < TILES_DW; n++) cuda_mma(dw[i][n], a, b[n], T());
    }
  }
}

template <typename T, int ROWS_DW, bool WHOLE, bool POOLED>
__device__ static inline void store_dw(const backward_1x1<T, WHOLE> &f, float (*dw)[TILES_DW][4],
                                       int first) {
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  float *const parts = f.weight_parts + (int64_t)blockIdx.x * f.n_outputs * f.n_channels;
  CUDA_UNROLL
  for (int i = 0; i < ROWS_DW; i++) {
    CUDA_UNROLL
    for (int j = 0; j < 4 * TILES_DW; j++) {
      const int k = 16 * (warp % 3 + 3 * i) + g + 8 * (j % 4 / 2);
      const int c = first + 24 * (warp / 3) + j / 4 * 8 + 2 * t + j % 2;
      if (k < f.n_outputs && c < f.n_channels)
        parts[(int64_t)k * f.n_channels + c] = dw[i][j / 4][j % 4] / (POOLED ? 4.f : 1.f);
    }
  }
}

/* What a block does; ROWS_DW times 48 outputs at most. */
template <typename T, int ROWS_DW, bool WHOLE, bool POOLED>
__device__ static inline void backward_tiles(float4 *shared, const backward_1x1<T, WHOLE> &f) {
  typedef sizes_back_1x1<T> S;
  float4 *const terms = shared;
  uint32_t *const du = (uint32_t *)(shared + rows_of(f.n_outputs));
  uint32_t *const raw = du + rows_of(f.n_outputs) * S::PITCH;
  uint32_t *const weights = raw + CHANNELS * S::PITCH;
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  const int first = (int)blockIdx.y * CHANNELS;
  load_weight(weights, f, first);
  load_terms(terms, f);
  channel_1x1 channels[2];
  CUDA_UNROLL
  for (int h = 0; h < 2; h++) begin_channel(&channels[h], f, first + 16 * (warp % 3) + 8 * h + g);
  float dw[ROWS_DW][TILES_DW][4], scale[TILES_DW], shift[TILES_DW];
  CUDA_UNROLL
  for (int n = 0; n < TILES_DW; n++) {
    channel_1x1 own;
    begin_channel(&own, f, first + 24 * (warp / 3) + 8 * n + g);
    scale[n] = own.scale;
    shift[n] = own.shift;
    CUDA_UNROLL
    for (int i = 0; i < 4 * ROWS_DW; i++) dw[i / 4][n][i % 4] = 0;
  }

  for (int tile = (int)blockIdx.x; tile < f.n_tiles; tile += (int)gridDim.x) {
    __syncthreads(); /* the tile before has been read */
    load_tile<T, WHOLE, POOLED>(du, raw, terms, f, first, tile);
    __syncthreads();
    multiply_dz<T, WHOLE, POOLED>(channels, du, raw, weights, f, first, tile);
    if (f.weight_parts) multiply_dw<T, ROWS_DW>(dw, du, raw, scale, shift, f.n_outputs);
  }

  if (f.weight_parts) store_dw<T, ROWS_DW, WHOLE, POOLED>(f, dw, first);
  CUDA_UNROLL
  for (int h = 0; h < 2; h++) {
    for (int d = 1; d < 4; d *= 2) {
      channels[h].sum += __shfl_xor_sync(0xFFFFFFFFu, channels[h].sum, d);
      channels[h].product += __shfl_xor_sync(0xFFFFFFFFu, channels[h].product, d);
    }
    const int c = first + 16 * (warp % 3) + 8 * h + g;
    if (t != 0 || c >= f.n_channels) continue;
    float *const row = f.sum_parts + (2 * (int64_t)blockIdx.x + warp / 3) * 2 * f.n_channels;
    row[c] = channels[h].sum;
    row[f.n_channels + c] = channels[h].product;
  }
}

/* Blocks a multiprocessor that registers are shared out for. */
static inline constexpr int backward_1x1_blocks(int rows_dw) {
  return rows_dw == 1 ? 3 : rows_dw < 4 ? 2 : 1;
}

/* ---- For its launch ---- */

/* The most outputs that there are kernels for: 4 times 48. */
enum { BACKWARD_1X1_OUTPUTS = 192 };

/* CUDA_FOR_ROWS_DW(n_outputs, ROWS_DW, statements) */
#define CUDA_FOR_ROWS_DW(n_outputs, ROWS_DW, ...) \
  switch (((n_outputs) + 47) / 48) {              \
    case 1: {                                     \
      enum { ROWS_DW = 1 };                       \
      __VA_ARGS__;                                \
    } break;                                      \
    case 2: {                                     \
      enum { ROWS_DW = 2 };                       \
      __VA_ARGS__;                                \
    } break;                                      \
    case 3: {                                     \
      enum { ROWS_DW = 3 };                       \
      __VA_ARGS__;                                \
    } break;                                      \
    default: {                                    \
      enum { ROWS_DW = 4 };                       \
      __VA_ARGS__;                                \
    } break;                                      \
  }

static inline int64_t backward_1x1_tiles(const dn_tensor *x) {
  return (cuda_strip_of(x).n + TILE - 1) / TILE;
}

static inline cuda_parts backward_1x1_parts(const dn_tensor *dy, const dn_tensor *x,
                                            bool has_dweight) {
  return cuda_parts_of(x, CHANNELS, backward_1x1_tiles(x),
                       has_dweight ? dy->size[1] * x->size[1] : 0, true);
}

/* What the kernel reads and writes; y and deferred NULL together. */
template <typename T, bool WHOLE>
static backward_1x1<T, WHOLE> backward_1x1_of(const cuda_parts &parts, dn_tensor *dx,
                                              const dn_tensor *dy, const dn_tensor *y,
                                              const dn_tensor *deferred, const dn_tensor *x,
                                              const dn_tensor *weight,
                                              const cuda_norm_gradient &gradient, void *scratch) {
  backward_1x1<T, WHOLE> f;
  memset((void *)&f, 0, sizeof f);
  f.dx = (T *)dn_tensor_data(dx);
  f.dy = (const T *)dn_tensor_data(dy);
  f.x = (const T *)dn_tensor_data(x);
  f.weight = (const float *)dn_tensor_data(weight);
  f.norm = cuda_table_of<float>(gradient.norm);
  f.dx_planes = cuda_planes_of(dx);
  f.dy_planes = cuda_planes_of(dy);
  f.x_planes = cuda_planes_of(x);
  if (deferred) {
    f.y = (const T *)dn_tensor_data(y);
    f.y_planes = cuda_planes_of(y);
    f.deferred = cuda_table_of<float>(deferred);
  }
  f.strip = cuda_strip_of(x);
  f.weight_parts = cuda_parts_weights(parts, scratch);
  f.sum_parts = cuda_parts_sums(parts, scratch);
  f.n_channels = (int)x->size[1];
  f.n_outputs = (int)dy->size[1];
  f.n_tiles = (int)backward_1x1_tiles(x);
  f.height = (int)x->size[2];
  f.width = (int)x->size[3];
  f.accumulate = gradient.accumulate;
  return f;
}

#endif
