/*
** The way back of y = W * z, 3x3, z = relu(scale x + shift), in one pass over dy, y, x and dx:
**   du = dy + deferred terms        dz = W' * du, the kernel turned, where the ReLU let x pass, else 0
**   dx = (dx +) scale dz            dW = sums over pixels of du and shifted z,  sums of dz and dz (x - mean)
**
** A block has 48 channels of x (blockIdx.y) and takes tiles of lines (cuda_lines.h) in turn. In shared
** memory lie du with its border, pixel by pixel, a row of outputs each; raw x as [channel][pixel]; W' as
** [channel][tap][output]; and the row of each of the tile's 128 pixels. Both products shift du: z needs no
** border. The 6 warps are 3 rows of 2, of 16 channels each: for dz with half of the pixels, for dW with half
** of the outputs and all nine taps. dW and the sums stay in registers until the last tile, and are left
** as a part.
**
** Without dx and a norm, z = x and only dW is made: that of a plain convolution.
*/
#include "cuda_conv2d_3x3.h"
#include "cuda_fused.h"
#include "cuda_lines.h"
#include "cuda_norm_relu_conv_3x3.h"
#include "cuda_parts.h"
#include "cuda_shared_memory.h"

enum { THREADS = 192, CHANNELS = 48, TAPS = 9, PIXELS = 128, TILES_N = 8 };

template <typename T, bool WHOLE>
struct backward_3x3 {
  T *dx; /* NULL: only dW */
  const T *dy, *y, *x;
  const float *weight;              /* n_outputs, n_channels, 3, 3 */
  cuda_table<float> norm, deferred; /* norm's data NULL: none */
  cuda_planes dx_planes, dy_planes, y_planes, x_planes;
  cuda_lines lines;
  float *weight_parts, *sum_parts; /* the first NULL: the weight is frozen */
  int n_channels, n_outputs;
  bool accumulate;
};

/* OUTPUTS: a multiple of 16. */
template <typename T, int OUTPUTS>
struct sizes_back_3x3 {
  enum {
    WORDS = OUTPUTS / cuda_packed<T>::PER_WORD,
    PITCH = WORDS + 4, /* of du's rows, in words */
    X_PITCH = PIXELS / cuda_packed<T>::PER_WORD + 4,
    WEIGHT_PITCH = TAPS * WORDS + 4,
    TILES_DW = OUTPUTS / 16 /* of a warp and tap, 8 outputs each */
  };
};

template <typename T, int OUTPUTS>
static int64_t shared_bytes(const cuda_lines &lines) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  return 16 * OUTPUTS + 8 * PIXELS +
         4 * ((int64_t)cuda_lines_rows(lines) * S::PITCH +
              CHANNELS * (S::X_PITCH + S::WEIGHT_PITCH));
}

/* W' of the block's channels, 0 beyond W. */
template <typename T, int OUTPUTS, bool WHOLE>
__device__ static inline void load_weight(uint32_t *weights, const backward_3x3<T, WHOLE> &f,
                                          int first) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  const int per_word = cuda_packed<T>::PER_WORD;
  for (int i = (int)threadIdx.x; i < CHANNELS * TAPS * S::WORDS; i += THREADS) {
    const int tap = i % TAPS, within = i / TAPS % CHANNELS, word = i / (TAPS * CHANNELS);
    const int c = first + within;
    float pair[2];
    CUDA_UNROLL
    for (int j = 0; j < per_word; j++) {
      const int k = word * per_word + j;
      pair[j] = k < f.n_outputs && c < f.n_channels
                    ? f.weight[((int64_t)k * f.n_channels + c) * TAPS + tap]
                    : 0.f;
    }
    weights[within * S::WEIGHT_PITCH + tap * S::WORDS + word] = cuda_factor_word(pair, T());
  }
}

