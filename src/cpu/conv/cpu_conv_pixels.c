/*
** A product whose right operand is made on the way. A thread takes units of output pixels, a part of
** an image or several small images; a unit's input is packed into blocks that stay in its cache,
** normalised and rectified or unfolded, then multiplied. Backward, the same blocks serve the weight
** gradient, whose sum runs over pixels. What the next step reads is prefetched while this one multiplies.
*/
#include "cpu_conv_pixels.h"

#include <string.h>

#include "cpu_gradient.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_patches.h"
#include "cpu_shares.h"

/*
** Measured: parts long enough for memory to stream, units small enough for the second-level cache;
** the weight gradient gains from long sums. ROW_GAP keeps rows from falling on the same cache sets.
*/
enum {
  FORWARD_PIECE = 256,
  FORWARD_VALUES = 512 * 1024 / sizeof(real), /* of a unit's packed input and its output */
  BACKWARD_PIECE = 256,
  BACKWARD_VALUES = 384 * 1024 / sizeof(real), /* of its packed input and gradient */
  BACKWARD_ROWS =
      96, /* input channels at a time, in whole panels; 216 take as long, and more scratch */
  ROW_GAP = 16
};

/* How the pixels of all images are cut. Parts of a unit are packed one behind the other. */
typedef struct pixel_cut {
  int64_t size;    /* pixels of an image */
  int64_t piece;   /* of a part of an image */
  int64_t n_parts; /* parts of an image */
  int64_t n_all;   /* parts of all images */
  int64_t group;   /* parts (of one image or of several) of one unit */
  int64_t n_units;
} pixel_cut;

static pixel_cut cut_of(int64_t n_images, int64_t size, int64_t n_rows, int64_t most,
                        int64_t values) {
  int64_t budget = values / n_rows / CPU_BLOCK * CPU_BLOCK;
  if (budget > most) budget = most;
  if (budget < 2 * CPU_BLOCK) budget = 2 * CPU_BLOCK;
  pixel_cut made = {.size = size};
  made.piece = size < budget ? size : budget;
  made.n_parts = (size + made.piece - 1) / made.piece;
  made.n_all = n_images * made.n_parts;
  made.group = made.n_parts > 1 ? 1 : budget / cpu_whole_blocks(size);
  if (made.group > n_images) made.group = n_images;
  made.n_units = (made.n_all + made.group - 1) / made.group;
  return made;
}

/* Part `index` of all: n_pixels of image n from pixel `first` on. */
typedef struct image_part {
  int64_t n, first, n_pixels;
} image_part;

static image_part part_of(const pixel_cut *cut, int64_t index) {
  const int64_t first = index % cut->n_parts * cut->piece, left = cut->size - first;
  return (image_part){index / cut->n_parts, first, left < cut->piece ? left : cut->piece};
}

/* Where the right operand comes from: input planes, or patches of them, which are not rectified. */
typedef struct source {
  cpu_map in;
  cpu_norm norm;
  bool has_patches;
  cpu_patches patches;
} source;

static source source_of(const dn_tensor *x, const dn_tensor *norm, const dn_tensor *weight,
                        int64_t width, dn_conv2d options) {
  source made = {.in = cpu_map_of(x), .norm = cpu_norm_of(norm)};
  made.has_patches = !cpu_conv_is_1x1(weight, options);
  if (made.has_patches) made.patches = cpu_patches_of(x, weight, width, options);
  return made;
}

static cpu_prefetch_rows rows_of(cpu_map map, image_part p) {
  return cpu_map_rows(map, p.n, p.first, p.n_pixels);
}

/* Channels [c, c + n) of them. */
static cpu_prefetch_rows range_of(cpu_prefetch_rows rows, int64_t c, int64_t n) {
  rows.at += rows.at ? c * rows.stride : 0;
  if (rows.n_rows > 0) rows.n_rows = n;
  return rows;
}

static const real *at_part(cpu_map map, image_part p) { return cpu_map_at(map, p.n, 0) + p.first; }

/* What the source will be read for; patches lie where the part before has been. */
static cpu_prefetch_rows rows_of_source(const source *from, image_part p) {
  return from->has_patches ? (cpu_prefetch_rows){0} : rows_of(from->in, p);
}

