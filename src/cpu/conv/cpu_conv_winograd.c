/*
** 3x3 convolutions by F(4x4, 3x3). A thread takes units of tiles; a unit's input is transformed, channel after
** channel, into the right operands of 36 products, whose left operands are the transformed weights; then
** some output channels at a time are multiplied and transformed back while they are in the nearest cache.
** The weight gradient sums over tiles: there the input is transformed with channels as vectors.
*/
#include "cpu_conv_winograd.h"

#include <string.h>

#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_gradient.h"
#include "cpu_line_copy.h"
#include "cpu_shares.h"
#include "cpu_winograd_cut.h"

enum {
  PRODUCTS = CPU_WINOGRAD_PRODUCTS,
  SIDE = CPU_WINOGRAD_SIDE,
  ROWS = 12, /* output channels that are multiplied and transformed back together: whole panels */
  GAP = 16   /* values that keep products off the same cache sets */
};

static int team_of(cpu_map in, int64_t n_out) {
  const int64_t n_products_a_step = 4;
  return cpu_team(in.planes.n * in.planes.size * in.planes.c * n_out / n_products_a_step);
}

/* Transformed weights as panels, `n_panels` values a product: rows are outputs, or inputs where `turned`. */
static void pack_weight(const cpu_tiles *tiles, real *panels, int64_t n_panels,
                        const dn_tensor *weight, bool turned) {
  const real *data = dn_tensor_data(weight);
  const int64_t n_out = weight->size[0], n_in = weight->size[1];
  const int64_t n_rows = turned ? n_in : n_out, depth = turned ? n_out : n_in;
  memset(panels, 0, (size_t)(PRODUCTS * n_panels) * sizeof *panels); /* rows that fill panels up */
  const int n_threads = cpu_team(weight->size[0] * weight->size[1] * PRODUCTS);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t first = 0; first < n_rows; first += ROWS)
    for (int64_t k = 0; k < depth; k++)
      for (int64_t m = first; m < n_rows && m < first + ROWS; m++) {
        real product[PRODUCTS];
        cpu_winograd_weight(product, data + (turned ? k * n_in + m : m * n_in + k) * 9, turned);
        real *to = panels + cpu_panels_place(tiles, n_rows, depth, m, k);
        for (int f = 0; f < PRODUCTS; f++) to[f * n_panels] = product[f];
      }
}

/* What input_channels and input read at the images' edges: two rows like phases. */
static void mark_inside(real *inside, const cpu_winograd_cut *cut) {
  memset(inside, 0, (size_t)(2 * cut->phase) * sizeof *inside);
  for (int64_t t = -cut->group * cut->columns; t + cut->origin < cut->phase; t++) {
    const int64_t column = (t + cut->group * cut->columns) % cut->columns;
    real *at = inside + cut->origin + t;
    if (column > 0) memset(at, 0xff, sizeof *at);
    if (column < cut->columns - 1) memset(at + cut->phase, 0xff, sizeof *at);
  }
}

/* A thread's room for the transforms of one channel. */
typedef struct room {
  real *staged, *phases, *half, *lines;
} room;

static int64_t room_count(const cpu_winograd_cut *cut) {
  return (2 * CPU_WINOGRAD_PHASES + SIDE * CPU_WINOGRAD_REACH + SIDE * SIDE) * cut->phase;
}

static room room_of(real *at, const cpu_winograd_cut *cut) {
  const int64_t phases = CPU_WINOGRAD_PHASES * cut->phase;
  return (room){.staged = at,
                .phases = at + phases,
                .half = at + 2 * phases,
                .lines = at + 2 * phases + SIDE * CPU_WINOGRAD_REACH * cut->phase};
}

static int64_t line_stride(const cpu_winograd_cut *cut) { return SIDE * cut->phase; }

/* Lines of the part's image i, from what `output` wrote, become adjacent pixels. */
static void gather(const cpu_winograd_cut *cut, const cpu_winograd_part *part, int64_t i,
                   const real *lines, real *to) {
  const real *from = lines + SIDE * i * cut->columns;
  for (int64_t l = 0; l < part->n_lines; l++, to += cut->width)
    cpu_line_copy(to, from + l % SIDE * line_stride(cut) + l / SIDE * SIDE * part->tiles.across,
                  cut->width);
}