/* offset, slope and mean of each output; 0 where nothing is deferred. */
template <typename T, int OUTPUTS, bool WHOLE>
__device__ static inline void load_terms(float4 *terms, const backward_3x3<T, WHOLE> &f) {
  for (int k = (int)threadIdx.x; k < OUTPUTS; k += THREADS) {
    float4 own = {0, 0, 0, 0};
    if (f.y && k < f.n_outputs) {
      own.x = f.deferred.data[DN_DEFERRED_OFFSET * f.deferred.row + k];
      own.y = f.deferred.data[DN_DEFERRED_SLOPE * f.deferred.row + k];
      own.z = f.deferred.data[DN_DEFERRED_MEAN * f.deferred.row + k];
    }
    terms[k] = own;
  }
}

/* du, of outputs that there are; 0 of others. */
template <typename T, bool WHOLE>
struct source_back_3x3 {
  struct loaded {
    uint4 dy, y;
    int k;
  };
  const backward_3x3<T, WHOLE> &f;
  const float4 *terms;
  __device__ void load(loaded *raw, int image, int k, int at) const {
    const int there = k < f.n_outputs ? (int)f.x_planes.size - at : 0;
    const uint4 zeros = {0, 0, 0, 0};
    raw->k = k;
    raw->dy = cuda_load16_part<WHOLE>(
        f.dy + image * f.dy_planes.stride_n + k * f.dy_planes.stride_c + at, there);
    raw->y = f.y ? cuda_load16_part<WHOLE>(
                       f.y + image * f.y_planes.stride_n + k * f.y_planes.stride_c + at, there)
                 : zeros;
  }
  __device__ void numbers(float *v, const loaded &raw) const {
    cuda_unpack<T>(v, raw.dy);
    if (!f.y) return;
    float y[cuda_packed<T>::VECTOR];
    cuda_unpack<T>(y, raw.y);
    const float4 own = terms[raw.k];
    CUDA_UNROLL
    for (int e = 0; e < cuda_packed<T>::VECTOR; e++)
      v[e] = cuda_deferred_add(v[e], y[e], own.x, own.y, own.z);
  }
};

/*
** Raw x of the tile's pixels, 0 of channels that there are not. Where the tile's lines begin at whole
** vectors, they are stored as such, and element by element elsewhere. A thread has AHEAD vectors on their way.
*/
template <typename T, bool WHOLE>
__device__ static inline void load_x(T *to, int pitch, const backward_3x3<T, WHOLE> &f,
                                     const cuda_lines_tile &own, int first) {
  enum { VECTOR = cuda_packed<T>::VECTOR, AHEAD = WHOLE ? 4 : 1 };
  const cuda_lines_span span = cuda_lines_span_of(f.lines, own, 0, VECTOR);
  const int plane = f.lines.lines * f.lines.width, begin = span.first / VECTOR * VECTOR;
  const bool is_whole = span.first == begin && (f.lines.images == 1 || plane % VECTOR == 0);
  const int n_vectors = own.images * span.vectors, n = n_vectors * CHANNELS;
  for (int i = (int)threadIdx.x; i < n; i += AHEAD * THREADS) {
    uint4 words[AHEAD];
    int row[AHEAD], at[AHEAD]; /* where the vector goes, and its element of the plane */
    CUDA_UNROLL
    for (int j = 0; j < AHEAD; j++) {
      const int index = i + j * THREADS;
      const int within = index / n_vectors, vector = index - within * n_vectors;
      const int image = vector / span.vectors, c = first + within;
      at[j] = begin + (vector - image * span.vectors) * VECTOR;
      row[j] = within * pitch + image * plane + at[j] - span.first;
      const T *const from = f.x + (own.image + image) * f.x_planes.stride_n + at[j];
      words[j] =
          cuda_load16_part<WHOLE>(from + c * f.x_planes.stride_c,
                                  index < n && c < f.n_channels ? (int)f.x_planes.size - at[j] : 0);
    }
    CUDA_UNROLL
    for (int j = 0; j < AHEAD; j++) {
      if (i + j * THREADS >= n) continue;
      if (is_whole) {
        cuda_store16(to + row[j], words[j]);
        continue;
      }
      float v[VECTOR];
      cuda_unpack<T>(v, words[j]);
      CUDA_UNROLL
      for (int e = 0; e < VECTOR; e++)
        if (at[j] + e >= span.first && at[j] + e < span.end) cuda_store(&to[row[j] + e], v[e]);
    }
  }
}