/* Rows [c, c + n_rows): input channels, or all there are of patches. */
static void pack(const cpu_tiles *tiles, const source *from, image_part p, int64_t c,
                 int64_t n_rows, real *z, cpu_layout layout) {
  if (from->has_patches)
    cpu_patches_gather(&from->patches, cpu_map_at(from->in, p.n, 0), p.first, p.n_pixels, z,
                       layout);
  else
    tiles->norm_relu(z, layout, at_part(from->in, p) + c * from->in.planes.stride_c,
                     from->in.planes.stride_c, n_rows, p.n_pixels,
                     from->norm.scale ? from->norm.scale + c : NULL,
                     from->norm.shift ? from->norm.shift + c : NULL);
}

/* ---- Forward ---- */

/* What the shares of a call have in common. */
typedef struct forward {
  const cpu_tiles *tiles;
  source from;
  cpu_map out;
  const real *bias;    /* or NULL */
  int64_t n_in, n_out; /* rows of the right operand, of the product */
  pixel_cut cut;
  cpu_layout layout;   /* of z */
  int64_t n_z, stride; /* values of z; between rows of the product */
  int64_t n_own;       /* values of a thread's z and product */
  int n_threads, n_shares;
  bool has_stats;
  real *panels, *own;
  int32_t *offset;      /* of z's rows */
  cpu_moments *moments; /* n_out a share */
  int64_t *n_values;    /* pixels of a share */
} forward;

static forward forward_of(const cpu_conv_forward *call) {
  const dn_tensor *const weight = call->weight;
  forward f = {.tiles = cpu_tiles_best(),
               .from = source_of(call->x, call->norm, weight, call->y->size[3], call->options),
               .out = cpu_map_of(call->y),
               .bias = call->bias ? dn_tensor_data(call->bias) : NULL,
               .has_stats = call->stats != NULL};
  f.n_in = call->transposed ? weight->size[0] : weight->size[1] * weight->size[2] * weight->size[3];
  f.n_out = f.out.planes.c;
  f.cut =
      cut_of(f.out.planes.n, f.out.planes.size, f.n_in + f.n_out, FORWARD_PIECE, FORWARD_VALUES);
  f.layout = (cpu_layout){.row = CPU_BLOCK, .block = CPU_BLOCK * f.n_in};
  f.n_z = cpu_whole_lines(f.n_in * cpu_whole_blocks(f.cut.piece) + CPU_TILE_SLACK);
  f.stride = cpu_whole_blocks(f.cut.piece) + ROW_GAP;
  f.n_threads = cpu_team(f.out.planes.n * f.out.planes.size * f.n_in);
  f.n_own = cpu_scratch_apart(f.n_z + f.n_out * f.stride, f.n_threads);
  f.n_shares = cpu_shares(f.n_threads);
  return f;
}

static dn_status forward_scratch(forward *f) {
  int64_t n_bytes = 0;
  const int64_t n_moments = f->has_stats ? f->n_shares * f->n_out : 0;
  const int64_t panels =
      cpu_scratch_place(&n_bytes, cpu_panels_count(f->tiles, f->n_out, f->n_in), sizeof *f->panels);
  const int64_t offset = cpu_scratch_place(&n_bytes, f->n_in, sizeof *f->offset);
  const int64_t own = cpu_scratch_place(&n_bytes, f->n_threads * f->n_own, sizeof *f->own);
  const int64_t moments = cpu_scratch_place(&n_bytes, n_moments, sizeof *f->moments);
  const int64_t n_values = cpu_scratch_place(&n_bytes, f->n_shares, sizeof *f->n_values);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  f->panels = cpu_scratch_at(block, panels);
  f->offset = cpu_scratch_at(block, offset);
  f->own = cpu_scratch_at(block, own);
  f->moments = cpu_scratch_at(block, moments);
  f->n_values = cpu_scratch_at(block, n_values);
  memset(f->moments, 0, (size_t)n_moments * sizeof *f->moments);
  memset(f->n_values, 0, (size_t)f->n_shares * sizeof *f->n_values);
  return DN_OK;
}

static void add_bias(real *row, int64_t n, real bias) {
  for (int64_t i = 0; i < n; i++) row[i] += bias;
}

