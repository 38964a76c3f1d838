/*
** 3x3 with a border of one zero: nine shifted products over a bordered copy of the rectified input.
** In a bordered image, lines are width + 2 apart, so that a tap is one constant distance for every
** pixel, and a run of output positions crosses line ends without care: the two positions between
** lines are computed and dropped. A thread takes a *unit*: a band of lines of one image, or several
** small images, sized to stay in its cache.
*/
#include <string.h>

#include "cpu_norm_relu_conv.h"
#include "cpu_parallel.h"
#include "cpu_scratch.h"

/* Measured: larger units waste less on borders, until they leave the second-level cache. */
enum {
  FORWARD_FLOATS = 96 * 1024,   /* of one unit's bordered input */
  BACKWARD_FLOATS = 240 * 1024, /* of its bordered input, its gradient and the way back */
  LONG_SUM = 512                /* pixels that make a weight gradient's sum long enough */
};

/* How the images are cut into units, and the geometry of a bordered plane. */
typedef struct image_cut {
  int64_t height, width, line; /* of the image; line = width + 2 */
  int64_t lines, n_bands;      /* output lines of a band; bands of an image */
  int64_t group;               /* images of a unit when n_bands is 1 */
  int64_t bordered;            /* positions of one bordered band: (lines + 2) * line */
  int64_t stride;              /* between channels: room for the group, and slack that stays zero */
  int64_t n_images, n_units;
} image_cut;

static image_cut cut_of(cpu_map map, int64_t floats_per_position, int64_t budget, int n_threads) {
  image_cut made = {.height = map.height, .width = map.width, .line = map.width + 2};
  made.n_images = map.planes.n;
  int64_t most = budget / (floats_per_position * made.line) - 2;
  if (most < 1) most = 1;
  made.n_bands = (made.height + most - 1) / most;
  made.lines = (made.height + made.n_bands - 1) / made.n_bands;
  made.n_bands = (made.height + made.lines - 1) / made.lines;
  made.bordered = (made.lines + 2) * made.line;
  made.group = 1;
  if (made.n_bands == 1) {
    const int64_t fair = made.n_images / n_threads;
    const int64_t fits = budget / (floats_per_position * made.bordered);
    made.group = (LONG_SUM + made.bordered - 1) / made.bordered;
    if (made.group > fits) made.group = fits;
    if (made.group > fair) made.group = fair;
    if (made.group < 1) made.group = 1;
  }
  made.n_units = made.n_bands > 1 ? made.n_images * made.n_bands
                                  : (made.n_images + made.group - 1) / made.group;
  /* An odd number of 64-byte lines keeps channels off the same cache sets. */
  made.stride = (made.group * made.bordered + CPU_TILE_SLACK + 31) / 32 * 32 + 16;
  return made;
}

/* One unit: images n..n+count-1 from output line `first`, `lines` of them. */
typedef struct image_unit {
  int64_t n, count, first, lines;
} image_unit;

static image_unit unit_of(const image_cut *cut, int64_t index) {
  if (cut->n_bands == 1) {
    const int64_t n = index * cut->group, left = cut->n_images - n;
    return (image_unit){n, left < cut->group ? left : cut->group, 0, cut->height};
  }
  const int64_t first = index % cut->n_bands * cut->lines, left = cut->height - first;
  return (image_unit){index / cut->n_bands, 1, first, left < cut->lines ? left : cut->lines};
}

/* Lines of the image that a bordered band holds: [*from, *to), the first at bordered line *at. */
static void lines_held(const image_cut *cut, const image_unit *unit, int64_t *from, int64_t *to,
                       int64_t *at) {
  *from = unit->first > 0 ? unit->first - 1 : 0;
  *to = unit->first + unit->lines < cut->height ? unit->first + unit->lines + 1 : cut->height;
  *at = *from - (unit->first - 1);
}

/* Border lines of a band that lie outside the image, or below a short last band, are zero. */
static void clear_outside(const image_cut *cut, const image_unit *unit, float *rows,
                          int64_t n_channels) {
  if (cut->n_bands == 1) return; /* never written: zero since the buffer was cleared */
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  const int64_t end = at + (to - from);
  for (int64_t c = 0; c < n_channels; c++) {
    float *row = rows + c * cut->stride;
    memset(row, 0, (size_t)(at * cut->line) * sizeof *row);
    memset(row + end * cut->line, 0, (size_t)((cut->lines + 2 - end) * cut->line) * sizeof *row);
  }
}

