/*
** 3x3 with a border of one zero: nine shifted products over a bordered copy of the rectified input.
** In a bordered image, lines are width + 2 apart, so that a tap is one constant distance for every
** pixel, and a run of output positions crosses line ends without care: the two positions between
** lines are computed and dropped. A thread takes bands of lines, sized to stay in its cache. The
** weight gradient sums over pixels, so there the bordered copy is transposed: channels are
** neighbours and serve as vectors, and no position is wasted.
*/
#include "cpu_norm_relu_conv3x3.h"

#include <string.h>

#include "cpu_gradient.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_shares.h"

/* Measured: higher bands waste less on borders, until they leave the second-level cache. */
enum {
  FORWARD_FLOATS = 96 * 1024, /* of one band's bordered input */
  BACKWARD_FLOATS =
      160 * 1024,   /* of its bordered input, its gradient, and dx before norm_relu_backward */
  OUTER_PIECE = 256 /* pixels of the weight gradient's inner products */
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
static cpu_prefetch_rows rows_of(const image_cut *cut, const image_unit *unit, cpu_map map) {
  return cpu_map_rows(map, unit->n, unit->first * cut->width, unit->lines * cut->width);
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

/* ---- Forward ---- */

/* What the shares of a call have in common. */
typedef struct forward {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm norm;
  int64_t n_in, n_out, depth;
  image_cut cut;
  int64_t flat_stride;   /* between rows of the product, whose lines still have gaps */
  int64_t n_rows, n_own; /* floats: of a thread's bordered band; with its product */
  int n_threads, n_shares;
  bool has_stats;
  float *panels, *own;
  int32_t *taps;        /* offsets in the bordered band */
  cpu_moments *moments; /* n_out a share */
  int64_t *n_values;    /* pixels of a share */
} forward;

static forward forward_of(dn_tensor *y, const dn_tensor *stats, const dn_tensor *x,
                          const dn_tensor *norm) {
  forward f = {.tiles = cpu_tiles_best(),
               .in = cpu_map_of(x),
               .out = cpu_map_of(y),
               .norm = cpu_norm_of(norm),
               .has_stats = stats != NULL};
  f.n_in = f.in.planes.c;
  f.n_out = f.out.planes.c;
  f.depth = 9 * f.n_in;
  f.cut = cut_of(f.in, f.n_in, FORWARD_FLOATS);
  f.flat_stride = cpu_whole_lines(f.cut.lines * f.cut.line) + 16;
  f.n_rows = cpu_whole_lines(f.n_in * f.cut.stride + CPU_TILE_SLACK);
  f.n_own = f.n_rows + cpu_whole_lines(f.n_out * f.flat_stride);
  f.n_threads = cpu_team(f.in.planes.n * f.in.planes.size * f.n_in);
  f.n_shares = cpu_shares(f.n_threads);
  return f;
}

static dn_status forward_scratch(forward *f) {
  int64_t n_bytes = 0;
  const int64_t n_moments = f->has_stats ? f->n_shares * f->n_out : 0;
  const int64_t panels = cpu_scratch_place(&n_bytes, cpu_panels_count(f->tiles, f->n_out, f->depth),
                                           sizeof *f->panels);
  const int64_t taps = cpu_scratch_place(&n_bytes, f->depth, sizeof *f->taps);
  const int64_t own = cpu_scratch_place(&n_bytes, f->n_threads * f->n_own, sizeof *f->own);
  const int64_t moments = cpu_scratch_place(&n_bytes, n_moments, sizeof *f->moments);
  const int64_t n_values = cpu_scratch_place(&n_bytes, f->n_shares, sizeof *f->n_values);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  f->panels = cpu_scratch_at(block, panels);
  f->taps = cpu_scratch_at(block, taps);
  f->own = cpu_scratch_at(block, own);
  f->moments = cpu_scratch_at(block, moments);
  f->n_values = cpu_scratch_at(block, n_values);
  memset(f->moments, 0, (size_t)n_moments * sizeof *f->moments);
  for (int t = 0; t < f->n_threads; t++)
    memset(f->own + t * f->n_own, 0, (size_t)f->n_rows * sizeof *f->own);
  return DN_OK;
}

static void forward_unit(const forward *f, int share, image_unit unit, image_unit next) {
  const image_cut *cut = &f->cut;
  float *rows = f->own + cpu_thread() * f->n_own, *flat = rows + f->n_rows;
  const int64_t n_pixels = unit.lines * cut->width;
  int64_t from, to, at;
  lines_held(cut, &unit, &from, &to, &at);
  clear_outside(cut, &unit, rows, f->n_in, cut->stride, 1);
  f->tiles->norm_relu_lines(rows + at * cut->line, cut->stride,
                            cpu_map_at(f->in, unit.n, 0) + from * cut->width, f->in.planes.stride_c,
                            f->n_in, to - from, cut->width, f->norm.scale, f->norm.shift);
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_of(cut, &next, f->in), (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  f->tiles->product(flat, f->flat_stride, f->n_out, f->panels, f->depth, rows, f->taps, CPU_BLOCK,
                    unit.lines * cut->line - 2, &prefetch);
  for (int64_t k = 0; k < f->n_out; k++) {
    float *to_row = cpu_map_at(f->out, unit.n, k) + unit.first * cut->width;
    close_gaps(to_row, flat + k * f->flat_stride, unit.lines, cut->width, cut->line);
    if (f->has_stats) f->tiles->moments(&f->moments[share * f->n_out + k], to_row, n_pixels, NULL);
  }
  f->n_values[share] += n_pixels;
}

dn_status cpu_norm_relu_conv3x3_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight) {
  forward f = forward_of(y, stats, x, norm);
  DN_TRY(forward_scratch(&f));
  for (int64_t k = 0; k < f.depth; k++) f.taps[k] = (int32_t)k;
  cpu_pack_panels(f.tiles, f.panels, dn_tensor_data(weight), f.n_out, f.depth, f.depth, f.taps);
  tap_offsets(&f.cut, f.n_in, false, f.taps);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(f.n_threads)
  for (int s; (s = cpu_next(&queue)) < f.n_shares;) {
    int64_t index, end;
    cpu_share(f.cut.n_units, f.n_shares, s, &index, &end);
    f.n_values[s] = 0;
    for (; index < end; index++)
      forward_unit(&f, s, unit_of(&f.cut, index),
                   unit_of(&f.cut, index + 1 < end ? index + 1 : index));
  }
  if (stats) cpu_moments_write(stats, f.moments, f.n_values, f.n_shares);
  return DN_OK;
}

/* ---- Backward ---- */

/* What the shares of a call have in common. */
typedef struct backward {
  const cpu_tiles *tiles;
  cpu_map in, din;
  cpu_gradient gradient;
  cpu_norm norm;
  bool accumulate, has_dweight;
  int64_t n_in, n_out, depth;
  int64_t n_columns; /* of the transposed input: n_in in whole lines */
  image_cut cut;
  int64_t n_held;      /* pixels of a band's lines, border lines included */
  cpu_layout d_layout; /* of the gradient, packed */
  int64_t flat_stride; /* between rows of the product */
  int64_t n_z, n_bordered, n_d,
      n_own;             /* floats of a thread: z transposed; d with borders; d; all */
  int64_t n_dw, n_share; /* floats of a share: dweight; with its sums */
  int n_threads, n_shares;
  float *panels, *own, *shares;
  int32_t *taps;  /* offsets in a bordered band */
  int32_t *place; /* of pixels in the transposed input, seen from its upper left tap */
} backward;

static backward backward_of(dn_tensor *dx, const dn_tensor *dweight, const dn_tensor *dy,
                            const dn_tensor *y, const dn_tensor *deferred, const dn_tensor *x,
                            const dn_tensor *norm, bool accumulate) {
  backward b = {.tiles = cpu_tiles_best(),
                .in = cpu_map_of(x),
                .din = cpu_map_of(dx),
                .gradient = cpu_gradient_of(dy, y, deferred),
                .norm = cpu_norm_of(norm),
                .accumulate = accumulate,
                .has_dweight = dweight != NULL};
  b.n_in = b.in.planes.c;
  b.n_out = b.gradient.dy.planes.c;
  b.depth = 9 * b.n_out;
  b.n_columns = cpu_whole_lines(b.n_in);
  b.cut = cut_of(b.in, 2 * b.n_in + 2 * b.n_out, BACKWARD_FLOATS);
  b.n_held = (b.cut.lines + 2) * b.cut.width;
  b.d_layout = (cpu_layout){.row = cpu_whole_lines(b.n_held + CPU_BLOCK), .block = CPU_BLOCK};
  b.flat_stride = cpu_whole_lines(b.cut.lines * b.cut.line) + 16;
  b.n_z = b.cut.bordered * b.n_columns;
  b.n_bordered = cpu_whole_lines(b.n_out * b.cut.stride + CPU_TILE_SLACK);
  b.n_d = (b.n_out + CPU_OUTER_ROWS - 1) / CPU_OUTER_ROWS * CPU_OUTER_ROWS * b.d_layout.row;
  b.n_own = b.n_z + b.n_bordered + b.n_d + cpu_whole_lines(b.n_in * b.flat_stride);
  b.n_dw = b.depth * b.n_columns;
  b.n_share = b.n_dw + 2 * CPU_SUM_LANES * b.n_in;
  b.n_threads = cpu_team(b.in.planes.n * b.in.planes.size * b.n_in);
  b.n_shares = cpu_shares(b.n_threads);
  return b;
}

static dn_status backward_scratch(backward *b) {
  int64_t n_bytes = 0;
  const int64_t panels =
      cpu_scratch_place(&n_bytes, cpu_panels_count(b->tiles, b->n_in, b->depth), sizeof *b->panels);
  const int64_t taps = cpu_scratch_place(&n_bytes, b->depth, sizeof *b->taps);
  const int64_t place = cpu_scratch_place(&n_bytes, b->n_held, sizeof *b->place);
  const int64_t own = cpu_scratch_place(&n_bytes, b->n_threads * b->n_own, sizeof *b->own);
  const int64_t shares = cpu_scratch_place(&n_bytes, b->n_shares * b->n_share, sizeof *b->shares);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  b->panels = cpu_scratch_at(block, panels);
  b->taps = cpu_scratch_at(block, taps);
  b->place = cpu_scratch_at(block, place);
  b->own = cpu_scratch_at(block, own);
  b->shares = cpu_scratch_at(block, shares);
  for (int t = 0; t < b->n_threads; t++)
    memset(b->own + t * b->n_own, 0, (size_t)(b->n_z + b->n_bordered) * sizeof *b->own);
  return DN_OK;
}

static void pack_weight(const backward *b, const dn_tensor *weight) {
  for (int64_t k = 0; k < b->depth; k++) b->taps[k] = (int32_t)(k / 9 * 9 * b->n_in + k % 9);
  cpu_pack_panels(b->tiles, b->panels, dn_tensor_data(weight), b->n_in, 9, b->depth, b->taps);
}

/* Rows of pixels become bordered lines, from bordered line `at` on. */
static void open_gaps(const image_cut *cut, float *bordered, const float *rows, int64_t stride,
                      int64_t n_rows, int64_t n_lines, int64_t at) {
  for (int64_t k = 0; k < n_rows; k++)
    for (int64_t l = 0; l < n_lines; l++)
      copy_line(bordered + k * cut->stride + (at + l) * cut->line + 1,
                rows + k * stride + l * cut->width, cut->width);
}

/* d, and z transposed where dweight needs it, of all lines that the unit's band holds. */
static void pack_unit(const backward *b, const image_unit *unit, float *z, float *bordered,
                      float *d) {
  const image_cut *cut = &b->cut;
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  const int64_t above = from * cut->width, n_pixels = (to - from) * cut->width;
  if (b->has_dweight) {
    clear_outside(cut, unit, z, 1, 0, b->n_columns);
    b->tiles->transpose(z + (at * cut->line + 1) * b->n_columns, b->place,
                        cpu_map_at(b->in, unit->n, 0) + above, b->in.planes.stride_c, b->n_in,
                        n_pixels, b->norm.scale, b->norm.shift);
  }
  cpu_gradient_pack(b->tiles, b->gradient, unit->n, above, n_pixels, d, b->d_layout);
  clear_outside(cut, unit, bordered, b->n_out, cut->stride, 1);
  open_gaps(cut, bordered, d, b->d_layout.row, b->n_out, to - from, at);
}

/* dweight += d times z transposed, tap by tap. */
static void unit_dweight(const backward *b, const image_unit *unit, const image_unit *next,
                         const float *z, const float *d, float *dw) {
  const image_cut *cut = &b->cut;
  const int64_t n_pixels = unit->lines * cut->width;
  const int64_t n_above = unit->first > 0 ? cut->width : 0; /* pixels of d above the unit's own */
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_of(cut, unit, b->din), rows_of(cut, next, b->gradient.dy),
                      rows_of(cut, next, b->gradient.y));
  for (int64_t p = 0; p < n_pixels; p += OUTER_PIECE)
    for (int64_t tap = 0; tap < 9; tap++)
      b->tiles->outer(dw + tap * b->n_out * b->n_columns, b->n_columns, b->n_out, b->n_in,
                      d + n_above + p, b->d_layout,
                      z + (tap / 3 * cut->line + tap % 3) * b->n_columns, b->place + p,
                      n_pixels - p < OUTER_PIECE ? n_pixels - p : OUTER_PIECE, &prefetch);
}

/* dx, and the sums of norm's gradients. */
static void unit_dx(const backward *b, const image_unit *unit, const image_unit *next,
                    const float *bordered, float *flat, float *sums) {
  const image_cut *cut = &b->cut;
  const int64_t first = unit->first * cut->width;
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_of(cut, next, b->in), (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  b->tiles->product(flat, b->flat_stride, b->n_in, b->panels, b->depth, bordered, b->taps,
                    CPU_BLOCK, unit->lines * cut->line - 2, &prefetch);
  for (int64_t c = 0; c < b->n_in; c++)
    close_gaps(flat + c * b->flat_stride, flat + c * b->flat_stride, unit->lines, cut->width,
               cut->line);
  b->tiles->norm_relu_backward(cpu_map_at(b->din, unit->n, 0) + first, b->din.planes.stride_c, flat,
                               b->flat_stride, cpu_map_at(b->in, unit->n, 0) + first,
                               b->in.planes.stride_c, b->n_in, unit->lines * cut->width, b->norm,
                               sums, b->accumulate);
}

static void backward_unit(const backward *b, image_unit unit, image_unit next, float *dw,
                          float *sums) {
  float *z = b->own + cpu_thread() * b->n_own, *bordered = z + b->n_z;
  float *d = bordered + b->n_bordered, *flat = d + b->n_d;
  pack_unit(b, &unit, z, bordered, d);
  if (b->has_dweight) unit_dweight(b, &unit, &next, z, d, dw);
  unit_dx(b, &unit, &next, bordered, flat, sums);
}

/* dweight += scale times the shares' sum, taps last. */
static void add_dweight(const backward *b, dn_tensor *dweight, double scale) {
  float *total = dn_tensor_data(dweight);
  const float *dw = cpu_shares_join(b->shares, b->n_share, b->n_dw, b->n_shares);
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t k = 0; k < b->n_out; k++)
      for (int64_t c = 0; c < b->n_in; c++)
        total[(k * b->n_in + c) * 9 + tap] +=
            (float)scale * dw[(tap * b->n_out + k) * b->n_columns + c];
}

dn_status cpu_norm_relu_conv3x3_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale) {
  backward b = backward_of(dx, dweight, dy, y, deferred, x, norm, accumulate);
  DN_TRY(backward_scratch(&b));
  pack_weight(&b, weight);
  tap_offsets(&b.cut, b.n_out, true, b.taps);
  for (int64_t p = 0; p < b.n_held; p++)
    b.place[p] = (int32_t)((p / b.cut.width * b.cut.line + p % b.cut.width) * b.n_columns);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(b.n_threads)
  for (int s; (s = cpu_next(&queue)) < b.n_shares;) {
    float *dw = b.shares + s * b.n_share, *sums = dw + b.n_dw;
    memset(dw, 0, (size_t)b.n_share * sizeof *dw);
    int64_t index, end;
    cpu_share(b.cut.n_units, b.n_shares, s, &index, &end);
    for (; index < end; index++)
      backward_unit(&b, unit_of(&b.cut, index),
                    unit_of(&b.cut, index + 1 < end ? index + 1 : index), dw, sums);
  }
  if (dweight) add_dweight(&b, dweight, scale);
  cpu_sums_write(dnorm, b.shares + b.n_dw, b.n_share, b.n_shares, b.norm);
  return DN_OK;
}
