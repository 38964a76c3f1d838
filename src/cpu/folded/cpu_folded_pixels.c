/*
** 1x1 convolutions: products over pixels. A unit is a run of an image's pixels and a part of the output
** channels: its input is packed into blocks that stay in the second-level cache, normalised and rectified,
** and the product is written where it belongs. Where there are few pixels, output channels make units for
** all threads, which then pack the same input each for itself.
*/
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_folded_call.h"

enum {
  MOST_BLOCKS = 8,                   /* of a unit's pixels */
  ENOUGH = 8,                        /* units a thread, for threads to end together */
  VALUES = 512 * 1024 / sizeof(real) /* of a unit's packed input */
};

typedef struct pixels {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm before;
  const real *shift; /* or NULL */
  bool rectifies;
  int64_t n_in, n_out;
  int64_t n_blocks; /* of an image's pixels */
  int64_t n_runs;   /* of an image */
  int64_t n_parts;  /* of the output channels */
  int64_t n_units;
  int64_t n_own; /* values of a thread's packed input */
  int n_threads;
  cpu_folded_scratch scratch; /* offsets of the packed input's rows */
} pixels;

static pixels pixels_of(const cpu_folded_call *call) {
  pixels p = {.tiles = cpu_tiles_best(),
              .in = cpu_map_of(call->x),
              .out = cpu_map_of(call->y),
              .before = cpu_norm_of(call->before),
              .shift = cpu_folded_shift(call),
              .rectifies = call->after != NULL};
  p.n_in = p.in.planes.c;
  p.n_out = p.out.planes.c;
  p.n_threads = cpu_folded_team(p.in.planes.n * p.in.planes.size * p.n_in * p.n_out);
  p.n_blocks = (p.in.planes.size + CPU_BLOCK - 1) / CPU_BLOCK;
  int64_t most = VALUES / (p.n_in * CPU_BLOCK);
  most = most < 1 ? 1 : most > MOST_BLOCKS ? MOST_BLOCKS : most;
  p.n_runs = (p.n_blocks + most - 1) / most;
  p.n_parts = 1;
  const int64_t n_panels = (p.n_out + p.tiles->panel_rows - 1) / p.tiles->panel_rows;
  const int64_t n_all = p.in.planes.n * p.n_runs;
  if (p.n_threads > 1 && n_all < ENOUGH * p.n_threads) {
    p.n_runs = ENOUGH * p.n_threads / p.in.planes.n;
    if (p.n_runs > p.n_blocks) p.n_runs = p.n_blocks;
    p.n_parts = p.in.planes.n * p.n_runs < ENOUGH * p.n_threads ? p.n_threads : 1;
  }
  if (p.n_parts > n_panels) p.n_parts = n_panels;
  p.n_units = p.in.planes.n * p.n_runs * p.n_parts;
  p.n_own = cpu_whole_lines(((p.n_blocks + p.n_runs - 1) / p.n_runs) * CPU_BLOCK * p.n_in +
                            CPU_TILE_SLACK);
  return p;
}

/* Pixels [*first, *end) of image *n, and output channels [*k, *k_end), at whole panels. */
typedef struct pixel_unit {
  int64_t n, first, n_pixels, k, k_end;
} pixel_unit;

static pixel_unit unit_of(const pixels *p, int64_t index) {
  const int64_t run = index / p->n_parts % p->n_runs, part = index % p->n_parts;
  const int64_t rows = p->tiles->panel_rows, n_panels = (p->n_out + rows - 1) / rows;
  int64_t block, block_end, panel, panel_end;
  cpu_share(p->n_blocks, (int)p->n_runs, (int)run, &block, &block_end);
  cpu_share(n_panels, (int)p->n_parts, (int)part, &panel, &panel_end);
  const int64_t first = block * CPU_BLOCK, left = p->in.planes.size - first,
                room = (block_end - block) * CPU_BLOCK;
  return (pixel_unit){.n = index / p->n_parts / p->n_runs,
                      .first = first,
                      .n_pixels = left < room ? left : room,
                      .k = panel * rows,
                      .k_end = panel_end * rows < p->n_out ? panel_end * rows : p->n_out};
}

static void one_unit(const pixels *p, pixel_unit unit, pixel_unit next) {
  real *z = p->scratch.own + cpu_thread() * p->n_own;
  const cpu_layout layout = {.row = CPU_BLOCK, .block = CPU_BLOCK * p->n_in};
  p->tiles->norm_relu(z, layout, cpu_map_at(p->in, unit.n, 0) + unit.first, p->in.planes.stride_c,
                      p->n_in, unit.n_pixels, p->before.scale, p->before.shift);
  cpu_prefetch prefetch = cpu_prefetch_of(cpu_map_rows(p->in, next.n, next.first, next.n_pixels),
                                          (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  p->tiles->product_shifted(cpu_map_at(p->out, unit.n, unit.k) + unit.first, p->out.planes.stride_c,
                            unit.k_end - unit.k, p->scratch.panels + unit.k * p->n_in, p->n_in, z,
                            p->scratch.offset, layout.block, unit.n_pixels,
                            p->shift ? p->shift + unit.k : NULL, p->rectifies, &prefetch);
}

dn_status CPU_REAL(cpu_folded_pixels)(const cpu_folded_call *call) {
  pixels p = pixels_of(call);
  DN_TRY(cpu_folded_take(&p.scratch, p.tiles, call, p.n_in, p.n_threads * p.n_own));
  cpu_offsets(p.scratch.offset, p.n_in, CPU_BLOCK);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(p.n_threads)
  for (int u; (u = cpu_next(&queue)) < p.n_units;)
    one_unit(&p, unit_of(&p, u), unit_of(&p, u + 1 < p.n_units ? u + 1 : u));
  return DN_OK;
}
