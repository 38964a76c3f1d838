/*
** 3x3 with a border of one zero: nine shifted products over a bordered copy of the rectified input.
** In a bordered image, lines are width + 2 apart, so that a tap is one constant distance for every
** pixel, and a run of output positions crosses line ends without care: the two positions between
** lines are computed and dropped. A thread takes bands of lines, sized to stay in its cache. The
** weight gradient sums over pixels, so there the bordered copy is transposed: channels are
** neighbours and serve as vectors, and no position is wasted.
*/
#include <string.h>

#include "cpu_norm_relu_conv.h"
#include "cpu_parallel.h"
#include "cpu_scratch.h"

/* Measured: higher bands waste less on borders, until they leave the second-level cache. */
enum {
  FORWARD_FLOATS = 96 * 1024,   /* of one band's bordered input */
  BACKWARD_FLOATS = 160 * 1024, /* of its bordered input, its gradient and the way back */
  OUTER_PIECE = 256             /* pixels of the weight gradient's inner products */
};

/* How the images are cut into bands, and the geometry of a bordered one. */
typedef struct image_cut {
  int64_t height, width, line; /* of the image; line = width + 2 */
  int64_t lines, n_bands;      /* output lines of a band; bands of an image */
  int64_t bordered;            /* positions of one bordered band: (lines + 2) * line */
  int64_t stride;              /* between channels, with slack that stays zero */
  int64_t n_units;             /* bands of all images */
} image_cut;

static image_cut cut_of(cpu_map map, int64_t floats_per_position, int64_t budget) {
  image_cut made = {.height = map.height, .width = map.width, .line = map.width + 2};
  int64_t most = budget / (floats_per_position * made.line) - 2;
  if (most < 1) most = 1;
  made.n_bands = (made.height + most - 1) / most;
  made.lines = (made.height + made.n_bands - 1) / made.n_bands;
  made.n_bands = (made.height + made.lines - 1) / made.lines;
  made.bordered = (made.lines + 2) * made.line;
  made.n_units = map.planes.n * made.n_bands;
  /* An odd number of 64-byte lines keeps channels off the same cache sets. */
  made.stride = (made.bordered + CPU_TILE_SLACK + 31) / 32 * 32 + 16;
  return made;
}

/* One unit: `lines` output lines of image n, from line `first` on. */
typedef struct image_unit {
  int64_t n, first, lines;
} image_unit;

static image_unit unit_of(const image_cut *cut, int64_t index) {
  const int64_t first = index % cut->n_bands * cut->lines, left = cut->height - first;
  return (image_unit){index / cut->n_bands, first, left < cut->lines ? left : cut->lines};
}

/* What a unit reads of a map, but for its border lines. */
static cpu_far far_of(const image_cut *cut, const image_unit *unit, cpu_map map) {
  return cpu_map_far(map, unit->n, unit->first * cut->width, unit->lines * cut->width);
}

/* Lines of the image that a bordered band holds: [*from, *to), the first at bordered line *at. */
static void lines_held(const image_cut *cut, const image_unit *unit, int64_t *from, int64_t *to,
                       int64_t *at) {
  *from = unit->first > 0 ? unit->first - 1 : 0;
  *to = unit->first + unit->lines < cut->height ? unit->first + unit->lines + 1 : cut->height;
  *at = *from - (unit->first - 1);
}

/*
** Border lines of a band that lie outside the image, or below a short last band, are zero. Rows are
** n_rows times cut->line values of `size` floats each, `stride` apart.
*/
static void clear_outside(const image_cut *cut, const image_unit *unit, float *rows, int64_t n_rows,
                          int64_t stride, int64_t size) {
  if (cut->n_bands == 1) return; /* never written: zero since the buffer was cleared */
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  const int64_t end = at + (to - from), line = cut->line * size;
  for (int64_t c = 0; c < n_rows; c++) {
    float *row = rows + c * stride;
    memset(row, 0, (size_t)(at * line) * sizeof *row);
    memset(row + end * line, 0, (size_t)((cut->lines + 2 - end) * line) * sizeof *row);
  }
}

