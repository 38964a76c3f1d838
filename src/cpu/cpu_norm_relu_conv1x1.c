/*
** 1x1: a product whose right operand is made on the way. A thread takes pieces of images; a piece
** is normalised and rectified into rows that stay in its cache, then multiplied. Backward, the same
** rows serve the weight gradient, whose sum runs over pixels.
*/
#include <string.h>

#include "cpu_norm_relu_conv.h"
#include "cpu_parallel.h"
#include "cpu_scratch.h"

/*
** Pixels of a piece, measured: forward, the rows of one piece should stay in the nearest cache;
** backward, the weight gradient gains from long sums. ROW_GAP keeps rows from falling
** on the same cache sets.
*/
enum { FORWARD_PIECE = 128, BACKWARD_PIECE = 512, BACKWARD_FLOATS = 160 * 1024, ROW_GAP = 16 };

static int64_t to_blocks(int64_t n) { return (n + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK; }

static void offsets(int32_t *offset, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; i++) offset[i] = (int32_t)(i * stride);
}

dn_status cpu_norm_relu_conv1x1_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const cpu_map in = cpu_map_of(x), out = cpu_map_of(y);
  const cpu_norm vectors = cpu_norm_of(norm);
  const int64_t n_in = in.planes.c, n_out = out.planes.c, size = in.planes.size;
  const int64_t n_pieces = (size + FORWARD_PIECE - 1) / FORWARD_PIECE;
  const int64_t n_units = in.planes.n * n_pieces, stride = FORWARD_PIECE + ROW_GAP;
  const int n_threads = cpu_team(n_units * n_in * n_out);

  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_out, n_in));
  const int64_t n_rows = cpu_whole_lines(n_in * stride + CPU_TILE_SLACK);
  const int64_t n_moments = stats ? n_threads * n_out * (int64_t)sizeof(cpu_moment) : 0;
  void *scratch;
  DN_TRY(cpu_scratch((n_panels + cpu_whole_lines(n_in) + n_threads * n_rows) * 4 + n_moments,
                     &scratch));
  float *panels = scratch, *all_rows = panels + n_panels + cpu_whole_lines(n_in);
  int32_t *offset = (int32_t *)(void *)(panels + n_panels);
  cpu_moment *moments = (cpu_moment *)(void *)(all_rows + n_threads * n_rows);
  memset(moments, 0, (size_t)n_moments);
  offsets(offset, n_in, 1);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_out, n_in, n_in, offset);
  offsets(offset, n_in, stride);

#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *rows = all_rows + t * n_rows;
    int64_t unit, end;
    cpu_share(n_units, n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t n = unit / n_pieces, first = unit % n_pieces * FORWARD_PIECE;
      const int64_t n_pixels = size - first < FORWARD_PIECE ? size - first : FORWARD_PIECE;
      tiles->norm_relu(rows, stride, cpu_map_at(in, n, 0) + first, in.planes.stride_c, n_in,
                       n_pixels, vectors.scale, vectors.shift);
      float *to = cpu_map_at(out, n, 0) + first;
      const int64_t next = unit + 1 < end ? unit + 1 : unit;
      tiles->product(to, out.planes.stride_c, n_out, panels, n_in, rows, offset, n_pixels,
                     cpu_map_at(in, next / n_pieces, 0) + next % n_pieces * FORWARD_PIECE,
                     in.planes.stride_c);
      for (int64_t k = 0; stats && k < n_out; k++) {
        double mean, m2;
        tiles->moments(to + k * out.planes.stride_c, n_pixels, &mean, &m2);
        cpu_moment_join(&moments[t * n_out + k], (double)n_pixels, mean, m2);
      }
    }
  }
  if (stats) cpu_moments_write(stats, moments, n_threads);
  return DN_OK;
}

/* How the pixels of all images are cut for the backward pass. */
typedef struct cut {
  int64_t piece;   /* pixels of a part of an image */
  int64_t n_parts; /* parts of an image */
  int64_t group;   /* parts (of one image or of several) that share the rows of one unit */
  int64_t n_units;
} cut;