static void forward_part(const void *call, int share, int64_t index, int64_t next_index) {
  const forward *f = call;
  const image_part here = part_of(&f->cut, index), next = part_of(&f->cut, next_index);
  real *z = f->own + cpu_thread() * f->n_own, *product = z + f->n_z;
  pack(f->tiles, &f->from, here, 0, f->n_in, z, f->layout);
  cpu_prefetch prefetch = cpu_prefetch_of(rows_of(f->out, here), rows_of_source(&f->from, next),
                                          (cpu_prefetch_rows){0});
  f->tiles->product(product, f->stride, f->n_out, f->panels, f->n_in, z, f->offset, f->layout.block,
                    here.n_pixels, &prefetch);
  real *to = cpu_map_at(f->out, here.n, 0) + here.first;
  for (int64_t k = 0; k < f->n_out; k++) {
    real *row = product + k * f->stride, *out_row = to + k * f->out.planes.stride_c;
    if (f->bias) add_bias(row, here.n_pixels, f->bias[k]);
    if (f->has_stats)
      f->tiles->moments(&f->moments[share * f->n_out + k], row, here.n_pixels, out_row);
    else
      memcpy(out_row, row, (size_t)here.n_pixels * sizeof *row);
  }
  f->n_values[share] += here.n_pixels;
}

/* Rows are output channels, columns the weights that each has for a row of the right operand. */
static void pack_weight(forward *f, const cpu_conv_forward *call) {
  const int64_t n_channels = call->weight->size[1];
  cpu_offsets(f->offset, f->n_in, call->transposed ? n_channels : 1);
  cpu_pack_panels(f->tiles, f->panels, dn_tensor_data(call->weight), f->n_out,
                  call->transposed ? 1 : f->n_in, f->n_in, f->offset);
}

dn_status CPU_REAL(cpu_conv_pixels_forward)(const cpu_conv_forward *call) {
  forward f = forward_of(call);
  DN_TRY(forward_scratch(&f));
  pack_weight(&f, call);
  cpu_offsets(f.offset, f.n_in, f.layout.row);
  cpu_shares_work(&f, forward_part, f.cut.n_all, f.n_shares, f.n_threads);
  if (call->stats) cpu_moments_write(call->stats, f.moments, f.n_values, f.n_shares);
  return DN_OK;
}

/* ---- Backward ---- */

/* What the shares of a call have in common. A unit's parts lie part_blocks apart in z and d. */
typedef struct backward {
  const cpu_tiles *tiles;
  source from;
  cpu_map din;
  cpu_gradient gradient;
  bool accumulate, has_dx, has_dweight;
  int64_t n_in, n_out; /* rows of the right operand, of the product */
  int64_t n_columns;   /* of the transposed gradient: n_out in whole lines */
  int64_t n_rows;      /* of the right operand that are packed at a time */
  pixel_cut cut;
  int64_t part_blocks, n_blocks; /* of a part, of a unit */
  cpu_layout z_layout, d_layout; /* of the input and of the gradient, packed */
  int64_t n_z, n_d, n_own;       /* values: of a thread's z, d, and with d transposed */
  int64_t n_dw, n_share;         /* values: of a share's dweight, and with its sums */
  int n_threads, n_shares;
  real *panels, *own, *shares;
  int32_t *offset, *transposed_offset; /* of d's rows; of pixels in d transposed */
} backward;

/* As equal as whole panels allow: what each of them does not compute hides the reading of the next. */
static int64_t rows_at_a_time(int64_t n_in) {
  const int64_t n_times = (n_in + BACKWARD_ROWS - 1) / BACKWARD_ROWS, panel = 12;
  const int64_t rows = ((n_in + n_times - 1) / n_times + panel - 1) / panel * panel;
  return rows < n_in ? rows : n_in;
}

static backward backward_of(const cpu_conv_backward *call) {
  const dn_tensor *const weight = call->dweight ? call->dweight : call->weight;
  backward b = {
      .tiles = cpu_tiles_best(),
      .from = source_of(call->x, call->norm, weight, call->dy->size[3], call->options),
      .din = cpu_map_of(call->dx),
      .gradient = cpu_gradient_of(call->dy, call->y, call->deferred),
      .accumulate = call->accumulate,
      .has_dx = call->dx != NULL,
      .has_dweight = call->dweight != NULL,
  };
  const cpu_planes planes = b.gradient.dy.planes;
  b.n_in = weight->size[1] * weight->size[2] * weight->size[3];
  b.n_out = planes.c;
  b.n_columns = cpu_whole_lines(b.n_out);
  b.n_rows = b.from.has_patches ? b.n_in : rows_at_a_time(b.n_in);
  b.cut = cut_of(planes.n, planes.size, b.n_rows + 2 * b.n_out, BACKWARD_PIECE, BACKWARD_VALUES);
  b.part_blocks = cpu_whole_blocks(b.cut.piece) / CPU_BLOCK;
  b.n_blocks = b.cut.group * b.part_blocks;
  b.z_layout = (cpu_layout){.row = CPU_BLOCK, .block = CPU_BLOCK * b.n_rows};
  b.d_layout = (cpu_layout){.row = CPU_BLOCK, .block = CPU_BLOCK * b.n_out};
  b.n_z = b.n_blocks * b.z_layout.block + CPU_OUTER_ROWS * CPU_BLOCK;
  b.n_d = b.n_blocks * b.d_layout.block;
  b.n_dw = b.n_in * b.n_columns;
  b.n_share = b.n_dw + (b.has_dx ? 2 * CPU_SUM_LANES * b.n_in : 0);
  b.n_threads = cpu_team(planes.n * planes.size * b.n_in);
  b.n_own = cpu_scratch_apart(b.n_z + b.n_d + b.n_blocks * CPU_BLOCK * b.n_columns, b.n_threads);
  b.n_shares = b.has_dx ? cpu_shares(b.n_threads) : cpu_shares_of_sums(b.n_threads, b.n_dw);
  return b;
}