/* The part's channel c, transformed, from what reads it. */
static void transform_input(const cpu_tiles *tiles, const cpu_winograd_cut *cut,
                            const cpu_winograd_part *part, cpu_map in, cpu_norm norm, int64_t c,
                            const real *inside, room own, real *v, int64_t v_stride,
                            int64_t v_block) {
  for (int64_t i = 0; i < part->n_images; i++)
    tiles->winograd.stage(own.staged, &part->tiles, i * cut->columns, cut->columns,
                          cpu_map_at(in, part->image + i, c), cut->height, cut->width, part->top,
                          norm.scale ? norm.scale + c : NULL, norm.shift ? norm.shift + c : NULL);
  tiles->winograd.split(own.phases, own.staged, &part->tiles);
  tiles->winograd.input(v, v_stride, v_block, own.phases, &part->tiles, inside, own.half);
}

/* Rows [m, m + n_rows) of all products. */
static void multiply(const cpu_tiles *tiles, const cpu_winograd_cut *cut,
                     const cpu_winograd_part *part, const real *panels, int64_t n_panels, int64_t m,
                     int64_t n_rows, int64_t depth, const real *v, int64_t v_stride,
                     const int32_t *offset, real *sums, cpu_prefetch *prefetch) {
  for (int f = 0; f < PRODUCTS; f++)
    tiles->product(sums + f * ROWS * cut->row, cut->row, n_rows, panels + f * n_panels + m * depth,
                   depth, v + f * v_stride, offset, CPU_BLOCK * depth,
                   cpu_whole_blocks(part->tiles.n_tiles), prefetch);
}

/* ---- Forward ---- */

/* What the shares of a call have in common. */
typedef struct forward {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm norm;
  const real *bias; /* or NULL */
  bool has_stats;
  int64_t n_in, n_out;
  cpu_winograd_cut cut;
  int64_t v_stride, n_panels; /* values from product to product */
  int64_t n_room, n_v, n_own; /* values of a thread */
  int n_threads, n_shares;
  real *panels, *inside, *own;
  int32_t *offset; /* of channels in a transformed input */
  cpu_moments *moments;
  int64_t *n_values;
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
  f.n_threads = team_of(f.in, f.n_out);
  f.n_shares = cpu_shares(f.n_threads);
  f.cut = cpu_winograd_cut_of(f.in, CPU_BLOCK, f.n_threads);
  f.v_stride = f.n_in * f.cut.row + GAP;
  f.n_panels = cpu_panels_count(f.tiles, f.n_out, f.n_in) + GAP;
  f.n_room = room_count(&f.cut);
  f.n_v = cpu_whole_lines(PRODUCTS * f.v_stride + CPU_TILE_SLACK);
  f.n_own = cpu_scratch_apart(f.n_room + f.n_v + PRODUCTS * ROWS * f.cut.row, f.n_threads);
  return f;
}

static dn_status forward_scratch(forward *f) {
  int64_t n_bytes = 0;
  const int64_t n_moments = f->has_stats ? f->n_shares * f->n_out : 0;
  const int64_t panels = cpu_scratch_place(&n_bytes, PRODUCTS * f->n_panels, sizeof *f->panels);
  const int64_t inside = cpu_scratch_place(&n_bytes, 2 * f->cut.phase, sizeof *f->inside);
  const int64_t own = cpu_scratch_place(&n_bytes, f->n_threads * f->n_own, sizeof *f->own);
  const int64_t offset = cpu_scratch_place(&n_bytes, f->n_in, sizeof *f->offset);
  const int64_t moments = cpu_scratch_place(&n_bytes, n_moments, sizeof *f->moments);
  const int64_t n_values = cpu_scratch_place(&n_bytes, f->n_shares, sizeof *f->n_values);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  f->panels = cpu_scratch_at(block, panels);
  f->inside = cpu_scratch_at(block, inside);
  f->own = cpu_scratch_at(block, own);
  f->offset = cpu_scratch_at(block, offset);
  f->moments = cpu_scratch_at(block, moments);
  f->n_values = cpu_scratch_at(block, n_values);
  memset(f->moments, 0, (size_t)n_moments * sizeof *f->moments);
  memset(f->n_values, 0, (size_t)f->n_shares * sizeof *f->n_values);
  for (int t = 0; t < f->n_threads; t++)
    memset(f->own + t * f->n_own, 0, (size_t)f->n_room * sizeof *f->own);
  return DN_OK;
}