/* The words of x from the tile's last pixel on that are read with it. */
template <typename T>
__device__ static inline void clear_behind(uint32_t *raw, int pitch, int n_pixels) {
  const int per_word = cuda_packed<T>::PER_WORD, first = n_pixels / per_word;
  const int end = (n_pixels + 8 * per_word - 1) / (8 * per_word) * 8;
  for (int i = (int)threadIdx.x; i < 8 * CHANNELS; i += THREADS)
    if (first + i % 8 < end) raw[i / 8 * pitch + first + i % 8] = 0;
}

/* What a thread knows of a channel of dz, and keeps of it over all tiles. */
typedef struct channel_3x3 {
  float scale, shift, mean, sum, product;
  bool is_own;
} channel_3x3;

template <typename T, bool WHOLE>
__device__ static inline void begin_channel(channel_3x3 *channel, const backward_3x3<T, WHOLE> &f,
                                            int c) {
  channel->is_own = c < f.n_channels;
  channel->sum = channel->product = channel->mean = channel->shift = 0;
  channel->scale = 1;
  if (!f.norm.data) return;
  channel->mean = channel->is_own ? f.norm.data[DN_NORM_MEAN * f.norm.row + c] : 0.f;
  channel->scale = channel->is_own ? f.norm.data[DN_NORM_SCALE * f.norm.row + c] : 0.f;
  channel->shift = channel->is_own ? f.norm.data[DN_NORM_SHIFT * f.norm.row + c] : 0.f;
}

/* Rows of du from a pixel to the one whose result it met under the tap. */
__device__ static inline int shift_of(const cuda_lines &l, int tap) {
  return (1 - tap / 3) * l.row_of_line + 1 - tap % 3;
}

/* The tile's pixels: x their row, y their image of the tile. */
typedef int2 place_3x3;