static dn_status backward_scratch(backward *b) {
  int64_t n_bytes = 0;
  const int64_t n_panels = b->has_dx ? cpu_panels_count(b->tiles, b->n_in, b->n_out) : 0;
  const int64_t panels = cpu_scratch_place(&n_bytes, n_panels, sizeof *b->panels);
  const int64_t offset = cpu_scratch_place(&n_bytes, b->n_out, sizeof *b->offset);
  const int64_t transposed_offset =
      cpu_scratch_place(&n_bytes, b->n_blocks * CPU_BLOCK, sizeof *b->transposed_offset);
  const int64_t own = cpu_scratch_place(&n_bytes, b->n_threads * b->n_own, sizeof *b->own);
  const int64_t shares = cpu_scratch_place(&n_bytes, b->n_shares * b->n_share, sizeof *b->shares);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  b->panels = cpu_scratch_at(block, panels);
  b->offset = cpu_scratch_at(block, offset);
  b->transposed_offset = cpu_scratch_at(block, transposed_offset);
  b->own = cpu_scratch_at(block, own);
  b->shares = cpu_scratch_at(block, shares);
  return DN_OK;
}

/* Parts [first, first + n) of a unit, and rows [c, c + n_rows) of the right operand. */
typedef struct piece {
  int64_t first, n, c, n_rows;
  bool is_last; /* of the unit's rows */
} piece;

/* d of a unit's parts, packed; returns how many pixels are filled, zeros included. */
static int64_t pack_d(const backward *b, int64_t first, int64_t n, real *d) {
  for (int64_t i = 0; i < n; i++) {
    const image_part here = part_of(&b->cut, first + i);
    cpu_gradient_pack(b->tiles, b->gradient, here.n, here.first, here.n_pixels,
                      d + i * b->part_blocks * b->d_layout.block, b->d_layout);
  }
  /* The last part may be short; its rows end in zeros at the next block. */
  const image_part last = part_of(&b->cut, first + n - 1);
  return (n - 1) * b->part_blocks * CPU_BLOCK + cpu_whole_blocks(last.n_pixels);
}

static void transpose_d(const backward *b, int64_t n_filled, const real *d, real *transposed) {
  for (int64_t p = 0; p < n_filled; p += CPU_BLOCK)
    b->tiles->transpose(transposed, b->transposed_offset + p, d + p * b->n_out, CPU_BLOCK, b->n_out,
                        CPU_BLOCK, NULL, NULL);
}

/* The piece's rows of dweight += z times d transposed. */
static void piece_dweight(const backward *b, piece at, int64_t n_filled, real *z,
                          const real *transposed, real *dw) {
  for (int64_t i = 0; i < at.n; i++)
    pack(b->tiles, &b->from, part_of(&b->cut, at.first + i), at.c, at.n_rows,
         z + i * b->part_blocks * b->z_layout.block, b->z_layout);
  const int64_t next = at.first + b->cut.group < b->cut.n_all ? at.first + b->cut.group : at.first;
  const image_part here = part_of(&b->cut, at.first), then = part_of(&b->cut, next);
  const cpu_prefetch_rows none = {0};
  cpu_prefetch prefetch = cpu_prefetch_of(range_of(rows_of(b->din, here), at.c, at.n_rows),
                                          at.is_last ? rows_of(b->gradient.dy, then) : none,
                                          at.is_last ? rows_of(b->gradient.y, then) : none);
  b->tiles->outer(dw + at.c * b->n_columns, b->n_columns, at.n_rows, b->n_out, z, b->z_layout,
                  transposed, b->transposed_offset, n_filled, &prefetch);
}

