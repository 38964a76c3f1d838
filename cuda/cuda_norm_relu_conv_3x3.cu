/*
** y = W * z, 3x3 with a border of zeros around z = relu(scale x + shift), and mean and variance of y; without
** a norm z = x, which makes it a plain convolution, and with W turned the way back of one.
**
** A block makes 16 to 48 outputs of a tile of lines (cuda_slices.h, cuda_lines.h), its 4 warps 32
** pixels each. z lies in shared memory pixel by pixel, a row of channels each, with its border: so the
** pixels under one tap of the kernel are a fixed number of rows away, and the 3x3 is nine products of
** W's tap and shifted rows. Channels go by in chunks of 48, their weights beside them as
** [output][tap][channel].
*/
#include "cuda_norm_relu_conv_3x3.h"

#include "cuda_conv2d_3x3.h"
#include "cuda_fused.h"
#include "cuda_lines.h"
#include "cuda_mma.h"
#include "cuda_moments.h"
#include "cuda_shared_memory.h"

enum { THREADS = 128, WARPS = 4, CHUNK = 48, TAPS = 9, TILES_N = 4 };

template <typename T, bool WHOLE>
struct forward_3x3 {
  T *y;
  const T *x;
  const float *weight;    /* n_outputs, n_channels, 3, 3; turned: n_channels, n_outputs, 3, 3 */
  cuda_table<float> norm; /* data NULL: none */
  cuda_planes y_planes, x_planes;
  cuda_lines lines;
  cuda_moments_parts moments;
  int n_channels, n_outputs;
  bool is_turned; /* outputs for channels, and the kernel by half a turn */
};

template <typename T>
struct sizes_3x3 {
  enum {
    WORDS = CHUNK / cuda_packed<T>::PER_WORD, /* of a chunk of channels */
    PITCH = WORDS + 4,
    WEIGHT_PITCH = TAPS * WORDS + 4
  };
};

template <typename T>
static int64_t shared_bytes(const cuda_lines &lines, int tiles_m) {
  typedef sizes_3x3<T> S;
  return 4 * ((int64_t)cuda_lines_rows(lines) * S::PITCH + 16 * tiles_m * S::WEIGHT_PITCH);
}

/*
** W of the block's outputs and of n_words words of the chunk's channels, 0 beyond W. A thread takes a word under
** all taps, which lie side by side in W, in the other order where it is turned.
*/
template <typename T, bool WHOLE>
__device__ static inline void load_weight(uint32_t *weights, const forward_3x3<T, WHOLE> &f,
                                          int slice, int n_rows, int first, int n_words) {
  typedef sizes_3x3<T> S;
  const int per_word = cuda_packed<T>::PER_WORD, step = f.is_turned ? -1 : 1;
  for (int i = (int)threadIdx.x; i < n_rows * n_words; i += THREADS) {
    const int row = i / n_words, word = i - row * n_words;
    const int k = slice * n_rows + row, c = first + word * per_word;
    float taps[TAPS][2];
    CUDA_UNROLL
    for (int j = 0; j < per_word; j++) {
      const int64_t at = f.is_turned ? ((int64_t)(c + j) * f.n_outputs + k) * TAPS + TAPS - 1
                                     : ((int64_t)k * f.n_channels + c + j) * TAPS;
      const bool is_there = k < f.n_outputs && c + j < f.n_channels;
      CUDA_UNROLL
      for (int tap = 0; tap < TAPS; tap++)
        taps[tap][j] = is_there ? f.weight[at + tap * step] : 0.f;
    }
    CUDA_UNROLL
    for (int tap = 0; tap < TAPS; tap++)
      weights[row * S::WEIGHT_PITCH + tap * S::WORDS + word] = cuda_factor_word(taps[tap], T());
  }
}