/*
** dz of the warp's 16 channels and 64 pixels, its sums, and dx, of which AHEAD times 8 pixels are on their way: as many
** as leave room for two blocks a multiprocessor.
*/
template <typename T, int OUTPUTS, bool WHOLE>
__device__ static inline void multiply_dz(channel_3x3 *channels, const uint32_t *du, const T *raw,
                                          const uint32_t *weights, const place_3x3 *places,
                                          const backward_3x3<T, WHOLE> &f,
                                          const cuda_lines_tile &own, int first) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  enum { MOST = OUTPUTS == 32 ? 2 : 4, AHEAD = WHOLE ? MOST : 1 };
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  const int row = 16 * (warp % 3), pixel = 64 * (warp / 3);
  const int x_pitch = S::X_PITCH * cuda_packed<T>::PER_WORD;
  float dz[TILES_N][4];
  int columns[TILES_N];
  CUDA_UNROLL
  for (int n = 0; n < TILES_N; n++) {
    columns[n] = places[pixel + 8 * n + g].x;
    CUDA_UNROLL
    for (int i = 0; i < 4; i++) dz[n][i] = 0;
  }
  for (int tap = 0; tap < TAPS; tap++) {
    const int shift = shift_of(f.lines, tap);
    CUDA_UNROLL
    for (int at = 0; at < S::WORDS; at += 8) {
      uint32_t a[4];
      cuda_load_a(a, weights + row * S::WEIGHT_PITCH, S::WEIGHT_PITCH, tap * S::WORDS + at);
      CUDA_UNROLL
      for (int n = 0; n < TILES_N; n++) {
        uint32_t b[2];
        cuda_load_b(b, du + (columns[n] + shift) * S::PITCH, at);
        cuda_mma(dz[n], a, b, T());
      }
    }
  }
  const int n_pixels = cuda_lines_pixels(f.lines, own), plane = f.lines.lines * f.lines.width;
  /* In the first of a lane's two channels; the other one is `further` on. */
  T *const begin = f.dx + own.image * f.dx_planes.stride_n + own.top * f.lines.width +
                   (first + row + g) * f.dx_planes.stride_c;
  const int64_t further = 8 * f.dx_planes.stride_c;
  CUDA_UNROLL
  for (int n = 0; n < TILES_N; n += AHEAD) {
    typename cuda_two<T>::loaded before[AHEAD][2] = {};
    T *to[AHEAD], *next[AHEAD]; /* a lane's two pixels, which seldom lie apart */
    CUDA_UNROLL
    for (int a = 0; a < AHEAD; a++) {
      const int p = pixel + 8 * (n + a) + 2 * t, image = places[p].y;
      to[a] = begin + image * f.dx_planes.stride_n + p - image * plane;
      next[a] = to[a] + (places[p + 1].y == image ? 1 : f.dx_planes.stride_n - plane + 1);
      CUDA_UNROLL
      for (int h = 0; h < 2 && f.accumulate; h++)
        before[a][h] = cuda_load_two<WHOLE>(to[a] + h * further, next[a] + h * further,
                                            channels[h].is_own ? n_pixels - p : 0);
    }
    CUDA_UNROLL
    for (int i = 0; i < 2 * AHEAD; i++) {
      const int a = i / 2, h = i % 2, p = pixel + 8 * (n + a) + 2 * t;
      channel_3x3 *const channel = &channels[h];
      const int rest = channel->is_own ? n_pixels - p : 0;
      const T *const x = raw + (row + 8 * h + g) * x_pitch + p;
      float low = 0, high = 0, dx_low, dx_high;
      if (rest > 0) cuda_unpack_two(cuda_load_two<true>(x, x + 1, 2), &low, &high, T());
      const float dz_low = rest > 0 && cuda_norm_apply(channel->scale, low, channel->shift) > 0
                               ? dz[n + a][2 * h]
                               : 0.f;
      const float dz_high = rest > 1 && cuda_norm_apply(channel->scale, high, channel->shift) > 0
                                ? dz[n + a][2 * h + 1]
                                : 0.f;
      channel->sum += dz_low + dz_high;
      channel->product += dz_low * (low - channel->mean) + dz_high * (high - channel->mean);
      cuda_unpack_two(before[a][h], &dx_low, &dx_high, T());
      dx_low += channel->scale * dz_low;
      dx_high += channel->scale * dz_high;
      cuda_store_two<WHOLE>(to[a] + h * further, next[a] + h * further, &dx_low, &dx_high, rest);
    }
  }
}

/* Of x, whose word begins at pixel p: z where a pixel is, else 0. */
template <typename T>
__device__ static inline uint32_t activated(uint32_t word, const channel_3x3 &channel, int p,
                                            int n_pixels, bool is_plain) {
  float z[2];
  cuda_unpack_word(z, word, T());
  CUDA_UNROLL
  for (int j = 0; j < cuda_packed<T>::PER_WORD; j++) {
    if (!is_plain) z[j] = cuda_norm_rectify(cuda_norm_apply(channel.scale, z[j], channel.shift));
    if (p + j >= n_pixels) z[j] = 0;
  }
  return cuda_factor_word(z, T());
}