static void fill_input(const cpu_tiles *tiles, const image_cut *cut, const image_unit *unit,
                       cpu_map in, cpu_norm norm, float *rows) {
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  clear_outside(cut, unit, rows, in.planes.c);
  for (int64_t i = 0; i < unit->count; i++)
    tiles->norm_relu_lines(rows + i * cut->bordered + at * cut->line, cut->stride,
                           cpu_map_at(in, unit->n + i, 0) + from * cut->width, in.planes.stride_c,
                           in.planes.c, to - from, cut->width, norm.scale, norm.shift);
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
  const image_cut cut = cut_of(in, n_in, FORWARD_FLOATS, n_threads);

  const int64_t flat_stride = cpu_whole_lines(cut.lines * cut.line) + 16;
  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_out, depth));
  const int64_t n_rows = cpu_whole_lines(n_in * cut.stride + CPU_TILE_SLACK);
  const int64_t n_own = n_rows + cpu_whole_lines(n_out * flat_stride);
  const int64_t n_moments = stats ? n_threads * n_out * (int64_t)sizeof(cpu_moment) : 0;
  void *scratch;
  DN_TRY(cpu_scratch((n_panels + cpu_whole_lines(depth) + n_threads * n_own) * 4 + n_moments,
                     &scratch));
  float *panels = scratch, *own = panels + n_panels + cpu_whole_lines(depth);
  int32_t *offset = (int32_t *)(void *)(panels + n_panels);
  cpu_moment *moments = (cpu_moment *)(void *)(own + n_threads * n_own);
  memset(moments, 0, (size_t)n_moments);
  for (int64_t k = 0; k < depth; k++) offset[k] = (int32_t)k;
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_out, depth, depth, offset);
  tap_offsets(&cut, n_in, false, offset);

#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *rows = own + t * n_own, *flat = rows + n_rows;
    memset(rows, 0, (size_t)n_rows * sizeof *rows);
    int64_t index, end;
    cpu_share(cut.n_units, n_threads, t, &index, &end);
    for (; index < end; index++) {
      const image_unit unit = unit_of(&cut, index);
      const int64_t n_positions = unit.lines * cut.line - 2, n_pixels = unit.lines * cut.width;
      fill_input(tiles, &cut, &unit, in, vectors, rows);
      for (int64_t i = 0; i < unit.count; i++) {
        tiles->product(flat, flat_stride, n_out, panels, depth, rows + i * cut.bordered, offset,
                       n_positions, NULL, 0);
        for (int64_t k = 0; k < n_out; k++) {
          float *to = cpu_map_at(out, unit.n + i, k) + unit.first * cut.width;
          close_gaps(to, flat + k * flat_stride, unit.lines, cut.width, cut.line);
          if (!stats) continue;
          double mean, m2;
          tiles->moments(to, n_pixels, &mean, &m2);
          cpu_moment_join(&moments[t * n_out + k], (double)n_pixels, mean, m2);
        }
      }
    }
  }
  if (stats) cpu_moments_write(stats, moments, n_threads);
  return DN_OK;
}

