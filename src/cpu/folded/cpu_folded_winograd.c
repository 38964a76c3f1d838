/*
** 3x3 convolutions by F(2x2, 3x3): a tile of 2x2 outputs is made of 16 products in place of 36. Tiles of all
** images are numbered one after the other, and are the pixels of 16 products over channels. A unit is a run
** of tiles, as many as keep its transformed input in the second-level cache.
**   input    v = B' d B  of each 4x4 patch d,  B' = (1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1)
**   output   A' m A      of each 4x4 sum m,    A' = (1 1 1 0; 0 1 -1 -1)
** All coefficients are 0 and +-1, so errors stay near those of the plain sum.
** Source: Lavin & Gray 2016 (arXiv:1509.09308), section 4.1; Winograd 1980.
*/
#include <string.h>

#include "../cpu_parallel.h"
#include "../cpu_scratch.h"
#include "cpu_folded_call.h"

enum {
  SIDE = 4,                           /* of a patch */
  VALUES = 640 * 1024 / sizeof(real), /* of a unit's transformed input and its sums */
  MOST_BLOCKS = 4
};

typedef struct winograd {
  const cpu_tiles *tiles;
  cpu_map in, out;
  cpu_norm before;
  const real *shift; /* or NULL */
  bool rectifies;
  int64_t n_in, n_out;
  int64_t rows, columns; /* of an image's tiles */
  int64_t n_tiles;       /* of all images */
  int64_t n_blocks;      /* of all tiles */
  int64_t n_units;
  int64_t most;    /* blocks of a unit */
  int64_t half;    /* of a bordered line: its even columns, or its odd ones */
  int64_t n_v;     /* values of one of the 16 transformed inputs */
  int64_t v_block; /* between its blocks; the last row's stretch is written beyond its end */
  int64_t m_line;  /* between rows of sums */
  int64_t n_m, n_panel, n_own;
  int n_threads;
  cpu_folded_scratch scratch; /* offsets of a transformed input's rows */
} winograd;

static winograd winograd_of(const cpu_folded_call *call) {
  winograd w = {.tiles = cpu_tiles_best(),
                .in = cpu_map_of(call->x),
                .out = cpu_map_of(call->y),
                .before = cpu_norm_of(call->before),
                .shift = cpu_folded_shift(call),
                .rectifies = call->after != NULL};
  w.n_in = w.in.planes.c;
  w.n_out = w.out.planes.c;
  w.rows = (w.out.height + 1) / 2;
  w.columns = (w.out.width + 1) / 2;
  w.n_tiles = w.in.planes.n * w.rows * w.columns;
  w.n_threads = cpu_folded_team(DN_FOLDED_PRODUCTS * w.n_tiles * w.n_in * w.n_out);
  w.n_blocks = (w.n_tiles + CPU_BLOCK - 1) / CPU_BLOCK;
  w.most = VALUES / (DN_FOLDED_PRODUCTS * CPU_BLOCK * (w.n_in + w.n_out));
  w.most = w.most < 1 ? 1 : w.most > MOST_BLOCKS ? MOST_BLOCKS : w.most;
  w.n_units = (w.n_blocks + w.most - 1) / w.most;
  while (w.n_units < w.n_blocks && w.n_units % w.n_threads) w.n_units++;
  w.most = (w.n_blocks + w.n_units - 1) / w.n_units;
  w.half = cpu_whole_lines(w.columns + 1 + CPU_SUM_LANES);
  /* Odd numbers of lines keep the 16 of them off the same cache sets. */
  w.v_block = CPU_BLOCK * w.n_in + CPU_SUM_LANES;
  w.n_v = w.most * w.v_block + (w.most % 2 ? 2 : 3) * CPU_SUM_LANES;
  w.m_line = w.most * CPU_BLOCK + CPU_SUM_LANES;
  w.n_m = (w.n_out | 1) * w.m_line;
  w.n_panel = cpu_panels_count(w.tiles, w.n_out, w.n_in);
  w.n_own =
      cpu_whole_lines(DN_FOLDED_PRODUCTS * (w.n_v + w.n_m) + CPU_TILE_SLACK + 2 * SIDE * w.half);
  return w;
}

/* n tiles of one line of an image's tiles, from `column` on; `lane` is the first one's number in the unit. */
typedef struct stretch {
  int64_t n, row, column, n_tiles, lane;
  int64_t place; /* of the first one in the transformed input */
} stretch;

static stretch stretch_at(const winograd *w, int64_t first, int64_t lane, int64_t end) {
  const int64_t tile = first + lane, of_image = w->rows * w->columns;
  stretch s = {.n = tile / of_image,
               .row = tile % of_image / w->columns,
               .column = tile % w->columns,
               .lane = lane,
               .place = lane / CPU_BLOCK * w->v_block + lane % CPU_BLOCK};
  s.n_tiles = w->columns - s.column;
  if (s.n_tiles > end - lane) s.n_tiles = end - lane;
  const int64_t in_block = CPU_BLOCK - lane % CPU_BLOCK;
  if (s.n_tiles > in_block) s.n_tiles = in_block;
  return s;
}