/* Offset of tap (r, s) of channel c in a bordered buffer, from the output position. */
static void tap_offsets(const image_cut *cut, int64_t n_channels, bool mirrored, int32_t *offset) {
  for (int64_t c = 0; c < n_channels; c++)
    for (int64_t r = 0; r < 3; r++)
      for (int64_t s = 0; s < 3; s++)
        *offset++ = (int32_t)(c * cut->stride + (mirrored ? 2 - r : r) * cut->line +
                              (mirrored ? 2 - s : s));
}

/* For short lines, where a call of memmove costs more than the copy. `to` may lie before `from`. */
static void copy_line(float *to, const float *from, int64_t n) {
  enum { SOME = 8 };
  int64_t i = 0;
  for (; i + SOME <= n; i += SOME) {
    float some[SOME];
    memcpy(some, from + i, sizeof some);
    memcpy(to + i, some, sizeof some);
  }
  for (; i < n; i++) to[i] = from[i];
}

/* Lines that lie `line` apart become adjacent; out may be where the first line is. */
static void close_gaps(float *out, const float *flat, int64_t n_lines, int64_t width,
                       int64_t line) {
  for (int64_t l = 0; l < n_lines; l++) copy_line(out + l * width, flat + l * line, width);
}

dn_status cpu_norm_relu_conv3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), out = cpu_map_of(y);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int64_t n_in = in.planes.c, n_out = out.planes.c, depth = 9 * n_in;
  const int n_threads = cpu_team(in.planes.n * in.planes.size * n_in);
  const image_cut cut = cut_of(in, n_in, FORWARD_FLOATS);

  const int64_t flat_stride = cpu_whole_lines(cut.lines * cut.line) + 16;
  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_out, depth));
  const int64_t n_rows = cpu_whole_lines(n_in * cut.stride + CPU_TILE_SLACK);
  const int64_t n_own = n_rows + cpu_whole_lines(n_out * flat_stride);
  const int n_shares = cpu_shares(n_threads);
  const int64_t n_moments = stats ? n_shares * n_out * (int64_t)sizeof(cpu_moments) : 0;
  const int64_t n_counts = n_shares * (int64_t)sizeof(int64_t);
  void *scratch;
  DN_TRY(cpu_scratch(
      (n_panels + cpu_whole_lines(depth) + n_threads * n_own) * 4 + n_moments + n_counts,
      &scratch));
  float *panels = scratch, *own = panels + n_panels + cpu_whole_lines(depth);
  int32_t *offset = (int32_t *)(void *)(panels + n_panels);
  cpu_moments *moments = (cpu_moments *)(void *)(own + n_threads * n_own);
  int64_t *n_values = (int64_t *)(void *)((char *)moments + n_moments);
  memset(moments, 0, (size_t)n_moments);
  for (int64_t k = 0; k < depth; k++) offset[k] = (int32_t)k;
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_out, depth, depth, offset);
  tap_offsets(&cut, n_in, false, offset);

  for (int t = 0; t < n_threads; t++) memset(own + t * n_own, 0, (size_t)n_rows * sizeof *own);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(n_threads)
  for (int s; (s = cpu_next(&queue)) < n_shares;) {
    float *rows = own + cpu_thread() * n_own, *flat = rows + n_rows;
    int64_t index, end;
    cpu_share(cut.n_units, n_shares, s, &index, &end);
    n_values[s] = 0;
    for (; index < end; index++) {
      const image_unit unit = unit_of(&cut, index);
      const image_unit next = unit_of(&cut, index + 1 < end ? index + 1 : index);
      const int64_t n_pixels = unit.lines * cut.width;
      int64_t from, to, at;
      lines_held(&cut, &unit, &from, &to, &at);
      clear_outside(&cut, &unit, rows, n_in, cut.stride, 1);
      tiles->norm_relu_lines(rows + at * cut.line, cut.stride,
                             cpu_map_at(in, unit.n, 0) + from * cut.width, in.planes.stride_c, n_in,
                             to - from, cut.width, vectors.scale, vectors.shift);
      cpu_ahead soon = cpu_ahead_of(far_of(&cut, &next, in), (cpu_far){0}, (cpu_far){0});
      tiles->product(flat, flat_stride, n_out, panels, depth, rows, offset, CPU_BLOCK,
                     unit.lines * cut.line - 2, &soon);
      for (int64_t k = 0; k < n_out; k++) {
        float *to_row = cpu_map_at(out, unit.n, k) + unit.first * cut.width;
        close_gaps(to_row, flat + k * flat_stride, unit.lines, cut.width, cut.line);
        if (stats) tiles->moments(&moments[s * n_out + k], to_row, n_pixels, NULL);
      }
      n_values[s] += n_pixels;
    }
  }
  if (stats) cpu_moments_write(stats, moments, n_values, n_shares);
  return DN_OK;
}