/* The gradient into its bordered rows, and the band's own lines of it into `own_lines`. */
static void fill_gradient(const cpu_tiles *tiles, const image_cut *cut, const image_unit *unit,
                          cpu_gradient gradient, float *packed, float *rows, float *own_lines) {
  const int64_t n_out = gradient.dy.planes.c;
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  clear_outside(cut, unit, rows, n_out);
  const int64_t n_pixels = (to - from) * cut->width;
  const int64_t stride = (n_pixels + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
  for (int64_t i = 0; i < unit->count; i++) {
    cpu_gradient_rows(tiles, gradient, unit->n + i, from * cut->width, n_pixels, packed, stride);
    for (int64_t k = 0; k < n_out; k++)
      for (int64_t l = 0; l < to - from; l++)
        copy_line(rows + k * cut->stride + i * cut->bordered + (at + l) * cut->line + 1,
                  packed + k * stride + l * cut->width, cut->width);
  }
  if (cut->n_bands == 1) return;
  for (int64_t k = 0; k < n_out; k++) {
    float *to_line = own_lines + k * cut->stride;
    const float *line = rows + k * cut->stride + cut->line + 1;
    memset(to_line, 0, (size_t)cut->stride * sizeof *to_line);
    for (int64_t l = 0; l < unit->lines; l++)
      copy_line(to_line + l * cut->line, line + l * cut->line, cut->width);
  }
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
  const int64_t n_in = in.planes.c, n_out = gradient.dy.planes.c;
  const int64_t depth = 9 * n_out, n_columns = 9 * n_in;
  const int n_threads = cpu_team(in.planes.n * in.planes.size * n_in);
  const image_cut cut = cut_of(in, 2 * n_in + 2 * n_out, BACKWARD_FLOATS, n_threads);

  const int64_t flat_stride = cpu_whole_lines(cut.lines * cut.line) + 16;
  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_in, depth));
  const int64_t n_offsets =
      cpu_whole_lines(depth) + cpu_whole_lines(n_columns) + cpu_whole_lines(n_out);
  const int64_t n_z = cpu_whole_lines(n_in * cut.stride + CPU_TILE_SLACK);
  const int64_t n_d = cpu_whole_lines(n_out * cut.stride + CPU_TILE_SLACK);
  const int64_t n_packed = cpu_whole_lines(n_out * ((cut.lines + 2) * cut.width + CPU_BLOCK));
  const int64_t n_flat = cpu_whole_lines(n_in * flat_stride);
  const int64_t n_dw = cpu_whole_lines(n_out * n_columns), n_sums = 2 * CPU_SUM_LANES * n_in;
  const int64_t n_own = n_z + 2 * n_d + n_packed + n_flat + n_dw + n_sums;
  void *scratch;
  DN_TRY(cpu_scratch((n_panels + n_offsets + n_threads * n_own) * 4, &scratch));
  float *panels = scratch, *own = panels + n_panels + n_offsets;
  int32_t *d_taps = (int32_t *)(void *)(panels + n_panels),
          *z_taps = d_taps + cpu_whole_lines(depth);
  int32_t *d_offset = z_taps + cpu_whole_lines(n_columns);
  for (int64_t k = 0; k < depth; k++) d_taps[k] = (int32_t)(k / 9 * n_columns + k % 9);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_in, 9, depth, d_taps);
  tap_offsets(&cut, n_out, true, d_taps);
  tap_offsets(&cut, n_in, false, z_taps);
  for (int64_t k = 0; k < n_out; k++) d_offset[k] = (int32_t)(k * cut.stride);

#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *z = own + t * n_own, *d = z + n_z, *own_lines = d + n_d, *packed = own_lines + n_d;
    float *flat = packed + n_packed, *dw = flat + n_flat, *sums = dw + n_dw;
    memset(z, 0, (size_t)(n_z + 2 * n_d) * sizeof *z);
    memset(dw, 0, (size_t)(n_dw + n_sums) * sizeof *dw);
    /* Without bands the border lines are zero, so the bordered gradient is its own lines. */
    const float *left = cut.n_bands == 1 ? d + cut.line + 1 : own_lines;
    int64_t index, end;
    cpu_share(cut.n_units, n_threads, t, &index, &end);
    for (; index < end; index++) {
      const image_unit unit = unit_of(&cut, index);
      const int64_t n_positions = unit.lines * cut.line - 2, n_pixels = unit.lines * cut.width;
      fill_input(tiles, &cut, &unit, in, vectors, z);
      fill_gradient(tiles, &cut, &unit, gradient, packed, d, own_lines);
      tiles->dot(dw, n_columns, n_out, n_columns, left, d_offset, z, z_taps,
                 cpu_whole_lines((unit.count - 1) * cut.bordered + n_positions));
      for (int64_t i = 0; i < unit.count; i++) {
        tiles->product(flat, flat_stride, n_in, panels, depth, d + i * cut.bordered, d_taps,
                       n_positions, NULL, 0);
        for (int64_t c = 0; c < n_in; c++)
          close_gaps(flat + c * flat_stride, flat + c * flat_stride, unit.lines, cut.width,
                     cut.line);
        const int64_t at = unit.first * cut.width;
        tiles->unmask(cpu_map_at(din, unit.n + i, 0) + at, din.planes.stride_c, flat, flat_stride,
                      cpu_map_at(in, unit.n + i, 0) + at, in.planes.stride_c, n_in, n_pixels,
                      vectors, sums, accumulate);
      }
    }
  }
  float *total = dn_tensor_data(dweight);
  for (int t = 0; t < n_threads; t++) {
    const float *dw = own + t * n_own + n_own - n_sums - n_dw;
    for (int64_t i = 0; i < n_out * n_columns; i++) total[i] += (float)scale * dw[i];
  }
  cpu_sums_write(dnorm, own + n_own - n_sums, n_own, n_threads);
  return DN_OK;
}
