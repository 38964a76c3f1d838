/*
** Shifted products over a bordered copy of the input. In a bordered image lines are as far apart as the
** input and its padding are wide, so that a tap is one constant distance for every pixel, and a run of
** output positions crosses line ends without care: the positions between lines are computed and dropped.
** A thread takes bands of lines, sized to stay in its cache. The weight gradient sums over pixels, so there
** the bordered copy is transposed: channels are neighbours and serve as vectors, and no position is wasted.
*/
#include "cpu_conv_border.h"

#include <string.h>

#include "cpu_gradient.h"
#include "cpu_line_copy.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_shares.h"

/* Measured: higher bands waste less on borders, until they leave the second-level cache. */
enum {
  FORWARD_VALUES = 384 * 1024 / sizeof(real), /* of one band's bordered input */
  BACKWARD_VALUES =
      640 * 1024 /
      sizeof(real), /* of its bordered input, its gradient, and dx before norm_relu_backward */
  OUTER_PIECE = 256 /* pixels of the weight gradient's inner products */
};

/* A convolution's geometry, how its images are cut into bands of output lines, and what a bordered one is. */
typedef struct image_cut {
  int64_t r, s, pad_h, pad_w;
  int64_t height, width;         /* of the input */
  int64_t out_height, out_width; /* of the output */
  int64_t line;                  /* of a bordered image: width + 2 pad_w */
  int64_t lines, n_bands;        /* output lines of a band; bands of an image */
  int64_t held;                  /* input lines of a bordered band, lines + r - 1 */
  int64_t bordered;              /* its positions: held * line */
  int64_t stride;                /* between channels, with slack that stays zero */
  int64_t n_units;               /* bands of all images */
} image_cut;

/* For an input and its output, whose sizes say what the padding is. */
static image_cut cut_of(cpu_map in, cpu_map out, const dn_tensor *weight,
                        int64_t values_per_position, int64_t budget) {
  image_cut made = {.r = weight->size[2],
                    .s = weight->size[3],
                    .height = in.height,
                    .width = in.width,
                    .out_height = out.height,
                    .out_width = out.width};
  made.pad_h = (made.out_height + made.r - 1 - made.height) / 2;
  made.pad_w = (made.out_width + made.s - 1 - made.width) / 2;
  made.line = made.width + 2 * made.pad_w;
  int64_t most = budget / (values_per_position * made.line) - (made.r - 1);
  if (most < 1) most = 1;
  made.n_bands = (made.out_height + most - 1) / most;
  made.lines = (made.out_height + made.n_bands - 1) / made.n_bands;
  made.n_bands = (made.out_height + made.lines - 1) / made.lines;
  made.held = made.lines + made.r - 1;
  made.bordered = made.held * made.line;
  made.n_units = in.planes.n * made.n_bands;
  /* An odd number of 64-byte lines keeps channels off the same cache sets. */
  made.stride = (made.bordered + CPU_TILE_SLACK + 31) / 32 * 32 + 16;
  return made;
}

/* One unit: `lines` output lines of image n, from line `first` on. */
typedef struct image_unit {
  int64_t n, first, lines;
} image_unit;

static image_unit unit_of(const image_cut *cut, int64_t index) {
  const int64_t first = index % cut->n_bands * cut->lines, left = cut->out_height - first;
  return (image_unit){index / cut->n_bands, first, left < cut->lines ? left : cut->lines};
}

/* Lines of the input that a bordered band holds: [*from, *to), the first at bordered line *at. */
static void lines_held(const image_cut *cut, const image_unit *unit, int64_t *from, int64_t *to,
                       int64_t *at) {
  const int64_t above = unit->first - cut->pad_h, below = above + unit->lines + cut->r - 1;
  *from = above > 0 ? above : 0;
  *to = below < cut->height ? below : cut->height;
  if (*to < *from) *to = *from;
  *at = *from - above;
}