/* What of the source is read when part `index` of the piece is done: its next rows, or a later part's first ones. */
static cpu_prefetch_rows source_behind(const backward *b, piece at, int64_t index) {
  const int64_t later = index + b->cut.group;
  const image_part part = part_of(&b->cut, at.is_last && later < b->cut.n_all ? later : index);
  const int64_t c = at.is_last ? 0 : at.c + at.n_rows, left = b->n_in - c;
  return range_of(rows_of_source(&b->from, part), c, left < b->n_rows ? left : b->n_rows);
}

/* The piece's rows of dx, and the sums of norm's gradients. */
static void piece_dx(const backward *b, piece at, const real *d, real *sums) {
  const cpu_norm all = b->from.norm;
  const cpu_norm norm = {all.mean + at.c, all.inv_std + at.c, all.scale + at.c, all.shift + at.c};
  const int64_t stride = b->from.in.planes.stride_c, dx_stride = b->din.planes.stride_c;
  for (int64_t i = 0; i < at.n; i++) {
    const image_part here = part_of(&b->cut, at.first + i);
    cpu_prefetch prefetch = cpu_prefetch_of(source_behind(b, at, at.first + i),
                                            (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
    b->tiles->product_norm_relu_backward(
        cpu_map_at(b->din, here.n, at.c) + here.first, dx_stride, at.n_rows,
        b->panels + at.c * b->n_out, b->n_out, d + i * b->part_blocks * b->d_layout.block,
        b->offset, b->d_layout.block, here.n_pixels, at_part(b->from.in, here) + at.c * stride,
        stride, norm, sums + at.c * 2 * CPU_SUM_LANES, b->accumulate, &prefetch);
  }
}

static void backward_unit(const backward *b, int64_t unit, real *dw, real *sums) {
  real *z = b->own + cpu_thread() * b->n_own, *d = z + b->n_z, *transposed = d + b->n_d;
  const int64_t first = unit * b->cut.group, left = b->cut.n_all - first;
  piece at = {.first = first, .n = left < b->cut.group ? left : b->cut.group};
  const int64_t n_filled = pack_d(b, first, at.n, d);
  if (b->has_dweight) transpose_d(b, n_filled, d, transposed);
  for (; at.c < b->n_in; at.c += at.n_rows) {
    const int64_t n_left = b->n_in - at.c;
    at.n_rows = n_left < b->n_rows ? n_left : b->n_rows;
    at.is_last = at.n_rows == n_left;
    if (b->has_dweight) piece_dweight(b, at, n_filled, z, transposed, dw);
    if (b->has_dx) piece_dx(b, at, d, sums);
  }
}

/* dweight += scale times the shares' sum, transposed. */
static void add_dweight(const backward *b, dn_tensor *dweight, double scale) {
  real *total = dn_tensor_data(dweight);
  const real *dw = cpu_shares_join(b->shares, b->n_share, b->n_dw, b->n_shares);
  const int n_threads = cpu_team(b->n_in * b->n_out);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t k = 0; k < b->n_out; k++)
    for (int64_t c = 0; c < b->n_in; c++)
      total[k * b->n_in + c] += (real)scale * dw[c * b->n_columns + k];
}

dn_status CPU_REAL(cpu_conv_pixels_backward)(const cpu_conv_backward *call) {
  backward b = backward_of(call);
  DN_TRY(backward_scratch(&b));
  if (b.has_dx) {
    cpu_offsets(b.offset, b.n_out, b.n_in);
    cpu_pack_panels(b.tiles, b.panels, dn_tensor_data(call->weight), b.n_in, 1, b.n_out, b.offset);
  }
  cpu_offsets(b.offset, b.n_out, CPU_BLOCK);
  cpu_offsets(b.transposed_offset, b.n_blocks * CPU_BLOCK, b.n_columns);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(b.n_threads)
  for (int s; (s = cpu_next(&queue)) < b.n_shares;) {
    real *dw = b.shares + s * b.n_share, *sums = dw + b.n_dw;
    memset(dw, 0, (size_t)b.n_share * sizeof *dw);
    int64_t unit, end;
    cpu_share(b.cut.n_units, b.n_shares, s, &unit, &end);
    for (; unit < end; unit++) backward_unit(&b, unit, dw, sums);
  }
  if (b.has_dweight) add_dweight(&b, call->dweight, call->scale);
  if (b.has_dx) cpu_sums_write(call->dnorm, b.shares + b.n_dw, b.n_share, b.n_shares, b.from.norm);
  return DN_OK;
}