/* Line h of image n, of channel c: its even columns, then its odd ones. */
static void split(const winograd *w, real *to, int64_t n, int64_t c, int64_t h) {
  if (h < 0 || h >= w->in.height) {
    memset(to, 0, (size_t)(2 * w->half) * sizeof *to);
    return;
  }
  const bool has_norm = w->before.scale != NULL;
  w->tiles->winograd2_split(to, to + w->half, cpu_map_at(w->in, n, c) + h * w->in.width,
                            w->in.width, w->columns + 1, has_norm ? w->before.scale + c : NULL,
                            has_norm ? w->before.shift + c : NULL);
}

/*
** The transformed input of a unit's tiles, which lie in n stretches. Channel by channel, and tiles in their order:
** what a stretch writes behind itself is written again.
*/
static void transform_unit(const winograd *w, const stretch *stretches, int64_t n, real *v,
                           real *lines) {
  const int64_t both = 2 * w->half;
  for (int64_t c = 0; c < w->n_in; c++) {
    int64_t row = -2, image = -1; /* of the tiles whose lines are there */
    for (int64_t i = 0; i < n; i++) {
      const stretch s = stretches[i];
      if (s.n != image || s.row != row) {
        /* The next line of tiles has two of its four lines already. */
        const int from = s.n == image && s.row == row + 1 ? 2 : 0;
        for (int l = from; l < SIDE; l++)
          split(w, lines + (2 * s.row + l) % SIDE * both, s.n, c, 2 * s.row - 1 + l);
        image = s.n;
        row = s.row;
      }
      const real *even[SIDE], *odd[SIDE];
      for (int l = 0; l < SIDE; l++) {
        even[l] = lines + (2 * s.row + l) % SIDE * both + s.column;
        odd[l] = even[l] + w->half;
      }
      w->tiles->winograd2_input(v + s.place + c * CPU_BLOCK, w->n_v, even, odd, s.n_tiles);
    }
  }
}

/* The output of a stretch; the last tile may hang over the image's right edge, and its lower line below. */
static void output_stretch(const winograd *w, stretch s, const real *m) {
  const int64_t width = w->out.width, column = 2 * s.column;
  const int64_t n = width - column < 2 * s.n_tiles ? width - column : 2 * s.n_tiles;
  const bool has_lower = 2 * s.row + 1 < w->out.height;
  for (int64_t k = 0; k < w->n_out; k++) {
    real *upper = cpu_map_at(w->out, s.n, k) + 2 * s.row * width + column;
    w->tiles->winograd2_output(upper, has_lower ? upper + width : NULL, n,
                               m + k * w->m_line + s.lane, w->n_m, w->shift ? w->shift[k] : 0,
                               w->rectifies);
  }
}

/* Lanes behind the last of n tiles are multiplied too; what comes of them is dropped. */
static void clear_behind(const winograd *w, real *v, int64_t n) {
  const int64_t first = n % CPU_BLOCK;
  if (first == 0) return;
  real *block = v + n / CPU_BLOCK * w->v_block;
  for (int f = 0; f < DN_FOLDED_PRODUCTS; f++)
    for (int64_t c = 0; c < w->n_in; c++)
      memset(block + f * w->n_v + c * CPU_BLOCK + first, 0,
             (size_t)(CPU_BLOCK - first) * sizeof *block);
}

static void one_unit(const winograd *w, int64_t index) {
  int64_t block, block_end;
  cpu_share(w->n_blocks, (int)w->n_units, (int)index, &block, &block_end);
  const int64_t first = block * CPU_BLOCK;
  const int64_t end = block_end * CPU_BLOCK < w->n_tiles ? block_end * CPU_BLOCK : w->n_tiles;
  const int64_t n = end - first;
  real *v = w->scratch.own + cpu_thread() * w->n_own,
       *m = v + DN_FOLDED_PRODUCTS * w->n_v + CPU_TILE_SLACK;
  real *lines = m + DN_FOLDED_PRODUCTS * w->n_m;
  stretch stretches[MOST_BLOCKS * CPU_BLOCK];
  int64_t n_stretches = 0;
  for (int64_t lane = 0; lane < n; lane += stretches[n_stretches++].n_tiles)
    stretches[n_stretches] = stretch_at(w, first, lane, n);
  transform_unit(w, stretches, n_stretches, v, lines);
  clear_behind(w, v, n);
  cpu_prefetch none = cpu_prefetch_of((cpu_prefetch_rows){.at = v, .n_rows = 1, .n_pixels = 1},
                                      (cpu_prefetch_rows){0}, (cpu_prefetch_rows){0});
  for (int f = 0; f < DN_FOLDED_PRODUCTS; f++)
    w->tiles->product(m + f * w->n_m, w->m_line, w->n_out, w->scratch.panels + f * w->n_panel,
                      w->n_in, v + f * w->n_v, w->scratch.offset, w->v_block, n, &none);
  for (int64_t i = 0; i < n_stretches; i++) output_stretch(w, stretches[i], m);
}

dn_status CPU_REAL(cpu_folded_winograd)(const cpu_folded_call *call) {
  winograd w = winograd_of(call);
  DN_TRY(cpu_folded_take(&w.scratch, w.tiles, call, w.n_in, w.n_threads * w.n_own));
  cpu_offsets(w.scratch.offset, w.n_in, CPU_BLOCK);
  cpu_queue queue = {0};
#pragma omp parallel num_threads(w.n_threads)
  for (int u; (u = cpu_next(&queue)) < w.n_units;) one_unit(&w, u);
  return DN_OK;
}