/* What a unit reads of its input, roughly; of a map of the output's size. */
static cpu_prefetch_rows rows_in(const image_cut *cut, const image_unit *unit, cpu_map in) {
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  return cpu_map_rows(in, unit->n, from * cut->width, (to - from) * cut->width);
}

static cpu_prefetch_rows rows_out(const image_cut *cut, const image_unit *unit, cpu_map out) {
  return cpu_map_rows(out, unit->n, unit->first * cut->out_width, unit->lines * cut->out_width);
}

/*
** Border lines of a band that lie outside the image, or below a short last band, are zero. Rows are
** n_rows times cut->line positions of `size` values each, `stride` apart.
*/
static void clear_outside(const image_cut *cut, const image_unit *unit, real *rows, int64_t n_rows,
                          int64_t stride, int64_t size) {
  if (cut->n_bands == 1) return; /* never written: zero since the buffer was cleared */
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  const int64_t end = at + (to - from), line = cut->line * size;
  for (int64_t c = 0; c < n_rows; c++) {
    real *row = rows + c * stride;
    memset(row, 0, (size_t)(at * line) * sizeof *row);
    memset(row + end * line, 0, (size_t)((cut->held - end) * line) * sizeof *row);
  }
}

/* Offset of tap (r, s) of channel c in a bordered buffer, from the output position. */
static void tap_offsets(const image_cut *cut, int64_t n_channels, bool mirrored, int32_t *offset) {
  for (int64_t c = 0; c < n_channels; c++)
    for (int64_t r = 0; r < cut->r; r++)
      for (int64_t s = 0; s < cut->s; s++)
        *offset++ = (int32_t)(c * cut->stride + (mirrored ? cut->r - 1 - r : r) * cut->line +
                              (mirrored ? cut->s - 1 - s : s));
}

/* Lines that lie `line` apart become adjacent; out may be where the first line is. */
static void close_gaps(real *out, const real *flat, int64_t n_lines, int64_t width, int64_t line) {
  for (int64_t l = 0; l < n_lines; l++) cpu_line_copy(out + l * width, flat + l * line, width);
}

/* Panels of K,C,R,S weights whose rows are C and whose columns are (K, R, S). */
static void pack_turned(const cpu_tiles *tiles, real *panels, const dn_tensor *weight,
                        int32_t *columns) {
  const int64_t n_taps = weight->size[2] * weight->size[3], depth = weight->size[0] * n_taps;
  for (int64_t k = 0; k < depth; k++)
    columns[k] = (int32_t)(k / n_taps * n_taps * weight->size[1] + k % n_taps);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), weight->size[1], n_taps, depth, columns);
}

/* ---- Forward ---- */

/* What the shares of a call have in common. */
typedef struct forward {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm norm;
  const real *bias; /* or NULL */
  int64_t n_in, n_out, depth;
  image_cut cut;
  int64_t flat_stride;   /* between rows of the product, whose lines still have gaps */
  int64_t n_rows, n_own; /* values: of a thread's bordered band; with its product */
  int n_threads, n_shares;
  bool has_stats;
  real *panels, *own;
  int32_t *taps;        /* offsets in the bordered band */
  cpu_moments *moments; /* n_out a share */
  int64_t *n_values;    /* pixels of a share */
} forward;