/* Adds the tile's share of dW: rows of channels, columns of outputs, pixels are the depth. */
template <typename T, int OUTPUTS>
__device__ static inline void multiply_dw(float (*dw)[OUTPUTS / 16][4], const uint32_t *du,
                                          const uint32_t *raw, const place_3x3 *places,
                                          const channel_3x3 *channels, const cuda_lines &lines,
                                          int n_pixels, bool is_plain) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  const int warp = (int)threadIdx.x / CUDA_WARP, t = cuda_lane() % 4;
  const int per_word = cuda_packed<T>::PER_WORD;
  for (int k = 0; k < n_pixels; k += cuda_factor<T>::DEPTH) {
    uint32_t a[4];
    cuda_load_a(a, raw + 16 * (warp % 3) * S::X_PITCH, S::X_PITCH, k / per_word);
    CUDA_UNROLL
    for (int i = 0; i < 4; i++)
      a[i] =
          activated<T>(a[i], channels[i % 2], k + (t + i / 2 * 4) * per_word, n_pixels, is_plain);
    const int rows[2] = {places[k + cuda_depth_of(0, T())].x, places[k + cuda_depth_of(1, T())].x};
    CUDA_UNROLL
    for (int tap = 0; tap < TAPS; tap++) {
      const int shift = shift_of(lines, tap);
      CUDA_UNROLL
      for (int n = 0; n < S::TILES_DW; n++) {
        uint32_t b[2];
        cuda_load_b_rows(b, du + (rows[0] + shift) * S::PITCH, du + (rows[1] + shift) * S::PITCH,
                         8 * (warp / 3 * S::TILES_DW + n), T());
        cuda_mma(dw[tap][n], a, b, T());
      }
    }
  }
}

template <typename T, int OUTPUTS, bool WHOLE>
__device__ static inline void store_dw(const backward_3x3<T, WHOLE> &f,
                                       float (*dw)[OUTPUTS / 16][4], int first) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  float *const parts = f.weight_parts + (int64_t)blockIdx.x * f.n_outputs * f.n_channels * TAPS;
  CUDA_UNROLL
  for (int tap = 0; tap < TAPS; tap++) {
    CUDA_UNROLL
    for (int j = 0; j < 4 * S::TILES_DW; j++) {
      const int c = first + 16 * (warp % 3) + g + 8 * (j % 4 / 2);
      const int k = 8 * (warp / 3 * S::TILES_DW + j / 4) + 2 * t + j % 2;
      if (k < f.n_outputs && c < f.n_channels)
        parts[((int64_t)k * f.n_channels + c) * TAPS + tap] = dw[tap][j / 4][j % 4];
    }
  }
}

template <typename T, int OUTPUTS, bool WHOLE>
__global__ void __launch_bounds__(THREADS)
    norm_relu_conv_3x3_backward_kernel(const backward_3x3<T, WHOLE> f) {
  typedef sizes_back_3x3<T, OUTPUTS> S;
  CUDA_SHARED_DYNAMIC(float4, terms);
  place_3x3 *const places = (place_3x3 *)(terms + OUTPUTS);
  uint32_t *const du = (uint32_t *)(places + PIXELS);
  uint32_t *const raw = du + cuda_lines_rows(f.lines) * S::PITCH;
  uint32_t *const weights = raw + CHANNELS * S::X_PITCH;
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  const int first = (int)blockIdx.y * CHANNELS;
  if (f.dx) load_weight<T, OUTPUTS>(weights, f, first);
  load_terms<T, OUTPUTS>(terms, f);
  for (int p = (int)threadIdx.x; p < PIXELS; p += THREADS) {
    const cuda_lines_pixel pixel = cuda_lines_pixel_of(f.lines, p);
    const place_3x3 place = {pixel.row, pixel.image};
    places[p] = place;
  }
  channel_3x3 channels[2];
  CUDA_UNROLL
  for (int h = 0; h < 2; h++) begin_channel(&channels[h], f, first + 16 * (warp % 3) + 8 * h + g);
  float dw[TAPS][S::TILES_DW][4];
  CUDA_UNROLL
  for (int tap = 0; tap < TAPS; tap++) {
    CUDA_UNROLL
    for (int i = 0; i < 4 * S::TILES_DW; i++) dw[tap][i / 4][i % 4] = 0;
  }
  const source_back_3x3<T, WHOLE> source = {f, terms};

  for (int tile = (int)blockIdx.x; tile < f.lines.n_tiles; tile += (int)gridDim.x) {
    const cuda_lines_tile own = cuda_lines_tile_of(f.lines, tile);
    __syncthreads(); /* the tile before has been read */
    const int n_pixels = cuda_lines_pixels(f.lines, own);
    cuda_lines_clear(du, S::PITCH, f.lines);
    clear_behind<T>(raw, S::X_PITCH, n_pixels);
    __syncthreads();
    load_x((T *)raw, S::X_PITCH * cuda_packed<T>::PER_WORD, f, own, first);
    cuda_lines_fill<T>(du, S::PITCH, S::WORDS, f.lines, own, 0, source);
    __syncthreads();
    if (f.dx) multiply_dz<T, OUTPUTS>(channels, du, (const T *)raw, weights, places, f, own, first);
    if (f.weight_parts)
      multiply_dw<T, OUTPUTS>(dw, du, raw, places, channels, f.lines, n_pixels, !f.norm.data);
  }

  if (f.weight_parts) store_dw<T, OUTPUTS>(f, dw, first);
  if (!f.dx) return;
  CUDA_UNROLL
  for (int h = 0; h < 2; h++) {
    for (int d = 1; d < 4; d *= 2) {
      channels[h].sum += __shfl_xor_sync(0xFFFFFFFFu, channels[h].sum, d);
      channels[h].product += __shfl_xor_sync(0xFFFFFFFFu, channels[h].product, d);
    }
    if (t != 0 || !channels[h].is_own) continue;
    float *const row = f.sum_parts + (2 * (int64_t)blockIdx.x + warp / 3) * 2 * f.n_channels;
    const int c = first + 16 * (warp % 3) + 8 * h + g;
    row[c] = channels[h].sum;
    row[f.n_channels + c] = channels[h].product;
  }
}