/* z, of channels that x has; 0 of others. */
template <typename T, bool WHOLE>
struct source_3x3 {
  struct loaded {
    uint4 words;
    float scale, shift;
  };
  const forward_3x3<T, WHOLE> &f;
  __device__ void load(loaded *raw, int image, int c, int at) const {
    const bool is_own = c < f.n_channels;
    const T *const from = f.x + image * f.x_planes.stride_n + c * f.x_planes.stride_c + at;
    raw->words = cuda_load16_part<WHOLE>(from, is_own ? (int)f.x_planes.size - at : 0);
    const bool has_norm = is_own && f.norm.data;
    raw->scale = has_norm ? f.norm.data[DN_NORM_SCALE * f.norm.row + c] : 0.f;
    raw->shift = has_norm ? f.norm.data[DN_NORM_SHIFT * f.norm.row + c] : 0.f;
  }
  __device__ void numbers(float *v, const loaded &raw) const {
    cuda_unpack<T>(v, raw.words);
    if (!f.norm.data) return;
    CUDA_UNROLL
    for (int e = 0; e < cuda_packed<T>::VECTOR; e++)
      v[e] = cuda_norm_rectify(cuda_norm_apply(raw.scale, v[e], raw.shift));
  }
};

/* Steps of products for what is left of the channels: of a chunk, at most. */
template <typename T>
__device__ static inline int steps_of(int rest) {
  return ((rest < CHUNK ? rest : CHUNK) + cuda_factor<T>::DEPTH - 1) / cuda_factor<T>::DEPTH;
}

/* Adds the chunk's products; rows[n] is where the lane's column of product n is in z. */
template <typename T, int TILES_M>
__device__ static inline void multiply_chunk(float (*sums)[TILES_N][4], const uint32_t *z,
                                             const uint32_t *weights, const int *rows,
                                             int row_of_line, int n_steps) {
  typedef sizes_3x3<T> S;
  for (int tap = 0; tap < TAPS; tap++) {
    const int shift = (tap / 3 - 1) * row_of_line + tap % 3 - 1;
    for (int step = 0; step < n_steps; step++) {
      uint32_t a[TILES_M][4];
      CUDA_UNROLL
      for (int m = 0; m < TILES_M; m++)
        cuda_load_a(a[m], weights + 16 * m * S::WEIGHT_PITCH, S::WEIGHT_PITCH,
                    tap * S::WORDS + 8 * step);
      CUDA_UNROLL
      for (int n = 0; n < TILES_N; n++) {
        uint32_t b[2];
        cuda_load_b(b, z + (rows[n] + shift) * S::PITCH, 8 * step);
        CUDA_UNROLL
        for (int m = 0; m < TILES_M; m++) cuda_mma(sums[m][n], a[m], b, T());
      }
    }
  }
}