static forward forward_of(const cpu_conv_forward *call) {
  forward f = {.tiles = cpu_tiles_best(),
               .in = cpu_map_of(call->x),
               .out = cpu_map_of(call->y),
               .norm = cpu_norm_of(call->norm),
               .bias = call->bias ? dn_tensor_data(call->bias) : NULL,
               .has_stats = call->stats != NULL};
  f.n_in = f.in.planes.c;
  f.n_out = f.out.planes.c;
  f.cut = cut_of(f.in, f.out, call->weight, f.n_in, FORWARD_VALUES);
  f.depth = f.cut.r * f.cut.s * f.n_in;
  f.flat_stride = cpu_whole_lines(f.cut.lines * f.cut.line) + 16;
  f.n_rows = cpu_whole_lines(f.n_in * f.cut.stride + CPU_TILE_SLACK);
  f.n_threads = cpu_team(f.out.planes.n * f.out.planes.size * f.n_in);
  f.n_own = cpu_scratch_apart(f.n_rows + f.n_out * f.flat_stride, f.n_threads);
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
  memset(f->n_values, 0, (size_t)f->n_shares * sizeof *f->n_values);
  for (int t = 0; t < f->n_threads; t++)
    memset(f->own + t * f->n_own, 0, (size_t)f->n_rows * sizeof *f->own);
  return DN_OK;
}

static void pack_weight(forward *f, const cpu_conv_forward *call) {
  if (call->transposed) {
    pack_turned(f->tiles, f->panels, call->weight, f->taps);
    return;
  }
  cpu_offsets(f->taps, f->depth, 1);
  cpu_pack_panels(f->tiles, f->panels, dn_tensor_data(call->weight), f->n_out, f->depth, f->depth,
                  f->taps);
}

/* The output of a unit whose product is `flat`. */
static void write_unit(const forward *f, int share, const image_unit *unit, const real *flat) {
  const image_cut *cut = &f->cut;
  const int64_t n_pixels = unit->lines * cut->out_width;
  for (int64_t k = 0; k < f->n_out; k++) {
    real *row = cpu_map_at(f->out, unit->n, k) + unit->first * cut->out_width;
    close_gaps(row, flat + k * f->flat_stride, unit->lines, cut->out_width, cut->line);
    if (f->bias)
      for (int64_t i = 0; i < n_pixels; i++) row[i] += f->bias[k];
    if (f->has_stats) f->tiles->moments(&f->moments[share * f->n_out + k], row, n_pixels, NULL);
  }
  f->n_values[share] += n_pixels;
}

