/*
** 1x1: a product whose right operand is made on the way. A thread takes units of pixels, a part of
** an image or several small images; a unit is normalised, rectified and packed into blocks that
** stay in its cache, then multiplied. Backward, the same blocks serve the weight gradient, whose
** sum runs over pixels. What the next step reads is asked for while this one multiplies.
*/
#include <string.h>

#include "cpu_norm_relu_conv.h"
#include "cpu_parallel.h"
#include "cpu_scratch.h"

/*
** Measured: parts long enough for memory to stream, units small enough for the second-level cache;
** the weight gradient gains from long sums. ROW_GAP keeps rows from falling on the same cache sets.
*/
enum {
  FORWARD_PIECE = 256,
  FORWARD_FLOATS = 128 * 1024, /* of a unit's packed input and its output */
  BACKWARD_PIECE = 256,
  BACKWARD_FLOATS = 96 * 1024, /* of its packed input and gradient */
  ROW_GAP = 16
};

static int64_t to_blocks(int64_t n) { return (n + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK; }

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
                        int64_t floats) {
  int64_t budget = floats / n_rows / CPU_BLOCK * CPU_BLOCK;
  if (budget > most) budget = most;
  if (budget < 2 * CPU_BLOCK) budget = 2 * CPU_BLOCK;
  pixel_cut made = {.size = size};
  made.piece = size < budget ? size : budget;
  made.n_parts = (size + made.piece - 1) / made.piece;
  made.n_all = n_images * made.n_parts;
  made.group = made.n_parts > 1 ? 1 : budget / to_blocks(size);
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

static cpu_far far_of(cpu_map map, image_part p) {
  return cpu_map_far(map, p.n, p.first, p.n_pixels);
}

static const float *at_part(cpu_map map, image_part p) { return cpu_map_at(map, p.n, 0) + p.first; }

static void offsets(int32_t *offset, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; i++) offset[i] = (int32_t)(i * stride);
}

dn_status cpu_norm_relu_conv1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), out = cpu_map_of(y);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int64_t n_in = in.planes.c, n_out = out.planes.c;
  const pixel_cut cut =
      cut_of(in.planes.n, in.planes.size, n_in + n_out, FORWARD_PIECE, FORWARD_FLOATS);
  const int n_threads = cpu_team(in.planes.n * in.planes.size * n_in);
  const cpu_layout layout = {.row = CPU_BLOCK, .block = CPU_BLOCK * n_in};
  const int64_t stride = to_blocks(cut.piece) + ROW_GAP;

  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_out, n_in));
  const int64_t n_z = n_in * to_blocks(cut.piece) + CPU_TILE_SLACK;
  const int64_t n_own = cpu_whole_lines(n_z) + cpu_whole_lines(n_out * stride);
  const int n_shares = cpu_shares(n_threads);
  const int64_t n_moments = stats ? n_shares * n_out * (int64_t)sizeof(cpu_moments) : 0;
  const int64_t n_counts = n_shares * (int64_t)sizeof(int64_t);
  void *scratch;
  DN_TRY(cpu_scratch(
      (n_panels + cpu_whole_lines(n_in) + n_threads * n_own) * 4 + n_moments + n_counts, &scratch));
  float *panels = scratch, *own = panels + n_panels + cpu_whole_lines(n_in);
  int32_t *offset = (int32_t *)(void *)(panels + n_panels);
  cpu_moments *moments = (cpu_moments *)(void *)(own + n_threads * n_own);
  int64_t *n_values = (int64_t *)(void *)((char *)moments + n_moments);
  memset(moments, 0, (size_t)n_moments);
  offsets(offset, n_in, 1);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_out, n_in, n_in, offset);
  offsets(offset, n_in, layout.row);

  cpu_queue queue = {0};
#pragma omp parallel num_threads(n_threads)
  for (int s; (s = cpu_next(&queue)) < n_shares;) {
    float *z = own + cpu_thread() * n_own, *product = z + cpu_whole_lines(n_z);
    int64_t index, end;
    cpu_share(cut.n_all, n_shares, s, &index, &end);
    n_values[s] = 0;
    for (; index < end; index++) {
      const image_part here = part_of(&cut, index);
      const image_part next = part_of(&cut, index + 1 < end ? index + 1 : index);
      tiles->norm_relu(z, layout, at_part(in, here), in.planes.stride_c, n_in, here.n_pixels,
                       vectors.scale, vectors.shift);
      cpu_ahead soon = cpu_ahead_of(far_of(in, next), (cpu_far){0}, (cpu_far){0});
      tiles->product(product, stride, n_out, panels, n_in, z, offset, layout.block, here.n_pixels,
                     &soon);
      float *to = cpu_map_at(out, here.n, 0) + here.first;
      for (int64_t k = 0; k < n_out; k++) {
        float *row = product + k * stride, *out_row = to + k * out.planes.stride_c;
        if (stats)
          tiles->moments(&moments[s * n_out + k], row, here.n_pixels, out_row);
        else
          memcpy(out_row, row, (size_t)here.n_pixels * sizeof *row);
      }
      n_values[s] += here.n_pixels;
    }
  }
  if (stats) cpu_moments_write(stats, moments, n_values, n_shares);
  return DN_OK;
}

