#include "cpu_conv_patches.h"

#include <string.h>

#include "cpu_gradient.h"
#include "cpu_patches.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"

enum {
  PIECE = 256,                       /* output pixels at a time */
  VALUES = 512 * 1024 / sizeof(real) /* of a piece's gradient and patches */
};

/* Patches of one image overlap, so threads share images and, where those are few, blocks of channels. */
typedef struct way_back {
  const cpu_tiles *tiles;
  cpu_map din;
  cpu_gradient gradient;
  cpu_patches patches;
  int64_t n_out, n_taps;
  int64_t block, n_blocks; /* channels of a block */
  int64_t piece;
  cpu_layout layout;       /* of the gradient, packed */
  int64_t n_d, stride;     /* its values; between rows of patches */
  int64_t n_own, n_panels; /* values of a thread; of a block's weights */
  int n_threads;
  real *panels, *own;
  int32_t *offset;
} way_back;

static way_back way_back_of(const dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                            dn_conv2d options) {
  way_back w = {.tiles = cpu_tiles_best(),
                .din = cpu_map_of(dx),
                .gradient = cpu_gradient_of(dy, NULL, NULL),
                .patches = cpu_patches_of(dx, weight, dy->size[3], options),
                .n_out = weight->size[0],
                .n_taps = weight->size[2] * weight->size[3]};
  const cpu_planes planes = w.gradient.dy.planes;
  const int64_t c = weight->size[1];
  w.n_threads = cpu_team(planes.n * planes.size * c * w.n_taps);
  w.n_blocks = (w.n_threads + planes.n - 1) / planes.n;
  if (w.n_blocks > c) w.n_blocks = c;
  w.block = (c + w.n_blocks - 1) / w.n_blocks;
  w.n_blocks = (c + w.block - 1) / w.block;
  w.piece = VALUES / (w.n_out + w.block * w.n_taps) / CPU_BLOCK * CPU_BLOCK;
  if (w.piece < CPU_BLOCK) w.piece = CPU_BLOCK;
  if (w.piece > PIECE) w.piece = PIECE;
  if (w.piece > cpu_whole_blocks(planes.size)) w.piece = cpu_whole_blocks(planes.size);
  w.layout = (cpu_layout){.row = CPU_BLOCK, .block = CPU_BLOCK * w.n_out};
  w.n_d = w.piece * w.n_out + CPU_TILE_SLACK;
  w.stride = w.piece + CPU_LINE;
  w.n_own = cpu_scratch_apart(w.n_d + w.block * w.n_taps * w.stride, w.n_threads);
  w.n_panels = cpu_panels_count(w.tiles, w.block * w.n_taps, w.n_out);
  return w;
}

static dn_status take_scratch(way_back *w) {
  int64_t n_bytes = 0;
  const int64_t panels = cpu_scratch_place(&n_bytes, w->n_blocks * w->n_panels, sizeof *w->panels);
  const int64_t offset = cpu_scratch_place(&n_bytes, w->n_out, sizeof *w->offset);
  const int64_t own = cpu_scratch_place(&n_bytes, w->n_threads * w->n_own, sizeof *w->own);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  w->panels = cpu_scratch_at(block, panels);
  w->offset = cpu_scratch_at(block, offset);
  w->own = cpu_scratch_at(block, own);
  return DN_OK;
}

static int64_t rows_of_block(const way_back *w, int64_t block) {
  const int64_t left = w->patches.c - block * w->block;
  return (left < w->block ? left : w->block) * w->n_taps;
}

/* Rows are (C, R, S), columns K. */
static void pack_weight(way_back *w, const dn_tensor *weight) {
  const int64_t depth = weight->size[1] * w->n_taps;
  const real *data = dn_tensor_data(weight);
  cpu_offsets(w->offset, w->n_out, depth);
  for (int64_t b = 0; b < w->n_blocks; b++)
    cpu_pack_panels(w->tiles, w->panels + b * w->n_panels, data + b * w->block * w->n_taps,
                    rows_of_block(w, b), 1, w->n_out, w->offset);
  cpu_offsets(w->offset, w->n_out, w->layout.row);
}

/* Block `b` of image n's channels. */
static void one_block(const way_back *w, int64_t n, int64_t b) {
  real *d = w->own + cpu_thread() * w->n_own, *rows = d + w->n_d;
  real *image = cpu_map_at(w->din, n, 0);
  const int64_t c = b * w->block, c_end = c + rows_of_block(w, b) / w->n_taps;
  const int64_t size = w->gradient.dy.planes.size;
  for (int64_t i = c; i < c_end; i++)
    memset(cpu_map_at(w->din, n, i), 0, (size_t)w->din.planes.size * sizeof *image);
  for (int64_t first = 0; first < size; first += w->piece) {
    const int64_t n_pixels = size - first < w->piece ? size - first : w->piece;
    cpu_gradient_pack(w->tiles, w->gradient, n, first, n_pixels, d, w->layout);
    cpu_prefetch none = cpu_prefetch_of((cpu_prefetch_rows){.at = d, .n_rows = 1, .n_pixels = 1},
                                        (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
    w->tiles->product(rows, w->stride, rows_of_block(w, b), w->panels + b * w->n_panels, w->n_out,
                      d, w->offset, w->layout.block, n_pixels, &none);
    cpu_patches_scatter(&w->patches, image, c, c_end, first, n_pixels, rows, w->stride);
  }
}

dn_status CPU_REAL(cpu_conv_patches_backward_data)(dn_tensor *dx, const dn_tensor *dy,
                                                   const dn_tensor *weight, dn_conv2d options) {
  way_back w = way_back_of(dx, dy, weight, options);
  DN_TRY(take_scratch(&w));
  pack_weight(&w, weight);
  const int64_t n_units = w.din.planes.n * w.n_blocks;
  cpu_queue queue = {0};
#pragma omp parallel num_threads(w.n_threads)
  for (int unit; (unit = cpu_next(&queue)) < n_units;)
    one_block(&w, unit / w.n_blocks, unit % w.n_blocks);
  return DN_OK;
}