static void forward_unit(const void *call, int share, int64_t index, int64_t next_index) {
  const forward *f = call;
  const image_unit unit = unit_of(&f->cut, index), next = unit_of(&f->cut, next_index);
  const image_cut *cut = &f->cut;
  real *rows = f->own + cpu_thread() * f->n_own, *flat = rows + f->n_rows;
  int64_t from, to, at;
  lines_held(cut, &unit, &from, &to, &at);
  clear_outside(cut, &unit, rows, f->n_in, cut->stride, 1);
  f->tiles->norm_relu_lines(rows + at * cut->line + cut->pad_w, cut->stride,
                            cpu_map_at(f->in, unit.n, 0) + from * cut->width, f->in.planes.stride_c,
                            f->n_in, to - from, cut->width, cut->line, f->norm.scale,
                            f->norm.shift);
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_in(cut, &next, f->in), (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  f->tiles->product(flat, f->flat_stride, f->n_out, f->panels, f->depth, rows, f->taps, CPU_BLOCK,
                    unit.lines * cut->line - (cut->s - 1), &prefetch);
  write_unit(f, share, &unit, flat);
}

dn_status CPU_REAL(cpu_conv_border_forward)(const cpu_conv_forward *call) {
  forward f = forward_of(call);
  DN_TRY(forward_scratch(&f));
  pack_weight(&f, call);
  tap_offsets(&f.cut, f.n_in, call->transposed, f.taps);
  cpu_shares_work(&f, forward_unit, f.cut.n_units, f.n_shares, f.n_threads);
  if (call->stats) cpu_moments_write(call->stats, f.moments, f.n_values, f.n_shares);
  return DN_OK;
}

/* ---- Backward ---- */

/* What the shares of a call have in common. */
typedef struct backward {
  const cpu_tiles *tiles;
  cpu_map in, din;
  cpu_gradient gradient;
  cpu_norm norm;
  bool accumulate, has_dx, has_dweight;
  int64_t n_in, n_out, n_taps;
  int64_t n_columns; /* of the transposed input: n_in in whole lines */
  image_cut cut;
  cpu_layout d_layout; /* of the gradient, packed: the band's output lines; with dx, those held */
  int64_t flat_stride; /* between rows of dx's product */
  int64_t n_z, n_bordered, n_d,
      n_own;             /* values of a thread: z transposed; d with borders; d; all */
  int64_t n_dw, n_share; /* values of a share: dweight; with dx's sums */
  int n_threads, n_shares;
  real *panels, *own, *shares;
  int32_t *taps; /* of dx, in a bordered band */
  int32_t *place_in,
      *place_out; /* of input and output pixels in the transposed input, seen from tap 0 */
} backward;

static backward backward_of(const cpu_conv_backward *call) {
  backward b = {.tiles = cpu_tiles_best(),
                .in = cpu_map_of(call->x),
                .din = cpu_map_of(call->dx),
                .gradient = cpu_gradient_of(call->dy, call->y, call->deferred),
                .norm = cpu_norm_of(call->norm),
                .accumulate = call->accumulate,
                .has_dx = call->dx != NULL,
                .has_dweight = call->dweight != NULL};
  b.n_in = b.in.planes.c;
  b.n_out = b.gradient.dy.planes.c;
  b.n_columns = cpu_whole_lines(b.n_in);
  b.cut = cut_of(b.in, b.gradient.dy, call->dweight ? call->dweight : call->weight,
                 (b.has_dx ? 2 : 1) * (b.n_in + b.n_out), BACKWARD_VALUES);
  const image_cut *cut = &b.cut;
  b.n_taps = cut->r * cut->s;
  b.d_layout = (cpu_layout){
      .row = cpu_whole_lines((b.has_dx ? cut->held : cut->lines) * cut->out_width + CPU_BLOCK),
      .block = CPU_BLOCK};
  b.flat_stride = cpu_whole_lines(cut->lines * cut->line) + 16;
  b.n_z = cut->bordered * b.n_columns;
  b.n_bordered = b.has_dx ? cpu_whole_lines(b.n_out * cut->stride + CPU_TILE_SLACK) : 0;
  b.n_d = (b.n_out + CPU_OUTER_ROWS - 1) / CPU_OUTER_ROWS * CPU_OUTER_ROWS * b.d_layout.row;
  b.n_dw = b.n_taps * b.n_out * b.n_columns;
  b.n_share = b.n_dw + (b.has_dx ? 2 * CPU_SUM_LANES * b.n_in : 0);
  b.n_threads = cpu_team(b.in.planes.n * b.in.planes.size * b.n_in);
  b.n_own = cpu_scratch_apart(
      b.n_z + b.n_bordered + b.n_d + (b.has_dx ? b.n_in * b.flat_stride : 0), b.n_threads);
  b.n_shares = b.has_dx ? cpu_shares(b.n_threads) : cpu_shares_of_sums(b.n_threads, b.n_dw);
  return b;
}

static dn_status backward_scratch(backward *b) {
  int64_t n_bytes = 0;
  const int64_t depth = b->has_dx ? b->n_taps * b->n_out : 0;
  const int64_t panels =
      cpu_scratch_place(&n_bytes, cpu_panels_count(b->tiles, b->n_in, depth), sizeof *b->panels);
  const int64_t taps = cpu_scratch_place(&n_bytes, depth, sizeof *b->taps);
  const int64_t place_in =
      cpu_scratch_place(&n_bytes, b->cut.held * b->cut.width, sizeof *b->place_in);
  const int64_t place_out =
      cpu_scratch_place(&n_bytes, b->cut.lines * b->cut.out_width, sizeof *b->place_out);
  const int64_t own = cpu_scratch_place(&n_bytes, b->n_threads * b->n_own, sizeof *b->own);
  const int64_t shares = cpu_scratch_place(&n_bytes, b->n_shares * b->n_share, sizeof *b->shares);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  b->panels = cpu_scratch_at(block, panels);
  b->taps = cpu_scratch_at(block, taps);
  b->place_in = cpu_scratch_at(block, place_in);
  b->place_out = cpu_scratch_at(block, place_out);
  b->own = cpu_scratch_at(block, own);
  b->shares = cpu_scratch_at(block, shares);
  for (int t = 0; t < b->n_threads; t++)
    memset(b->own + t * b->n_own, 0, (size_t)(b->n_z + b->n_bordered) * sizeof *b->own);
  return DN_OK;
}

/* Places of pixels in lines of `width`. */
static void places(const backward *b, int32_t *place, int64_t n, int64_t width) {
  for (int64_t p = 0; p < n; p++)
    place[p] = (int32_t)((p / width * b->cut.line + p % width) * b->n_columns);
}

/* Rows of pixels become bordered lines, from bordered line `at` on. */
static void open_gaps(const image_cut *cut, real *bordered, const real *rows, int64_t stride,
                      int64_t n_rows, int64_t n_lines, int64_t at) {
  for (int64_t k = 0; k < n_rows; k++)
    for (int64_t l = 0; l < n_lines; l++)
      cpu_line_copy(bordered + k * cut->stride + (at + l) * cut->line + cut->pad_w,
                    rows + k * stride + l * cut->width, cut->width);
}

/* The input that the unit's band holds, transposed. */
static void pack_z(const backward *b, const image_unit *unit, real *z) {
  const image_cut *cut = &b->cut;
  int64_t from, to, at;
  lines_held(cut, unit, &from, &to, &at);
  clear_outside(cut, unit, z, 1, 0, b->n_columns);
  b->tiles->transpose(z + (at * cut->line + cut->pad_w) * b->n_columns, b->place_in,
                      cpu_map_at(b->in, unit->n, 0) + from * cut->width, b->in.planes.stride_c,
                      b->n_in, (to - from) * cut->width, b->norm.scale, b->norm.shift);
}

/*
** d of the unit's output lines; with dx of all lines that its band holds, as a bordered copy too. Returns
** the pixels of d above the unit's own.
*/
static int64_t pack_d(const backward *b, const image_unit *unit, real *bordered, real *d) {
  const image_cut *cut = &b->cut;
  if (!b->has_dx) {
    cpu_gradient_pack(b->tiles, b->gradient, unit->n, unit->first * cut->out_width,
                      unit->lines * cut->out_width, d, b->d_layout);
    return 0;
  }
  int64_t from, to, at; /* of the output as of the input: they have one size */
  lines_held(cut, unit, &from, &to, &at);
  cpu_gradient_pack(b->tiles, b->gradient, unit->n, from * cut->width, (to - from) * cut->width, d,
                    b->d_layout);
  clear_outside(cut, unit, bordered, b->n_out, cut->stride, 1);
  open_gaps(cut, bordered, d, b->d_layout.row, b->n_out, to - from, at);
  return (unit->first - from) * cut->width;
}

/* dweight += d times z transposed, tap by tap. */
static void unit_dweight(const backward *b, const image_unit *unit, const image_unit *next,
                         const real *z, const real *d, real *dw) {
  const image_cut *cut = &b->cut;
  const int64_t n_pixels = unit->lines * cut->out_width;
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_out(cut, unit, b->din), rows_out(cut, next, b->gradient.dy),
                      rows_out(cut, next, b->gradient.y));
  for (int64_t p = 0; p < n_pixels; p += OUTER_PIECE)
    for (int64_t tap = 0; tap < b->n_taps; tap++)
      b->tiles->outer(dw + tap * b->n_out * b->n_columns, b->n_columns, b->n_out, b->n_in, d + p,
                      b->d_layout, z + (tap / cut->s * cut->line + tap % cut->s) * b->n_columns,
                      b->place_out + p, n_pixels - p < OUTER_PIECE ? n_pixels - p : OUTER_PIECE,
                      &prefetch);
}