/* ---- Its launch ---- */

static cuda_parts parts_of(const dn_tensor *dy, const dn_tensor *x, bool has_dweight,
                           bool has_sums) {
  return cuda_parts_of(x, CHANNELS, cuda_lines_of(x).n_tiles,
                       has_dweight ? dy->size[1] * x->size[1] * TAPS : 0, has_sums);
}

/* CUDA_FOR_OUTPUTS(n, OUTPUTS, statements): n rounded up to 16, 32 or 48. */
#define CUDA_FOR_OUTPUTS(n, OUTPUTS, ...) \
  switch (((n) + 15) / 16) {              \
    case 1: {                             \
      enum { OUTPUTS = 16 };              \
      __VA_ARGS__;                        \
    } break;                              \
    case 2: {                             \
      enum { OUTPUTS = 32 };              \
      __VA_ARGS__;                        \
    } break;                              \
    default: {                            \
      enum { OUTPUTS = 48 };              \
      __VA_ARGS__;                        \
    } break;                              \
  }

/* Whether gradients of x and W are made of dy by these kernels. */
static bool fits(const dn_tensor *dy, const dn_tensor *x) {
  const int64_t n_outputs = dy->size[1];
  if (n_outputs > 48 || !cuda_fused_computes(x->dtype) || !cuda_fused_counts(x) ||
      !cuda_lines_fit(x))
    return false;
  const cuda_lines lines = cuda_lines_of(x);
  int64_t n_shared = 0;
  CUDA_FOR_FUSED(x->dtype, T,
                 CUDA_FOR_OUTPUTS(n_outputs, OUTPUTS, n_shared = shared_bytes<T, OUTPUTS>(lines)));
  return cuda_fused_has_room(n_shared);
}

bool cuda_norm_relu_conv_3x3_backward_fits(const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *weight) {
  return weight->size[2] == 3 && fits(dy, x);
}

int64_t cuda_norm_relu_conv_3x3_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                                 const dn_tensor *x) {
  return parts_of(dy, x, dweight != NULL, true).n_bytes;
}

bool cuda_conv2d_3x3_backward_weight_fits(const dn_tensor *dy, const dn_tensor *x,
                                          const dn_tensor *dweight, const dn_conv2d &options) {
  return cuda_conv2d_is_plain_3x3(dweight, options) && x->size[1] <= CHANNELS && fits(dy, x);
}

int64_t cuda_conv2d_3x3_backward_weight_scratch(const dn_tensor *dy, const dn_tensor *x) {
  return parts_of(dy, x, true, false).n_bytes;
}

