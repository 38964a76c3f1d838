/*
** Convolutions of any kernel and stride: shifted products over a bordered copy of the input. The copy is
** split into phases, line and column modulo the strides, so that a tap reads neighbouring values for
** neighbouring outputs: with strides of 2 the lines of four smaller images. A unit is a band of output lines;
** the products cross line ends, and what lies between lines is dropped.
*/
#include <string.h>

#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_folded_call.h"

enum { VALUES = 384 * 1024 / sizeof(real) /* of a unit's bordered input and its product */ };

typedef struct taps {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm before;
  const real *shift; /* or NULL */
  bool rectifies;
  dn_conv2d options;
  int64_t r, s, n_in, n_out, depth;
  int64_t line;           /* of a phase: output columns and those beside them that taps reach */
  int64_t lines, n_bands; /* output lines of a band; bands of an image */
  int64_t held;           /* lines of a phase */
  int64_t stride;         /* between phases */
  int64_t n_phases, flat_stride, n_rows, n_own;
  int n_threads;
  cpu_folded_scratch scratch; /* offsets of taps (C, R, S) */
} taps;

static taps taps_of(const cpu_folded_call *call) {
  taps t = {.tiles = cpu_tiles_best(),
            .in = cpu_map_of(call->x),
            .out = cpu_map_of(call->y),
            .before = cpu_norm_of(call->before),
            .shift = cpu_folded_shift(call),
            .rectifies = call->after != NULL,
            .options = call->options,
            .r = call->weight->size[2],
            .s = call->weight->size[3]};
  t.n_in = t.in.planes.c;
  t.n_out = t.out.planes.c;
  t.depth = t.n_in * t.r * t.s;
  const int64_t step_h = t.options.stride_h, step_w = t.options.stride_w;
  const int64_t more_lines = (t.r - 1) / step_h, more_columns = (t.s - 1) / step_w;
  t.line = t.out.width + more_columns;
  t.n_phases = t.n_in * step_h * step_w;
  int64_t most = (VALUES - t.n_phases * more_lines * t.line) / ((t.n_phases + t.n_out) * t.line);
  if (most < 1) most = 1;
  t.n_threads = cpu_folded_team(t.out.planes.n * t.out.planes.size * t.depth * t.n_out);
  t.n_bands = (t.out.height + most - 1) / most;
  if (t.out.planes.n * t.n_bands < t.n_threads) t.n_bands = t.n_threads;
  if (t.n_bands > t.out.height) t.n_bands = t.out.height;
  t.lines = (t.out.height + t.n_bands - 1) / t.n_bands;
  t.n_bands = (t.out.height + t.lines - 1) / t.lines;
  t.held = t.lines + more_lines;
  t.stride = (t.held * t.line + CPU_TILE_SLACK + 31) / 32 * 32 + 16;
  t.flat_stride = cpu_whole_lines(t.lines * t.line) + 16;
  t.n_rows = cpu_whole_lines(t.n_phases * t.stride + CPU_TILE_SLACK);
  t.n_own = t.n_rows + cpu_whole_lines(t.n_out * t.flat_stride);
  return t;
}

static void place_taps(const taps *t) {
  const int64_t step_h = t->options.stride_h, step_w = t->options.stride_w;
  int32_t *offset = t->scratch.offset;
  for (int64_t c = 0; c < t->n_in; c++)
    for (int64_t r = 0; r < t->r; r++)
      for (int64_t s = 0; s < t->s; s++)
        *offset++ = (int32_t)(((c * step_h + r % step_h) * step_w + s % step_w) * t->stride +
                              r / step_h * t->line + s / step_w);
}

static real read(const taps *t, int64_t c, real x) {
  if (!t->before.scale) return x;
  const real v = t->before.scale[c] * x + t->before.shift[c];
  return v > 0 ? v : 0;
}

/* Columns 0, step, ... behind `shift` of a line (NULL: outside the image), as line of a phase. */
static void phase_line(const taps *t, real *to, const real *line, int64_t c, int64_t shift) {
  const int64_t step = t->options.stride_w, width = t->in.width;
  int64_t q = 0, q_end = 0; /* those that lie in the image */
  if (line) {
    q = shift < 0 ? (-shift + step - 1) / step : 0;
    q_end = shift < width ? (width - shift + step - 1) / step : 0;
    if (q > t->line) q = t->line;
    if (q_end > t->line) q_end = t->line;
    if (q_end < q) q_end = q;
  }
  for (int64_t i = 0; i < q; i++) to[i] = 0;
  for (int64_t i = q; i < q_end; i++) to[i] = read(t, c, line[shift + i * step]);
  for (int64_t i = q_end; i < t->line; i++) to[i] = 0;
}

/* All phases of the band that begins at output line `first`. */
static void fill(const taps *t, real *rows, int64_t n, int64_t first, int64_t n_lines) {
  const int64_t step_h = t->options.stride_h, step_w = t->options.stride_w;
  const int64_t held = n_lines + (t->held - t->lines);
  for (int64_t c = 0; c < t->n_in; c++)
    for (int64_t a = 0; a < step_h; a++)
      for (int64_t b = 0; b < step_w; b++) {
        real *phase = rows + ((c * step_h + a) * step_w + b) * t->stride;
        for (int64_t l = 0; l < held; l++) {
          const int64_t h = (first + l) * step_h + a - t->options.pad_h;
          const bool is_inside = h >= 0 && h < t->in.height;
          phase_line(t, phase + l * t->line,
                     is_inside ? cpu_map_at(t->in, n, c) + h * t->in.width : NULL, c,
                     b - t->options.pad_w);
        }
      }
}

static void one_unit(const taps *t, int64_t index) {
  const int64_t n = index / t->n_bands, first = index % t->n_bands * t->lines;
  const int64_t left = t->out.height - first, n_lines = left < t->lines ? left : t->lines;
  const int64_t width = t->out.width;
  real *rows = t->scratch.own + cpu_thread() * t->n_own, *flat = rows + t->n_rows;
  fill(t, rows, n, first, n_lines);
  cpu_prefetch none = cpu_prefetch_of((cpu_prefetch_rows){.at = rows, .n_rows = 1, .n_pixels = 1},
                                      (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  t->tiles->product_shifted(flat, t->flat_stride, t->n_out, t->scratch.panels, t->depth, rows,
                            t->scratch.offset, CPU_BLOCK, n_lines * t->line - (t->line - width),
                            t->shift, t->rectifies, &none);
  for (int64_t k = 0; k < t->n_out; k++)
    for (int64_t l = 0; l < n_lines; l++)
      memcpy(cpu_map_at(t->out, n, k) + (first + l) * width,
             flat + k * t->flat_stride + l * t->line, (size_t)width * sizeof *flat);
}

dn_status CPU_REAL(cpu_folded_taps)(const cpu_folded_call *call) {
  taps t = taps_of(call);
  DN_TRY(cpu_folded_take(&t.scratch, t.tiles, call, t.depth, t.n_threads * t.n_own));
  for (int i = 0; i < t.n_threads; i++)
    memset(t.scratch.own + i * t.n_own, 0, (size_t)t.n_rows * sizeof *t.scratch.own);
  place_taps(&t);
  const int64_t n_units = t.out.planes.n * t.n_bands;
  cpu_queue queue = {0};
#pragma omp parallel num_threads(t.n_threads)
  for (int u; (u = cpu_next(&queue)) < n_units;) one_unit(&t, u);
  return DN_OK;
}