/* As of the 1x1: stores a warp's results and leaves their moments in shared[output][warp]. */
template <typename T, int TILES_M, bool WHOLE>
__device__ static inline void store_results(cuda_moments *shared, const forward_3x3<T, WHOLE> &f,
                                            const cuda_lines_tile &own, int slice,
                                            float (*sums)[TILES_N][4]) {
  const int warp = (int)threadIdx.x / CUDA_WARP, g = cuda_lane() / 4, t = cuda_lane() % 4;
  const int n_pixels = cuda_lines_pixels(f.lines, own);
  T *to[TILES_N], *next[TILES_N]; /* of a lane's two pixels, which seldom lie apart */
  int there[TILES_N];
  float count = 0;
  CUDA_UNROLL
  for (int n = 0; n < TILES_N; n++) {
    const int p = 32 * warp + 8 * n + 2 * t, rest = n_pixels - p;
    to[n] = f.y + cuda_lines_offset(f.lines, own, cuda_lines_pixel_of(f.lines, p), f.y_planes);
    next[n] =
        f.y + cuda_lines_offset(f.lines, own, cuda_lines_pixel_of(f.lines, p + 1), f.y_planes);
    there[n] = rest < 0 ? 0 : rest < 2 ? rest : 2;
    count += (float)there[n];
  }
  for (int d = 1; d < 4; d *= 2) count += __shfl_xor_sync(0xFFFFFFFFu, count, d);
  CUDA_UNROLL
  for (int half = 0; half < 2 * TILES_M; half++) { /* 8 outputs */
    const int m = half / 2, h = half % 2, output = 8 * half + g;
    const int k = slice * TILES_M * 16 + output;
    const int64_t channel = k * f.y_planes.stride_c;
    float center = 0, sum = 0, squares = 0;
    CUDA_UNROLL
    for (int n = 0; n < TILES_N; n++) {
      float *const pair = &sums[m][n][2 * h];
      cuda_store_two<WHOLE>(to[n] + channel, next[n] + channel, &pair[0], &pair[1],
                            k < f.n_outputs ? there[n] : 0);
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
    const cuda_moments part = {center, sum, squares, count};
    if (t == 0) shared[output * WARPS + warp] = part;
  }
}

template <typename T, int TILES_M, bool WHOLE>
__global__ void __launch_bounds__(THREADS, 3)
    norm_relu_conv_3x3_forward_kernel(const forward_3x3<T, WHOLE> f) {
  typedef sizes_3x3<T> S;
  CUDA_SHARED_DYNAMIC(uint32_t, z);
  CUDA_SHARED(unsigned, ticket, 1);
  uint32_t *const weights = z + cuda_lines_rows(f.lines) * S::PITCH;
  const cuda_slice_place place = cuda_slice_place_of(f.n_outputs, 16 * TILES_M);
  const cuda_lines_tile own = cuda_lines_tile_of(f.lines, place.tile);
  const source_3x3<T, WHOLE> source = {f};
  cuda_lines_clear(z, S::PITCH, f.lines);
  float sums[TILES_M][TILES_N][4];
  CUDA_UNROLL
  for (int m = 0; m < TILES_M; m++) {
    CUDA_UNROLL
    for (int i = 0; i < 4 * TILES_N; i++) sums[m][i / 4][i % 4] = 0;
  }
  int rows[TILES_N];
  CUDA_UNROLL
  for (int n = 0; n < TILES_N; n++)
    rows[n] =
        cuda_lines_pixel_of(f.lines, 32 * ((int)threadIdx.x / CUDA_WARP) + 8 * n + cuda_lane() / 4)
            .row;
  for (int first = 0; first < f.n_channels; first += CHUNK) {
    const int n_steps = steps_of<T>(f.n_channels - first);
    __syncthreads(); /* the zeros are there; the chunk before has been read */
    load_weight(weights, f, place.slice, 16 * TILES_M, first, 8 * n_steps);
    cuda_lines_fill<T>(z, S::PITCH, 8 * n_steps, f.lines, own, first, source);
    __syncthreads();
    multiply_chunk<T, TILES_M>(sums, z, weights, rows, f.lines.row_of_line, n_steps);
  }
  __syncthreads();

  cuda_moments *const warps = (cuda_moments *)z;
  store_results<T, TILES_M>(warps, f, own, place.slice, sums);
  cuda_moments_finish_warps(f.moments, place, warps, WARPS, 16 * TILES_M, f.n_outputs, ticket);
}

/* ---- Its launch ---- */

/* Products one above the other, 16 outputs each, that a block makes: up to 3; 0 where none has room. */
template <typename T>
static int tiles_of(const cuda_lines &lines, int64_t n_outputs) {
  int tiles = n_outputs > 32 ? 3 : n_outputs > 16 ? 2 : 1;
  while (tiles > 0 && shared_bytes<T>(lines, tiles) > CUDA_FUSED_SHARED) tiles--;
  return tiles;
}

/* Whether y is made of x by these kernels. */
static bool fits(const dn_tensor *y, const dn_tensor *x) {
  if (!cuda_fused_computes(x->dtype) || !cuda_fused_counts(x) || !cuda_lines_fit(x)) return false;
  const cuda_lines lines = cuda_lines_of(x);
  const int64_t n_slices = (y->size[1] + 15) / 16;
  if (n_slices * (1 + cuda_moments_groups(lines.n_tiles)) > CUDA_TICKETS) return false;
  CUDA_FOR_FUSED(x->dtype, T, return tiles_of<T>(lines, y->size[1]) > 0);
}

bool cuda_norm_relu_conv_3x3_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight) {
  return weight->size[2] == 3 && fits(y, x);
}