/* Output channel k of a part, from its lines. */
static void write_channel(const forward *f, int share, const cpu_winograd_part *part, int64_t k,
                          const real *lines) {
  const int64_t n_pixels = part->n_lines * f->cut.width;
  for (int64_t i = 0; i < part->n_images; i++) {
    real *row = cpu_map_at(f->out, part->image + i, k) + part->top * f->cut.width;
    gather(&f->cut, part, i, lines, row);
    if (f->bias)
      for (int64_t p = 0; p < n_pixels; p++) row[p] += f->bias[k];
    if (f->has_stats) f->tiles->moments(&f->moments[share * f->n_out + k], row, n_pixels, NULL);
  }
}

static void forward_part(const void *call, int share, int64_t index, int64_t next_index) {
  const forward *f = call;
  const cpu_winograd_part part = cpu_winograd_part_of(&f->cut, index);
  const cpu_winograd_part next = cpu_winograd_part_of(&f->cut, next_index);
  real *at = f->own + cpu_thread() * f->n_own, *v = at + f->n_room, *sums = v + f->n_v;
  const room own = room_of(at, &f->cut);
  for (int64_t c = 0; c < f->n_in; c++)
    transform_input(f->tiles, &f->cut, &part, f->in, f->norm, c, f->inside, own, v + c * CPU_BLOCK,
                    f->v_stride, f->n_in * CPU_BLOCK);
  cpu_prefetch prefetch = cpu_prefetch_of(cpu_winograd_rows(&f->cut, &next, f->in),
                                          (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  for (int64_t m = 0; m < f->n_out; m += ROWS) {
    const int64_t n = f->n_out - m < ROWS ? f->n_out - m : ROWS;
    multiply(f->tiles, &f->cut, &part, f->panels, f->n_panels, m, n, f->n_in, v, f->v_stride,
             f->offset, sums, &prefetch);
    for (int64_t k = 0; k < n; k++) {
      f->tiles->winograd.output(own.lines, line_stride(&f->cut), sums + k * f->cut.row,
                                ROWS * f->cut.row, part.tiles.n_tiles);
      write_channel(f, share, &part, m + k, own.lines);
    }
  }
  f->n_values[share] += part.n_images * part.n_lines * f->cut.width;
}

dn_status CPU_REAL(cpu_conv_winograd_forward)(const cpu_conv_forward *call) {
  forward f = forward_of(call);
  DN_TRY(forward_scratch(&f));
  pack_weight(f.tiles, f.panels, f.n_panels, call->weight, call->transposed);
  mark_inside(f.inside, &f.cut);
  cpu_offsets(f.offset, f.n_in, CPU_BLOCK);
  cpu_shares_work(&f, forward_part, f.cut.n_units, f.n_shares, f.n_threads);
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
  int64_t n_in, n_out;
  int64_t n_columns; /* n_in in whole lines: channels of the transposed input */
  cpu_winograd_cut cut;
  int64_t line, image; /* values of the transposed input: a bordered line, a band of one image */
  int64_t z_stride, d_stride; /* values from product to product: input, gradient for either use */
  int64_t n_panels;
  int64_t n_room, n_row, n_z, n_transformed, n_d, n_products, n_own; /* of a thread */
  int64_t n_dw, n_share; /* values of a share: dweight; with the sums of norm's gradients */
  int n_threads, n_shares;
  real *panels, *inside, *own, *shares;
  int32_t *offset;  /* of channels in a transformed gradient */
  int32_t *channel; /* of tiles in the transformed input */
  int32_t *place;   /* of pixels in the transposed input */
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
  b.n_threads = team_of(b.in, b.n_out);
  b.cut = cpu_winograd_cut_of(b.in, CPU_BLOCK, b.n_threads);
  b.line = (SIDE * b.cut.columns + 2) * b.n_columns;
  b.image = (SIDE * b.cut.down + 2) * b.line;
  b.z_stride = b.cut.n_most * b.n_columns + GAP;
  b.d_stride = b.n_out * b.cut.row + GAP;
  b.n_panels = b.has_dx ? cpu_panels_count(b.tiles, b.n_in, b.n_out) + GAP : 0;
  b.n_room = room_count(&b.cut);
  b.n_z = b.has_dweight ? b.cut.group * b.image : 0;
  /* The products of dx take the place of the transformed input, which is no longer needed then. */
  const int64_t n_dx = b.has_dx ? PRODUCTS * ROWS * b.cut.row : 0;
  b.n_transformed = b.has_dweight ? cpu_whole_lines(PRODUCTS * b.z_stride) : 0;
  if (b.n_transformed < n_dx) b.n_transformed = n_dx;
  b.n_d = cpu_whole_lines(PRODUCTS * b.d_stride + CPU_OUTER_ROWS * CPU_BLOCK + CPU_TILE_SLACK);
  b.n_products = b.has_dweight ? PRODUCTS * b.n_out * b.n_columns : 0;
  b.n_row = cpu_whole_blocks((SIDE * b.cut.down + 2) * b.cut.width) + CPU_BLOCK;
  b.n_own = cpu_scratch_apart(b.n_room + b.n_z + b.n_transformed + b.n_d + b.n_products + b.n_row,
                              b.n_threads);
  b.n_dw = b.has_dweight ? 9 * b.n_out * b.n_columns : 0;
  b.n_share = b.n_dw + (b.has_dx ? 2 * CPU_SUM_LANES * b.n_in : 0);
  b.n_shares = b.has_dx ? cpu_shares(b.n_threads) : cpu_shares_of_sums(b.n_threads, b.n_dw);
  return b;
}

static dn_status backward_scratch(backward *b) {
  int64_t n_bytes = 0;
  const int64_t panels = cpu_scratch_place(&n_bytes, PRODUCTS * b->n_panels, sizeof *b->panels);
  const int64_t inside = cpu_scratch_place(&n_bytes, 2 * b->cut.phase, sizeof *b->inside);
  const int64_t own = cpu_scratch_place(&n_bytes, b->n_threads * b->n_own, sizeof *b->own);
  const int64_t shares = cpu_scratch_place(&n_bytes, b->n_shares * b->n_share, sizeof *b->shares);
  const int64_t offset = cpu_scratch_place(&n_bytes, b->n_out, sizeof *b->offset);
  const int64_t channel = cpu_scratch_place(&n_bytes, b->cut.n_most, sizeof *b->channel);
  const int64_t place =
      cpu_scratch_place(&n_bytes, (SIDE * b->cut.down + 2) * b->cut.width, sizeof *b->place);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  b->panels = cpu_scratch_at(block, panels);
  b->inside = cpu_scratch_at(block, inside);
  b->own = cpu_scratch_at(block, own);
  b->shares = cpu_scratch_at(block, shares);
  b->offset = cpu_scratch_at(block, offset);
  b->channel = cpu_scratch_at(block, channel);
  b->place = cpu_scratch_at(block, place);
  for (int t = 0; t < b->n_threads; t++)
    memset(b->own + t * b->n_own, 0, (size_t)(b->n_room + b->n_z) * sizeof *b->own);
  return DN_OK;
}

/* The phases of the part's channel k of the gradient. `row` is room for its lines of one image. */
static void split_gradient(const backward *b, const cpu_winograd_part *part, int64_t k, room own,
                           real *row) {
  const cpu_winograd_cut *cut = &b->cut;
  const cpu_gradient *g = &b->gradient;
  int64_t from, to;
  cpu_winograd_lines(cut, part, &from, &to);
  for (int64_t i = 0; i < part->n_images; i++) {
    const int64_t n = part->image + i, first = from * cut->width;
    const real *lines = cpu_map_at(g->dy, n, k) + first;
    if (g->terms.offset) {
      b->tiles->deferred(row, (cpu_layout){.row = 0, .block = CPU_BLOCK}, lines, 0,
                         cpu_map_at(g->y, n, k) + first, 0, 1, (to - from) * cut->width,
                         (cpu_deferred){.offset = g->terms.offset + k,
                                        .slope = g->terms.slope + k,
                                        .mean = g->terms.mean + k});
      lines = row;
    }
    b->tiles->winograd.stage(own.staged, &part->tiles, i * cut->columns, cut->columns, lines,
                             to - from, cut->width, part->top - from, NULL, NULL);
  }
  b->tiles->winograd.split(own.phases, own.staged, &part->tiles);
}

/* The transposed input of a part, with borders, transformed tile by tile. */
static void transform_z(const backward *b, const cpu_winograd_part *part, real *z,
                        real *transformed) {
  const cpu_winograd_cut *cut = &b->cut;
  int64_t from, to;
  cpu_winograd_lines(cut, part, &from, &to);
  const int64_t above = from - (part->top - 1), n_lines = to - from;
  const int64_t below = SIDE * part->tiles.down + 2 - above - n_lines;
  for (int64_t i = 0; i < part->n_images; i++) {
    real *band = z + i * b->image;
    memset(band, 0, (size_t)(above * b->line) * sizeof *band);
    memset(band + (above + n_lines) * b->line, 0, (size_t)(below * b->line) * sizeof *band);
    b->tiles->transpose(band + above * b->line + b->n_columns, b->place,
                        cpu_map_at(b->in, part->image + i, 0) + from * cut->width,
                        b->in.planes.stride_c, b->n_in, n_lines * cut->width, b->norm.scale,
                        b->norm.shift);
  }
  for (int64_t t = 0; t < part->tiles.n_tiles; t++) {
    const int64_t down = t / part->tiles.across, across = t % part->tiles.across;
    b->tiles->winograd.input_channels(transformed + t * b->n_columns, b->z_stride,
                                      z + across / cut->columns * b->image + SIDE * down * b->line +
                                          SIDE * (across % cut->columns) * b->n_columns,
                                      b->line, b->n_columns, b->n_in);
  }
}

/* The products of the weight gradient. `d` is room for the transformed gradient. */
static void part_dweight(const backward *b, const cpu_winograd_part *part,
                         const cpu_winograd_part *next, room own, real *row, real *z,
                         real *transformed, real *d, real *products) {
  transform_z(b, part, z, transformed);
  for (int64_t k = 0; k < b->n_out; k++) {
    split_gradient(b, part, k, own, row);
    b->tiles->winograd.gradient(d + k * CPU_BLOCK, b->d_stride, b->n_out * CPU_BLOCK, own.phases,
                                &part->tiles);
  }
  cpu_prefetch prefetch = cpu_prefetch_of(cpu_winograd_rows(&b->cut, part, b->din),
                                          cpu_winograd_rows(&b->cut, next, b->gradient.dy),
                                          cpu_winograd_rows(&b->cut, next, b->gradient.y));
  for (int f = 0; f < PRODUCTS; f++)
    b->tiles->outer(products + f * b->n_out * b->n_columns, b->n_columns, b->n_out, b->n_in,
                    d + f * b->d_stride,
                    (cpu_layout){.row = CPU_BLOCK, .block = b->n_out * CPU_BLOCK},
                    transformed + f * b->z_stride, b->channel, part->tiles.n_tiles, &prefetch);
}

/* Channel c of dx, from its lines; the sums of its norm's gradients. */
static void write_dx(const backward *b, const cpu_winograd_part *part, int64_t c, const real *lines,
                     real *row, real *sums) {
  const int64_t n_pixels = part->n_lines * b->cut.width, first = part->top * b->cut.width;
  const cpu_norm norm = {b->norm.mean + c, b->norm.inv_std + c, b->norm.scale + c,
                         b->norm.shift + c};
  for (int64_t i = 0; i < part->n_images; i++) {
    gather(&b->cut, part, i, lines, row);
    b->tiles->norm_relu_backward(cpu_map_at(b->din, part->image + i, c) + first, 0, row, 0,
                                 cpu_map_at(b->in, part->image + i, c) + first, 0, 1, n_pixels,
                                 norm, sums + c * 2 * CPU_SUM_LANES, b->accumulate);
  }
}

static void part_dx(const backward *b, const cpu_winograd_part *part, const cpu_winograd_part *next,
                    room own, real *row, real *d, real *products, real *sums) {
  for (int64_t k = 0; k < b->n_out; k++) {
    split_gradient(b, part, k, own, row);
    b->tiles->winograd.input(d + k * CPU_BLOCK, b->d_stride, b->n_out * CPU_BLOCK, own.phases,
                             &part->tiles, b->inside, own.half);
  }
  cpu_prefetch prefetch = cpu_prefetch_of(cpu_winograd_rows(&b->cut, next, b->in),
                                          (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  for (int64_t m = 0; m < b->n_in; m += ROWS) {
    const int64_t n = b->n_in - m < ROWS ? b->n_in - m : ROWS;
    multiply(b->tiles, &b->cut, part, b->panels, b->n_panels, m, n, b->n_out, d, b->d_stride,
             b->offset, products, &prefetch);
    for (int64_t c = 0; c < n; c++) {
      b->tiles->winograd.output(own.lines, line_stride(&b->cut), products + c * b->cut.row,
                                ROWS * b->cut.row, part->tiles.n_tiles);
      write_dx(b, part, m + c, own.lines, row, sums);
    }
  }
}

static void backward_part(const backward *b, cpu_winograd_part part, cpu_winograd_part next,
                          real *sums) {
  real *at = b->own + cpu_thread() * b->n_own, *z = at + b->n_room, *transformed = z + b->n_z;
  real *d = transformed + b->n_transformed, *products = d + b->n_d;
  real *row = products + b->n_products;
  const room own = room_of(at, &b->cut);
  if (b->has_dweight) part_dweight(b, &part, &next, own, row, z, transformed, d, products);
  if (b->has_dx) part_dx(b, &part, &next, own, row, d, transformed, sums);
}

/* A thread's products of the weight gradient, which a share begins with zeros and ends as weights. */
static real *products_of(const backward *b) {
  return b->own + cpu_thread() * b->n_own + b->n_room + b->n_z + b->n_transformed + b->n_d;
}

/* dweight += scale times the shares' sum, taps last. */
static void add_dweight(const backward *b, dn_tensor *dweight, double scale) {
  real *total = dn_tensor_data(dweight);
  const real *dw = cpu_shares_join(b->shares, b->n_share, b->n_dw, b->n_shares);
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t k = 0; k < b->n_out; k++)
      for (int64_t c = 0; c < b->n_in; c++)
        total[(k * b->n_in + c) * 9 + tap] +=
            (real)scale * dw[(tap * b->n_out + k) * b->n_columns + c];
}

static void backward_share(const backward *b, int share) {
  real *dw = b->shares + share * b->n_share, *sums = dw + b->n_dw, *products = products_of(b);
  memset(dw, 0, (size_t)b->n_share * sizeof *dw);
  memset(products, 0, (size_t)b->n_products * sizeof *products);
  int64_t index, end;
  cpu_share(b->cut.n_units, b->n_shares, share, &index, &end);
  for (; index < end; index++)
    backward_part(b, cpu_winograd_part_of(&b->cut, index),
                  cpu_winograd_part_of(&b->cut, index + 1 < end ? index + 1 : index), sums);
  const int64_t n = b->n_out * b->n_columns;
  if (b->has_dweight) b->tiles->winograd.weight_gradient(dw, n, products, n, n);
}

dn_status CPU_REAL(cpu_conv_winograd_backward)(const cpu_conv_backward *call) {
  backward b = backward_of(call);
  DN_TRY(backward_scratch(&b));
  if (b.has_dx) pack_weight(b.tiles, b.panels, b.n_panels, call->weight, true);
  mark_inside(b.inside, &b.cut);
  cpu_offsets(b.offset, b.n_out, CPU_BLOCK);
  cpu_offsets(b.channel, b.cut.n_most, b.n_columns);
  for (int64_t p = 0; p < (SIDE * b.cut.down + 2) * b.cut.width; p++)
    b.place[p] = (int32_t)(p / b.cut.width * b.line + p % b.cut.width * b.n_columns);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(b.n_threads)
  for (int s; (s = cpu_next(&queue)) < b.n_shares;) backward_share(&b, s);
  if (b.has_dweight) add_dweight(&b, call->dweight, call->scale);
  if (b.has_dx) cpu_sums_write(call->dnorm, b.shares + b.n_dw, b.n_share, b.n_shares, b.norm);
  return DN_OK;
}