/* dx, and the sums of norm's gradients. */
static void unit_dx(const backward *b, const image_unit *unit, const image_unit *next,
                    const real *bordered, real *flat, real *sums) {
  const image_cut *cut = &b->cut;
  const int64_t first = unit->first * cut->width;
  cpu_prefetch prefetch =
      cpu_prefetch_of(rows_out(cut, next, b->in), (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  b->tiles->product(flat, b->flat_stride, b->n_in, b->panels, b->n_taps * b->n_out, bordered,
                    b->taps, CPU_BLOCK, unit->lines * cut->line - (cut->s - 1), &prefetch);
  for (int64_t c = 0; c < b->n_in; c++)
    close_gaps(flat + c * b->flat_stride, flat + c * b->flat_stride, unit->lines, cut->width,
               cut->line);
  b->tiles->norm_relu_backward(cpu_map_at(b->din, unit->n, 0) + first, b->din.planes.stride_c, flat,
                               b->flat_stride, cpu_map_at(b->in, unit->n, 0) + first,
                               b->in.planes.stride_c, b->n_in, unit->lines * cut->width, b->norm,
                               sums, b->accumulate);
}

static void backward_unit(const backward *b, image_unit unit, image_unit next, real *dw,
                          real *sums) {
  real *z = b->own + cpu_thread() * b->n_own, *bordered = z + b->n_z;
  real *d = bordered + b->n_bordered, *flat = d + b->n_d;
  if (b->has_dweight) pack_z(b, &unit, z);
  const int64_t n_above = pack_d(b, &unit, bordered, d);
  if (b->has_dweight) unit_dweight(b, &unit, &next, z, d + n_above, dw);
  if (b->has_dx) unit_dx(b, &unit, &next, bordered, flat, sums);
}

/* dweight += scale times the shares' sum, taps last. */
static void add_dweight(const backward *b, dn_tensor *dweight, double scale) {
  real *total = dn_tensor_data(dweight);
  const real *dw = cpu_shares_join(b->shares, b->n_share, b->n_dw, b->n_shares);
  for (int64_t tap = 0; tap < b->n_taps; tap++)
    for (int64_t k = 0; k < b->n_out; k++)
      for (int64_t c = 0; c < b->n_in; c++)
        total[(k * b->n_in + c) * b->n_taps + tap] +=
            (real)scale * dw[(tap * b->n_out + k) * b->n_columns + c];
}

dn_status CPU_REAL(cpu_conv_border_backward)(const cpu_conv_backward *call) {
  backward b = backward_of(call);
  DN_TRY(backward_scratch(&b));
  if (b.has_dx) {
    pack_turned(b.tiles, b.panels, call->weight, b.taps);
    tap_offsets(&b.cut, b.n_out, true, b.taps);
  }
  places(&b, b.place_in, b.cut.held * b.cut.width, b.cut.width);
  places(&b, b.place_out, b.cut.lines * b.cut.out_width, b.cut.out_width);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(b.n_threads)
  for (int s; (s = cpu_next(&queue)) < b.n_shares;) {
    real *dw = b.shares + s * b.n_share, *sums = dw + b.n_dw;
    memset(dw, 0, (size_t)b.n_share * sizeof *dw);
    int64_t index, end;
    cpu_share(b.cut.n_units, b.n_shares, s, &index, &end);
    for (; index < end; index++)
      backward_unit(&b, unit_of(&b.cut, index),
                    unit_of(&b.cut, index + 1 < end ? index + 1 : index), dw, sums);
  }
  if (b.has_dweight) add_dweight(&b, call->dweight, call->scale);
  if (b.has_dx) cpu_sums_write(call->dnorm, b.shares + b.n_dw, b.n_share, b.n_shares, b.norm);
  return DN_OK;
}