bool cuda_conv2d_3x3_fits(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                          const dn_conv2d &options) {
  return cuda_conv2d_is_plain_3x3(weight, options) && x->size[1] <= CHUNK && y->size[1] <= CHUNK &&
         fits(y, x);
}

int64_t cuda_norm_relu_conv_3x3_scratch(const dn_tensor *y, const dn_tensor *stats) {
  return stats ? cuda_moments_bytes(y->size[1], cuda_lines_of(y).n_tiles) : 0;
}

template <typename T, int TILES_M, bool WHOLE>
static dn_status launch(const forward_3x3<T, WHOLE> &f) {
  const int64_t n_shared = shared_bytes<T>(f.lines, TILES_M);
  const int64_t n_blocks = (int64_t)f.lines.n_tiles * cuda_slices(f.n_outputs, 16 * TILES_M);
  CUDA_LAUNCH_SHARED((norm_relu_conv_3x3_forward_kernel<T, TILES_M, WHOLE>), (unsigned)n_blocks,
                     THREADS, n_shared, cuda_stream(), f);
  return DN_OK;
}

template <typename T, bool WHOLE>
static dn_status launch_tiles(const forward_3x3<T, WHOLE> &f) {
  switch (tiles_of<T>(f.lines, f.n_outputs)) {
    case 1:
      return launch<T, 1, WHOLE>(f);
    case 2:
      return launch<T, 2, WHOLE>(f);
    default:
      return launch<T, 3, WHOLE>(f);
  }
}

template <typename T, bool WHOLE>
static dn_status run(dn_tensor *y, dn_tensor *stats, const dn_tensor *x, const dn_tensor *norm,
                     const dn_tensor *weight, bool is_turned, const cuda_norm_request &next,
                     void *scratch) {
  const cuda_table<float> none = {NULL, 0};
  forward_3x3<T, WHOLE> f;
  f.y = (T *)dn_tensor_data(y);
  f.x = (const T *)dn_tensor_data(x);
  f.weight = (const float *)dn_tensor_data(weight);
  f.norm = norm ? cuda_table_of<float>(norm) : none;
  f.y_planes = cuda_planes_of(y);
  f.x_planes = cuda_planes_of(x);
  f.lines = cuda_lines_of(x);
  f.moments = cuda_moments_parts_of(stats, y->size[1], f.lines.n_tiles, scratch);
  f.n_channels = (int)x->size[1];
  f.n_outputs = (int)y->size[1];
  f.is_turned = is_turned;
  const int outputs = 16 * tiles_of<T>(f.lines, f.n_outputs);
  const bool is_made =
      cuda_moments_take(&f.moments, next, stats, cuda_slices(f.n_outputs, outputs));
  DN_TRY((launch_tiles<T, WHOLE>(f)));
  return is_made ? DN_OK : cuda_norm_table_make(next);
}

static dn_status forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x, const dn_tensor *norm,
                         const dn_tensor *weight, bool is_turned, const cuda_norm_request &next,
                         void *scratch) {
  const bool is_whole =
      cuda_fused_is_whole(y) && cuda_fused_is_whole(x) && cuda_lines_begin_even(x);
  CUDA_FOR_FUSED(x->dtype, T,
                 return is_whole
                            ? run<T, true>(y, stats, x, norm, weight, is_turned, next, scratch)
                            : run<T, false>(y, stats, x, norm, weight, is_turned, next, scratch));
}

dn_status cuda_norm_relu_conv_3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                          const dn_tensor *norm, const dn_tensor *weight,
                                          const cuda_norm_request &next, void *scratch) {
  return forward(y, stats, x, norm, weight, false, next, scratch);
}

static const cuda_norm_request NO_NORM = {};

dn_status cuda_conv2d_3x3_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight) {
  return forward(y, NULL, x, NULL, weight, false, NO_NORM, NULL);
}

dn_status cuda_conv2d_3x3_backward_data(dn_tensor *dx, const dn_tensor *dy,
                                        const dn_tensor *weight) {
  return forward(dx, NULL, dy, NULL, weight, true, NO_NORM, NULL);
}
