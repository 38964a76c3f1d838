#include <string.h>

#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_folded_call.h"

/* The first values of packed weights: whose they are. */
enum { HEAD_ROWS, HEAD_STEP, HEAD_KIND };

static bool is_head_of(const real *head, const cpu_tiles *tiles, dn_folded_kind kind) {
  return head[HEAD_ROWS] == (real)tiles->panel_rows && head[HEAD_STEP] == (real)tiles->panel_step &&
         head[HEAD_KIND] == (real)kind;
}

/* Rows that panels of K channels have, those of zeros included. */
static int64_t rows_of(const cpu_tiles *tiles, int64_t k) { return cpu_panels_count(tiles, k, 1); }

/* What one weight becomes: itself, times a scale. */
typedef struct packing {
  const cpu_tiles *tiles;
  const real *weight, *scale; /* scale of each output channel, or NULL */
  int64_t n_out, n_in, n_taps;
} packing;

static real scale_of(const packing *p, int64_t k) { return p->scale ? p->scale[k] : 1; }

/* Panel `index` of plain weights: rows are output channels, columns (C, R, S). */
static void plain_panel(const packing *p, real *panels, int64_t m) {
  const int64_t depth = p->n_in * p->n_taps, most = p->tiles->panel_rows;
  const int64_t left = rows_of(p->tiles, p->n_out) - m, rows = left < most ? left : most;
  real *panel = panels + m * depth;
  for (int64_t i = 0; i < rows; i++) {
    const real *row = p->weight + (m + i) * depth;
    const bool is_there = m + i < p->n_out;
    const real scale = is_there ? scale_of(p, m + i) : 0;
    for (int64_t k = 0; k < depth; k++) panel[k * rows + i] = is_there ? scale * row[k] : 0;
  }
}

/*
** G g G' of a 3x3 kernel g, with G = (1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1).
** Source: Lavin & Gray 2016 (arXiv:1509.09308), section 4.1.
*/
static void transform(real u[DN_FOLDED_PRODUCTS], const real *g, real scale) {
  real half[4][3];
  for (int s = 0; s < 3; s++) {
    const real a = scale * g[s], b = scale * g[3 + s], c = scale * g[6 + s];
    half[0][s] = a;
    half[1][s] = (a + b + c) / 2;
    half[2][s] = (a - b + c) / 2;
    half[3][s] = c;
  }
  for (int r = 0; r < 4; r++) {
    const real a = half[r][0], b = half[r][1], c = half[r][2];
    u[4 * r] = a;
    u[4 * r + 1] = (a + b + c) / 2;
    u[4 * r + 2] = (a - b + c) / 2;
    u[4 * r + 3] = c;
  }
}

/* The rows from m on of the 16 matrices' panels, which follow one another. */
static void winograd_panel(const packing *p, real *panels, int64_t m) {
  const int64_t n_rows = rows_of(p->tiles, p->n_out), most = p->tiles->panel_rows;
  const int64_t rows = n_rows - m < most ? n_rows - m : most;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < p->n_in; c++) {
      real u[DN_FOLDED_PRODUCTS] = {0};
      if (m + i < p->n_out)
        transform(u, p->weight + ((m + i) * p->n_in + c) * 9, scale_of(p, m + i));
      for (int f = 0; f < DN_FOLDED_PRODUCTS; f++)
        panels[(f * n_rows + m) * p->n_in + c * rows + i] = u[f];
    }
}

static void pack(const cpu_tiles *tiles, real *panels, const dn_tensor *weight,
                 const dn_tensor *after, dn_folded_kind kind) {
  const packing p = {.tiles = tiles,
                     .weight = dn_tensor_data(weight),
                     .scale = after ? cpu_norm_of(after).scale : NULL,
                     .n_out = weight->size[0],
                     .n_in = weight->size[1],
                     .n_taps = weight->size[2] * weight->size[3]};
  const int64_t n_rows = rows_of(tiles, p.n_out), most = tiles->panel_rows;
  const int n_threads = cpu_team(n_rows * p.n_in * p.n_taps);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t m = 0; m < n_rows; m += most)
    (kind == DN_FOLDED_WINOGRAD ? winograd_panel : plain_panel)(&p, panels, m);
}

void CPU_REAL(cpu_folded_pack)(dn_tensor *packed, const dn_tensor *weight, const dn_tensor *after,
                               dn_conv2d options) {
  const cpu_tiles *tiles = cpu_tiles_best();
  const dn_folded_kind kind = dn_folded_kind_of(weight->size, options);
  real *head = dn_tensor_data(packed);
  memset(head, 0, (size_t)dn_tensor_count(packed) * sizeof *head);
  head[HEAD_ROWS] = (real)tiles->panel_rows;
  head[HEAD_STEP] = (real)tiles->panel_step;
  head[HEAD_KIND] = (real)kind;
  pack(tiles, head + DN_FOLDED_HEAD, weight, after, kind);
}

/* Was `packed` made for the tiles in use? Other tiles want other panels. Without values it is believed. */
static bool is_packed(const cpu_tiles *tiles, const cpu_folded_call *call) {
  return call->packed && (cpu_scratch_is_measuring() ||
                          is_head_of(dn_tensor_data(call->packed), tiles,
                                     dn_folded_kind_of(call->weight->size, call->options)));
}

/* Values of panels, where those of `packed` cannot be used. */
static int64_t room_for(const cpu_tiles *tiles, const cpu_folded_call *call) {
  const int64_t *size = call->weight->size;
  const int64_t n_taps = dn_folded_kind_of(size, call->options) == DN_FOLDED_WINOGRAD
                             ? DN_FOLDED_PRODUCTS
                             : size[2] * size[3];
  return rows_of(tiles, size[0]) * size[1] * n_taps;
}

dn_status cpu_folded_take(cpu_folded_scratch *scratch, const cpu_tiles *tiles,
                          const cpu_folded_call *call, int64_t n_offset, int64_t n_own) {
  const bool has_panels = is_packed(tiles, call);
  int64_t n_bytes = 0;
  const int64_t room =
      cpu_scratch_place(&n_bytes, has_panels ? 0 : room_for(tiles, call), sizeof(real));
  const int64_t offset = cpu_scratch_place(&n_bytes, n_offset, sizeof *scratch->offset);
  const int64_t own = cpu_scratch_place(&n_bytes, n_own, sizeof *scratch->own);
  void *block;
  DN_TRY(cpu_scratch(n_bytes, &block));
  scratch->offset = cpu_scratch_at(block, offset);
  scratch->own = cpu_scratch_at(block, own);
  if (has_panels) {
    scratch->panels = (const real *)dn_tensor_data(call->packed) + DN_FOLDED_HEAD;
    return DN_OK;
  }
  real *panels = cpu_scratch_at(block, room);
  pack(tiles, panels, call->weight, call->after,
       dn_folded_kind_of(call->weight->size, call->options));
  scratch->panels = panels;
  return DN_OK;
}