template <typename T, int OUTPUTS, bool WHOLE>
static dn_status launch(const backward_3x3<T, WHOLE> &f, const cuda_parts &parts) {
  const int64_t n_shared = shared_bytes<T, OUTPUTS>(f.lines);
  CUDA_LAUNCH_SHARED((norm_relu_conv_3x3_backward_kernel<T, OUTPUTS, WHOLE>),
                     dim3((unsigned)parts.n_blocks, (unsigned)parts.n_slices), THREADS, n_shared,
                     cuda_stream(), f);
  return DN_OK;
}

template <typename T, bool WHOLE>
static dn_status run(const cuda_parts &parts, dn_tensor *dx, const dn_tensor *dy,
                     const dn_tensor *y, const dn_tensor *deferred, const dn_tensor *x,
                     const dn_tensor *weight, const cuda_norm_gradient *gradient, void *scratch) {
  backward_3x3<T, WHOLE> f;
  memset((void *)&f, 0, sizeof f);
  f.dy = (const T *)dn_tensor_data(dy);
  f.x = (const T *)dn_tensor_data(x);
  if (dx) {
    f.dx = (T *)dn_tensor_data(dx);
    f.weight = (const float *)dn_tensor_data(weight);
    f.norm = cuda_table_of<float>(gradient->norm);
    f.dx_planes = cuda_planes_of(dx);
    f.accumulate = gradient->accumulate;
  }
  f.dy_planes = cuda_planes_of(dy);
  f.x_planes = cuda_planes_of(x);
  if (deferred) {
    f.y = (const T *)dn_tensor_data(y);
    f.y_planes = cuda_planes_of(y);
    f.deferred = cuda_table_of<float>(deferred);
  }
  f.lines = cuda_lines_of(x);
  f.weight_parts = cuda_parts_weights(parts, scratch);
  f.sum_parts = cuda_parts_sums(parts, scratch);
  f.n_channels = (int)x->size[1];
  f.n_outputs = (int)dy->size[1];
  CUDA_FOR_OUTPUTS(f.n_outputs, OUTPUTS, return launch<T, OUTPUTS, WHOLE>(f, parts));
}

/* dx, gradient and weight NULL together: only dweight, of a plain convolution. */
static dn_status backward(const cuda_parts &parts, dn_tensor *dx,
                          const cuda_norm_gradient *gradient, dn_tensor *dweight,
                          const dn_tensor *dy, const dn_tensor *y, const dn_tensor *deferred,
                          const dn_tensor *x, const dn_tensor *weight, double scale,
                          void *scratch) {
  const bool is_whole = (!dx || cuda_fused_is_whole(dx)) && cuda_fused_is_whole(dy) &&
                        cuda_fused_is_whole(x) && (!y || cuda_fused_is_whole(y)) &&
                        cuda_lines_begin_even(x);
  dn_status status;
  CUDA_FOR_FUSED(
      x->dtype, T,
      status = is_whole ? run<T, true>(parts, dx, dy, y, deferred, x, weight, gradient, scratch)
                        : run<T, false>(parts, dx, dy, y, deferred, x, weight, gradient, scratch));
  DN_TRY(status);
  return cuda_parts_add(parts, scratch, dweight, scale, gradient);
}

dn_status cuda_norm_relu_conv_3x3_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                           dn_tensor *dweight, const dn_tensor *dy,
                                           const dn_tensor *y, const dn_tensor *deferred,
                                           const dn_tensor *x, const dn_tensor *weight,
                                           void *scratch) {
  return backward(parts_of(dy, x, dweight != NULL, true), dx, &gradient, dweight, dy, y, deferred,
                  x, weight, gradient.scale, scratch);
}

dn_status cuda_conv2d_3x3_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, double scale, void *scratch) {
  return backward(parts_of(dy, x, true, false), NULL, NULL, dweight, dy, NULL, NULL, x, NULL, scale,
                  scratch);
}