/* Rows of pixels become bordered lines, from bordered line `at` on. */
static void open_gaps(const image_cut *cut, float *bordered, const float *rows, int64_t stride,
                      int64_t n_rows, int64_t n_lines, int64_t at) {
  for (int64_t k = 0; k < n_rows; k++)
    for (int64_t l = 0; l < n_lines; l++)
      copy_line(bordered + k * cut->stride + (at + l) * cut->line + 1,
                rows + k * stride + l * cut->width, cut->width);
}

dn_status cpu_norm_relu_conv3x3_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), din = cpu_map_of(dx);
  const cpu_gradient gradient = cpu_gradient_of(dy, y, deferred);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int64_t n_in = in.planes.c, n_out = gradient.dy.planes.c, depth = 9 * n_out;
  const int n_threads = cpu_team(in.planes.n * in.planes.size * n_in);
  const image_cut cut = cut_of(in, 2 * n_in + 2 * n_out, BACKWARD_FLOATS);
  const int64_t n_columns = cpu_whole_lines(n_in); /* of the transposed input */
  const int64_t n_held = (cut.lines + 2) * cut.width;
  const cpu_layout d_layout = {.row = cpu_whole_lines(n_held + CPU_BLOCK), .block = CPU_BLOCK};

  const int64_t flat_stride = cpu_whole_lines(cut.lines * cut.line) + 16;
  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_in, depth));
  const int64_t n_offsets = cpu_whole_lines(depth) + cpu_whole_lines(n_held);
  const int64_t n_z = cut.bordered * n_columns;
  const int64_t n_bordered = cpu_whole_lines(n_out * cut.stride + CPU_TILE_SLACK);
  const int64_t n_rows = (n_out + CPU_OUTER_ROWS - 1) / CPU_OUTER_ROWS * CPU_OUTER_ROWS;
  const int64_t n_d = n_rows * d_layout.row, n_flat = cpu_whole_lines(n_in * flat_stride);
  const int64_t n_dw = depth * n_columns, n_sums = 2 * CPU_SUM_LANES * n_in;
  const int64_t n_own = n_z + n_bordered + n_d + n_flat, n_share = n_dw + n_sums;
  const int n_shares = cpu_shares(n_threads);
  void *scratch;
  DN_TRY(
      cpu_scratch((n_panels + n_offsets + n_threads * n_own + n_shares * n_share) * 4, &scratch));
  float *panels = scratch, *own = panels + n_panels + n_offsets;
  float *shares = own + n_threads * n_own;
  int32_t *d_taps = (int32_t *)(void *)(panels + n_panels),
          *place = d_taps + cpu_whole_lines(depth);
  for (int64_t k = 0; k < depth; k++) d_taps[k] = (int32_t)(k / 9 * 9 * n_in + k % 9);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_in, 9, depth, d_taps);
  tap_offsets(&cut, n_out, true, d_taps);
  /* Where pixels lie in the transposed input, seen from its upper left tap. */
  for (int64_t p = 0; p < n_held; p++)
    place[p] = (int32_t)((p / cut.width * cut.line + p % cut.width) * n_columns);

  for (int t = 0; t < n_threads; t++)
    memset(own + t * n_own, 0, (size_t)(n_z + n_bordered) * sizeof *own);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(n_threads)
  for (int s; (s = cpu_next(&queue)) < n_shares;) {
    float *z = own + cpu_thread() * n_own, *bordered = z + n_z, *d = bordered + n_bordered;
    float *flat = d + n_d, *dw = shares + s * n_share, *sums = dw + n_dw;
    memset(dw, 0, (size_t)n_share * sizeof *dw);
    int64_t index, end;
    cpu_share(cut.n_units, n_shares, s, &index, &end);
    for (; index < end; index++) {
      const image_unit unit = unit_of(&cut, index);
      const image_unit next = unit_of(&cut, index + 1 < end ? index + 1 : index);
      const int64_t first = unit.first * cut.width, n_pixels = unit.lines * cut.width;
      int64_t from, to, at;
      lines_held(&cut, &unit, &from, &to, &at);
      const int64_t above = from * cut.width, n_above = first - above;
      clear_outside(&cut, &unit, z, 1, 0, n_columns);
      tiles->transpose(z + (at * cut.line + 1) * n_columns, place,
                       cpu_map_at(in, unit.n, 0) + above, in.planes.stride_c, n_in,
                       (to - from) * cut.width, vectors.scale, vectors.shift);
      cpu_gradient_pack(tiles, gradient, unit.n, above, (to - from) * cut.width, d, d_layout);
      clear_outside(&cut, &unit, bordered, n_out, cut.stride, 1);
      open_gaps(&cut, bordered, d, d_layout.row, n_out, to - from, at);

      cpu_ahead soon = cpu_ahead_of(far_of(&cut, &unit, din), far_of(&cut, &next, gradient.dy),
                                    far_of(&cut, &next, gradient.y));
      for (int64_t p = 0; p < n_pixels; p += OUTER_PIECE)
        for (int64_t tap = 0; tap < 9; tap++)
          tiles->outer(dw + tap * n_out * n_columns, n_columns, n_out, n_in, d + n_above + p,
                       d_layout, z + (tap / 3 * cut.line + tap % 3) * n_columns, place + p,
                       n_pixels - p < OUTER_PIECE ? n_pixels - p : OUTER_PIECE, &soon);

      soon = cpu_ahead_of(far_of(&cut, &next, in), (cpu_far){0}, (cpu_far){0});
      tiles->product(flat, flat_stride, n_in, panels, depth, bordered, d_taps, CPU_BLOCK,
                     unit.lines * cut.line - 2, &soon);
      for (int64_t c = 0; c < n_in; c++)
        close_gaps(flat + c * flat_stride, flat + c * flat_stride, unit.lines, cut.width, cut.line);
      tiles->unmask(cpu_map_at(din, unit.n, 0) + first, din.planes.stride_c, flat, flat_stride,
                    cpu_map_at(in, unit.n, 0) + first, in.planes.stride_c, n_in, n_pixels, vectors,
                    sums, accumulate);
    }
  }
  float *total = dn_tensor_data(dweight);
  const float *dw = cpu_shares_join(shares, n_share, n_dw, n_shares);
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t k = 0; k < n_out; k++)
      for (int64_t c = 0; c < n_in; c++)
        total[(k * n_in + c) * 9 + tap] += (float)scale * dw[(tap * n_out + k) * n_columns + c];
  cpu_sums_write(dnorm, shares + n_dw, n_share, n_shares, vectors);
  return DN_OK;
}