dn_status cpu_norm_relu_conv1x1_backward(dn_tensor *dx, dn_tensor *dnorm, dn_tensor *dweight,
                                         const dn_tensor *dy, const dn_tensor *y,
                                         const dn_tensor *deferred, const dn_tensor *x,
                                         const dn_tensor *norm, const dn_tensor *weight,
                                         bool accumulate, double scale) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), din = cpu_map_of(dx);
  const cpu_gradient gradient = cpu_gradient_of(dy, y, deferred);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int64_t n_in = in.planes.c, n_out = gradient.dy.planes.c;
  const pixel_cut cut =
      cut_of(in.planes.n, in.planes.size, n_in + 2 * n_out, BACKWARD_PIECE, BACKWARD_FLOATS);
  const int n_threads = cpu_team(in.planes.n * in.planes.size * n_in);
  const int64_t part_blocks = to_blocks(cut.piece) / CPU_BLOCK, n_blocks = cut.group * part_blocks;
  const cpu_layout z_layout = {.row = CPU_BLOCK, .block = CPU_BLOCK * n_in};
  const cpu_layout d_layout = {.row = CPU_BLOCK, .block = CPU_BLOCK * n_out};
  const int64_t n_columns = cpu_whole_lines(n_out); /* of the transposed gradient */

  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_in, n_out));
  const int64_t n_z = n_blocks * z_layout.block + CPU_OUTER_ROWS * CPU_BLOCK;
  const int64_t n_d = n_blocks * d_layout.block, n_turned = n_blocks * CPU_BLOCK * n_columns;
  const int64_t n_dw = n_in * n_columns, n_sums = 2 * CPU_SUM_LANES * n_in;
  const int64_t n_own = n_z + n_d + n_turned, n_share = n_dw + n_sums;
  const int n_shares = cpu_shares(n_threads);
  const int64_t n_offsets = cpu_whole_lines(n_out), n_turns = n_blocks * CPU_BLOCK;
  void *scratch;
  DN_TRY(cpu_scratch((n_panels + n_offsets + n_turns + n_threads * n_own + n_shares * n_share) * 4,
                     &scratch));
  float *panels = scratch, *own = panels + n_panels + n_offsets + n_turns;
  float *shares = own + n_threads * n_own;
  int32_t *offset = (int32_t *)(void *)(panels + n_panels), *turn = offset + n_offsets;
  offsets(offset, n_out, n_in);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_in, 1, n_out, offset);
  offsets(offset, n_out, CPU_BLOCK);
  offsets(turn, n_turns, n_columns);

  cpu_queue queue = {0};
#pragma omp parallel num_threads(n_threads)
  for (int s; (s = cpu_next(&queue)) < n_shares;) {
    float *z = own + cpu_thread() * n_own, *d = z + n_z, *turned = d + n_d;
    float *dw = shares + s * n_share, *sums = dw + n_dw;
    memset(dw, 0, (size_t)n_share * sizeof *dw);
    int64_t unit, end;
    cpu_share(cut.n_units, n_shares, s, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t first_part = unit * cut.group, left = cut.n_all - first_part;
      const int64_t n_here = left < cut.group ? left : cut.group;
      for (int64_t i = 0; i < n_here; i++) {
        const image_part here = part_of(&cut, first_part + i);
        tiles->norm_relu(z + i * part_blocks * z_layout.block, z_layout, at_part(in, here),
                         in.planes.stride_c, n_in, here.n_pixels, vectors.scale, vectors.shift);
        cpu_gradient_pack(tiles, gradient, here.n, here.first, here.n_pixels,
                          d + i * part_blocks * d_layout.block, d_layout);
      }
      /* The last part may be short; its rows end in zeros at the next block. */
      const image_part last = part_of(&cut, first_part + n_here - 1);
      const int64_t n_filled = (n_here - 1) * part_blocks * CPU_BLOCK + to_blocks(last.n_pixels);
      for (int64_t p = 0; p < n_filled; p += CPU_BLOCK)
        tiles->transpose(turned, turn + p, d + p * n_out, CPU_BLOCK, n_out, CPU_BLOCK, NULL, NULL);
      const int64_t next_unit =
          first_part + cut.group < cut.n_all ? first_part + cut.group : first_part;
      const image_part then = part_of(&cut, next_unit);
      cpu_ahead soon = cpu_ahead_of(far_of(din, part_of(&cut, first_part)),
                                    far_of(gradient.dy, then), far_of(gradient.y, then));
      tiles->outer(dw, n_columns, n_in, n_out, z, z_layout, turned, turn, n_filled, &soon);
      for (int64_t i = 0; i < n_here; i++) {
        const int64_t index = first_part + i, later = index + cut.group;
        const image_part here = part_of(&cut, index);
        const image_part next = part_of(&cut, later < cut.n_all ? later : index);
        soon = cpu_ahead_of(far_of(in, next), (cpu_far){0}, (cpu_far){0});
        tiles->product_unmask(cpu_map_at(din, here.n, 0) + here.first, din.planes.stride_c, n_in,
                              panels, n_out, d + i * part_blocks * d_layout.block, offset,
                              d_layout.block, here.n_pixels, at_part(in, here), in.planes.stride_c,
                              vectors, sums, accumulate, &soon);
      }
    }
  }
  float *total = dn_tensor_data(dweight);
  const float *dw = cpu_shares_join(shares, n_share, n_dw, n_shares);
  for (int64_t k = 0; k < n_out; k++)
    for (int64_t c = 0; c < n_in; c++) total[k * n_in + c] += (float)scale * dw[c * n_columns + k];
  cpu_sums_write(dnorm, shares + n_dw, n_share, n_shares, vectors);
  return DN_OK;
}