/* Short parts are grouped, so that the sums of the weight gradient are long either way. */
static cut cut_of(int64_t n_images, int64_t size, int64_t n_rows_in) {
  int64_t budget = BACKWARD_FLOATS / n_rows_in / CPU_BLOCK * CPU_BLOCK;
  if (budget > BACKWARD_PIECE) budget = BACKWARD_PIECE;
  if (budget < 2 * CPU_BLOCK) budget = 2 * CPU_BLOCK;
  cut made;
  made.piece = size < budget ? size : budget;
  made.n_parts = (size + made.piece - 1) / made.piece;
  made.group = made.n_parts > 1 ? 1 : budget / to_blocks(size);
  made.n_units = (n_images * made.n_parts + made.group - 1) / made.group;
  return made;
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
  const int64_t n_in = in.planes.c, n_out = gradient.dy.planes.c, size = in.planes.size;
  const cut pieces = cut_of(in.planes.n, size, n_in + n_out);
  const int n_threads = cpu_team(in.planes.n * size * n_in);
  const int64_t part_stride = to_blocks(pieces.piece);
  const int64_t stride = pieces.group * part_stride + ROW_GAP;

  const int64_t n_panels = cpu_whole_lines(cpu_panels_count(tiles, n_in, n_out));
  const int64_t n_most = n_in > n_out ? n_in : n_out;
  const int64_t n_rows = cpu_whole_lines((n_in + n_out) * stride + CPU_TILE_SLACK);
  const int64_t n_dw = cpu_whole_lines(n_out * n_in), n_sums = 2 * CPU_SUM_LANES * n_in;
  const int64_t n_own = n_rows + n_dw + n_sums;
  void *scratch;
  DN_TRY(cpu_scratch((n_panels + cpu_whole_lines(n_most) + n_threads * n_own) * 4, &scratch));
  float *panels = scratch, *own = panels + n_panels + cpu_whole_lines(n_most);
  int32_t *offset = (int32_t *)(void *)(panels + n_panels);
  offsets(offset, n_out, n_in);
  cpu_pack_panels(tiles, panels, dn_tensor_data(weight), n_in, 1, n_out, offset);
  offsets(offset, n_most, stride);

#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *z = own + t * n_own, *d = z + n_in * stride, *dw = z + n_rows, *sums = dw + n_dw;
    memset(dw, 0, (size_t)(n_dw + n_sums) * sizeof *dw);
    int64_t unit, end;
    cpu_share(pieces.n_units, n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t first_part = unit * pieces.group, all = in.planes.n * pieces.n_parts;
      const int64_t n_here = all - first_part < pieces.group ? all - first_part : pieces.group;
      for (int64_t i = 0; i < n_here; i++) {
        const int64_t n = (first_part + i) / pieces.n_parts;
        const int64_t first = (first_part + i) % pieces.n_parts * pieces.piece;
        const int64_t n_pixels = size - first < pieces.piece ? size - first : pieces.piece;
        const int64_t next = first_part + i + 1 < all ? first_part + i + 1 : first_part + i;
        tiles->norm_relu(z + i * part_stride, stride, cpu_map_at(in, n, 0) + first,
                         in.planes.stride_c, n_in, n_pixels, vectors.scale, vectors.shift);
        cpu_gradient_rows(tiles, gradient, n, first, n_pixels, d + i * part_stride, stride);
        tiles->product_unmask(
            cpu_map_at(din, n, 0) + first, din.planes.stride_c, n_in, panels, n_out,
            d + i * part_stride, offset, n_pixels, cpu_map_at(in, n, 0) + first, in.planes.stride_c,
            vectors, sums, accumulate,
            cpu_map_at(in, next / pieces.n_parts, 0) + next % pieces.n_parts * pieces.piece);
      }
      /* The last part may be short; its rows end in zeros at the next block. */
      const int64_t last = (first_part + n_here - 1) % pieces.n_parts * pieces.piece;
      const int64_t last_pixels = size - last < pieces.piece ? size - last : pieces.piece;
      tiles->dot(dw, n_in, n_out, n_in, d, offset, z, offset,
                 (n_here - 1) * part_stride + to_blocks(last_pixels));
    }
  }
  float *total = dn_tensor_data(dweight);
  for (int t = 0; t < n_threads; t++)
    for (int64_t i = 0; i < n_out * n_in; i++)
      total[i] += (float)scale * own[t * n_own + n_rows + i];
  cpu_sums_write(dnorm, own + n_rows + n_dw, n_own, n_threads);
  return DN_OK;
}
