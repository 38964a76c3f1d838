#include "cpu_conv2d_grid.h"

#include <string.h>

#include "cpu_grid.h"
#include "../cpu_parallel.h"
#include "cpu_product.h"
#include "../cpu_scratch.h"

enum {
  ROWS = CPU_PRODUCT_ROWS,
  PIXELS = CPU_PRODUCT_PIXELS,
  /* a thread's grid, in elements: what a 1 MiB second-level cache holds beside the rest */
  GRID_ELEMENTS = 96 << 10,
  GRID_PIXELS = 2048,
  /* the same for gradients of weights, where the grid and dy are read in turn */
  DOT_GRID_ELEMENTS = 64 << 10,
  DOT_SLOPE_ELEMENTS = 56 << 10,
  DOT_PIXELS = 1088
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t whole_lines(int64_t n_elements) { return quotient_up(n_elements, 16) * 16; }

bool cpu_conv2d_grid_fits(const dn_tensor *weight, dn_conv2d options) {
  return options.stride_h == 1 && options.stride_w == 1 && options.pad_h < weight->size[2] &&
         options.pad_w < weight->size[3];
}

/* Both passes through the activations: planes of `in` times weights make planes of `out`. */
typedef struct pass {
  const float *in, *weight, *bias; /* bias or NULL */
  float *out;
  int64_t in_stride[2], out_stride[2];
  int64_t groups, c, k; /* c planes in, k planes out, of one group */
  bool flipped;         /* the weight is read from plane k to plane c, turned by half a turn */
  cpu_grid grid;
  int64_t n_parts, n_row_groups; /* parts of the output planes; groups of at most ROWS planes */
  int n_threads;
} pass;

/* What multiplies tap (r, s) of input plane c for output plane k. */
static float weight_at(const pass *f, int64_t group, int64_t k, int64_t c, int64_t r, int64_t s) {
  const cpu_grid *const grid = &f->grid;
  if (f->flipped)
    return f->weight[((group * f->c + c) * f->k + k) * grid->r * grid->s +
                     (grid->r - 1 - r) * grid->s + grid->s - 1 - s];
  return f->weight[(((group * f->k + k) * f->c + c) * grid->r + r) * grid->s + s];
}

/* Output planes of row group i: groups are as equal as can be. */
static int64_t row_of(const pass *f, int64_t i) { return f->k * i / f->n_row_groups; }

/* panels: for each group and row group, the weights in the order in which the product reads them */
static void pack_panels(const pass *f, float *panels) {
  const cpu_grid *const grid = &f->grid;
  for (int64_t group = 0; group < f->groups; group++)
    for (int64_t i = 0; i < f->n_row_groups; i++)
      for (int64_t c = 0; c < f->c; c++)
        for (int64_t r = 0; r < grid->r; r++)
          for (int64_t s = 0; s < grid->s; s++, panels += ROWS)
            for (int64_t k = row_of(f, i); k < row_of(f, i + 1); k++)
              panels[k - row_of(f, i)] = weight_at(f, group, k, c, r, s);
}

static void fill_offsets(const cpu_grid *grid, int64_t *offset) {
  for (int64_t c = 0; c < grid->channels; c++)
    for (int64_t r = 0; r < grid->r; r++)
      for (int64_t s = 0; s < grid->s; s++) *offset++ = c * grid->plane + r * grid->pitch + s;
}

/* One row group of output planes for the pixels of `pieces`, added to what is there or not. */
static void product_to_planes(const pass *f, int64_t n_rows, int64_t depth, const float *left,
                              const float *start, const float *const *pixels, const int64_t *offset,
                              bool adds, float *planes, int n_pieces,
                              const cpu_grid_piece *pieces) {
  if (!adds && n_pieces == 1 && pieces[0].length == PIXELS) {
    cpu_product_tile((int)n_rows, depth, left, start, pixels, offset, planes + pieces[0].to,
                     f->out_stride[1]);
    return;
  }
  float tile[ROWS * PIXELS];
  cpu_product_tile((int)n_rows, depth, left, start, pixels, offset, tile, PIXELS);
  for (int64_t i = 0; i < n_rows; i++)
    for (int j = 0; j < n_pieces; j++) {
      float *const to = planes + i * f->out_stride[1] + pieces[j].to;
      const float *const from = tile + i * PIXELS + pieces[j].from;
      if (adds)
        for (int64_t q = 0; q < pieces[j].length; q++) to[q] += from[q];
      else
        for (int64_t q = 0; q < pieces[j].length; q++) to[q] = from[q];
    }
}

/* Input planes [c, c + channels) of the group, in the grid: their share of part `part` of out. */
static void multiply(const pass *f, const cpu_grid_tile *tile, int64_t group, int64_t part,
                     int64_t c, int64_t channels, const float *panels, const int64_t *offset,
                     const int64_t *position, const float *cells) {
  const int64_t n_taps = f->grid.r * f->grid.s, panel = f->c * n_taps * ROWS;
  const int64_t first_group = f->n_row_groups * part / f->n_parts;
  const int64_t end_group = f->n_row_groups * (part + 1) / f->n_parts;
  const int64_t n_lanes = tile->n_vectors * CPU_LANES;
  for (int64_t lane = 0; lane < n_lanes; lane += PIXELS) {
    const float *pixels[CPU_PRODUCT_VECTORS];
    for (int v = 0; v < CPU_PRODUCT_VECTORS; v++)
      pixels[v] = cells + position[least(lane / CPU_LANES + v, tile->n_vectors - 1)];
    cpu_grid_piece pieces[PIXELS];
    const int n_pieces =
        cpu_grid_pieces(&f->grid, tile, lane, lane + PIXELS, f->out_stride[0], pieces);
    for (int64_t i = first_group; i < end_group; i++) {
      const int64_t k = group * f->k + row_of(f, i), n_rows = row_of(f, i + 1) - row_of(f, i);
      float start[ROWS] = {0};
      if (f->bias && c == 0)
        for (int64_t j = 0; j < n_rows; j++) start[j] = f->bias[k + j];
      const float *const left = panels + (group * f->n_row_groups + i) * panel + c * n_taps * ROWS;
      product_to_planes(f, n_rows, channels * n_taps, left, start, pixels, offset, c > 0,
                        f->out + k * f->out_stride[1], n_pieces, pieces);
    }
  }
}

static dn_status run(pass *f) {
  const cpu_grid *const grid = &f->grid;
  const int64_t n_taps = grid->r * grid->s;
  f->n_row_groups = quotient_up(f->k, ROWS);
  f->n_parts = least(f->n_row_groups, quotient_up(f->n_threads, grid->n_tiles));
  const int64_t panel_elements = whole_lines(f->groups * f->n_row_groups * f->c * n_taps * ROWS);
  const int64_t cell_elements = whole_lines(grid->channels * grid->plane);
  const int64_t n_integers = grid->channels * n_taps + f->n_threads * grid->most_vectors;
  void *scratch;
  DN_TRY(cpu_scratch((panel_elements + f->n_threads * cell_elements) * (int64_t)sizeof(float) +
                         n_integers * (int64_t)sizeof(int64_t),
                     &scratch));
  float *const panels = scratch, *const all_cells = panels + panel_elements;
  int64_t *const offset = (int64_t *)(void *)(all_cells + f->n_threads * cell_elements);
  int64_t *const positions = offset + grid->channels * n_taps;
  pack_panels(f, panels);
  fill_offsets(grid, offset);
#pragma omp parallel for schedule(static) num_threads(f->n_threads)
  for (int t = 0; t < f->n_threads; t++) {
    float *const cells = all_cells + t * cell_elements;
    int64_t *const position = positions + t * grid->most_vectors;
    int64_t unit, end;
    cpu_share(grid->n_tiles * f->n_parts, f->n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const cpu_grid_tile tile = cpu_grid_tile_at(grid, unit / f->n_parts);
      cpu_grid_positions(grid, &tile, position);
      for (int64_t group = 0; group < f->groups; group++)
        for (int64_t c = 0; c < f->c; c += grid->channels) {
          const int64_t channels = least(grid->channels, f->c - c);
          cpu_grid_fill(grid, &tile, channels, f->in + (group * f->c + c) * f->in_stride[1],
                        f->in_stride[0], f->in_stride[1], cells);
          multiply(f, &tile, group, unit % f->n_parts, c, channels, panels, offset, position,
                   cells);
        }
    }
  }
  return DN_OK;
}

/* Threads for a convolution of that many multiplications. */
static int team(int64_t n_products) { return cpu_team(n_products / 16); }

/* A 1x1 kernel sees no rows: its planes are columns of pixels, cut anywhere. */
static bool is_pointwise(const dn_tensor *weight) {
  return weight->size[2] == 1 && weight->size[3] == 1;
}

dn_status cpu_conv2d_grid_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                  const dn_tensor *bias, dn_conv2d options) {
  pass f = {.in = dn_tensor_data(x),
            .weight = dn_tensor_data(weight),
            .bias = bias ? dn_tensor_data(bias) : NULL,
            .out = dn_tensor_data(y),
            .in_stride = {x->stride[0], x->stride[1]},
            .out_stride = {y->stride[0], y->stride[1]},
            .groups = options.groups,
            .c = weight->size[1],
            .k = weight->size[0] / options.groups};
  f.n_threads = team(dn_tensor_count(y) * f.c * weight->size[2] * weight->size[3]);
  const bool flat = is_pointwise(weight);
  const int64_t h = flat ? x->size[2] * x->size[3] : x->size[2], w = flat ? 1 : x->size[3];
  f.grid = cpu_grid_plan(x->size[0], f.c, h, w, weight->size[2], weight->size[3], options.pad_h,
                         options.pad_w, GRID_ELEMENTS, GRID_PIXELS, f.n_threads);
  return run(&f);
}

dn_status cpu_conv2d_grid_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                        dn_conv2d options) {
  pass f = {.in = dn_tensor_data(dy),
            .weight = dn_tensor_data(weight),
            .out = dn_tensor_data(dx),
            .in_stride = {dy->stride[0], dy->stride[1]},
            .out_stride = {dx->stride[0], dx->stride[1]},
            .groups = options.groups,
            .c = weight->size[0] / options.groups,
            .k = weight->size[1],
            .flipped = true};
  f.n_threads = team(dn_tensor_count(dx) * f.c * weight->size[2] * weight->size[3]);
  const bool flat = is_pointwise(weight);
  const int64_t h = flat ? dy->size[2] * dy->size[3] : dy->size[2], w = flat ? 1 : dy->size[3];
  f.grid = cpu_grid_plan(dy->size[0], f.c, h, w, weight->size[2], weight->size[3],
                         weight->size[2] - 1 - options.pad_h, weight->size[3] - 1 - options.pad_w,
                         GRID_ELEMENTS, GRID_PIXELS, f.n_threads);
  return run(&f);
}

/* The gradient of the weights: `slopes` are planes of dy in the order of a tile's vectors. */
typedef struct weight_pass {
  const float *x, *dy;
  int64_t x_stride[2], dy_stride[2];
  int64_t groups, c, k; /* of one group */
  cpu_grid grid;
  int64_t slope_stride, slope_rows; /* elements of a plane of slopes; planes held at a time */
  int64_t n_parts;                  /* parts of the planes of dy */
} weight_pass;

/* sum[k][c][r][s] += dot products of slopes [0, n_rows) with every tap of the grid's channels. */
static void add_dots(const weight_pass *f, const cpu_grid_tile *tile, int64_t n_rows,
                     int64_t channels, const float *slopes, const float *cells,
                     const int64_t *offset, const int64_t *position, float *sum) {
  const int64_t n_taps = f->grid.r * f->grid.s, depth = f->c * n_taps;
  const int64_t n_columns = channels * n_taps;
  for (int64_t column = 0; column < n_columns; column += CPU_DOT_COLUMNS) {
    int64_t own_offset[CPU_DOT_COLUMNS];
    for (int64_t j = 0; j < CPU_DOT_COLUMNS; j++)
      own_offset[j] = offset[least(column + j, n_columns - 1)];
    const int64_t width = least(CPU_DOT_COLUMNS, n_columns - column);
    for (int64_t row = 0; row < n_rows; row += CPU_DOT_ROWS) {
      float dots[CPU_DOT_ROWS * CPU_DOT_COLUMNS];
      cpu_product_dots(tile->n_vectors, slopes + row * f->slope_stride, f->slope_stride, cells,
                       own_offset, position, dots);
      const int64_t height = least(CPU_DOT_ROWS, n_rows - row);
      for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++)
          sum[(row + i) * depth + column + j] += dots[i * CPU_DOT_COLUMNS + j];
    }
  }
}

static void add_tile(const weight_pass *f, const cpu_grid_tile *tile, int64_t part, float *slopes,
                     float *cells, const int64_t *offset, const int64_t *position, float *sum) {
  const int64_t n_taps = f->grid.r * f->grid.s;
  const int64_t k_begin = f->k * part / f->n_parts, k_end = f->k * (part + 1) / f->n_parts;
  for (int64_t group = 0; group < f->groups; group++)
    for (int64_t k = k_begin; k < k_end; k += f->slope_rows) {
      const int64_t n_rows = least(f->slope_rows, k_end - k), plane = group * f->k + k;
      for (int64_t i = 0; i < n_rows; i++)
        cpu_grid_gather(&f->grid, tile, f->dy + (plane + i) * f->dy_stride[1], f->dy_stride[0],
                        slopes + i * f->slope_stride);
      for (int64_t c = 0; c < f->c; c += f->grid.channels) {
        const int64_t channels = least(f->grid.channels, f->c - c);
        cpu_grid_fill(&f->grid, tile, channels, f->x + (group * f->c + c) * f->x_stride[1],
                      f->x_stride[0], f->x_stride[1], cells);
        add_dots(f, tile, n_rows, channels, slopes, cells, offset, position,
                 sum + (plane * f->c + c) * n_taps);
      }
    }
}

dn_status cpu_conv2d_grid_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, dn_conv2d options, double scale) {
  weight_pass f = {.x = dn_tensor_data(x),
                   .dy = dn_tensor_data(dy),
                   .x_stride = {x->stride[0], x->stride[1]},
                   .dy_stride = {dy->stride[0], dy->stride[1]},
                   .groups = options.groups,
                   .c = dweight->size[1],
                   .k = dweight->size[0] / options.groups};
  const int64_t n_taps = dweight->size[2] * dweight->size[3];
  const int n_threads = team(dn_tensor_count(dy) * f.c * n_taps);
  const bool flat = is_pointwise(dweight);
  const int64_t h = flat ? x->size[2] * x->size[3] : x->size[2], w = flat ? 1 : x->size[3];
  f.grid = cpu_grid_plan(x->size[0], f.c, h, w, dweight->size[2], dweight->size[3], options.pad_h,
                         options.pad_w, DOT_GRID_ELEMENTS, DOT_PIXELS, n_threads);
  const cpu_grid *const grid = &f.grid;
  f.slope_stride = whole_lines(grid->most_vectors * CPU_LANES) | 16;
  f.slope_rows = least(f.k, most(CPU_DOT_ROWS, DOT_SLOPE_ELEMENTS / f.slope_stride));
  f.n_parts = least(quotient_up(f.k, CPU_DOT_ROWS), quotient_up(n_threads, grid->n_tiles));
  /* rows are read CPU_DOT_ROWS at a time; those beyond the last are stale and their dots dropped */
  const int64_t slope_elements =
      quotient_up(f.slope_rows, CPU_DOT_ROWS) * CPU_DOT_ROWS * f.slope_stride;
  const int64_t cell_elements = whole_lines(grid->channels * grid->plane);
  const int64_t count = dn_tensor_count(dweight), sum_elements = whole_lines(count);
  const int64_t own = slope_elements + cell_elements + sum_elements;
  const int64_t n_integers = grid->channels * n_taps + n_threads * grid->most_vectors;
  void *scratch;
  DN_TRY(cpu_scratch(
      n_threads * own * (int64_t)sizeof(float) + n_integers * (int64_t)sizeof(int64_t), &scratch));
  float *const blocks = scratch;
  int64_t *const offset = (int64_t *)(void *)(blocks + n_threads * own);
  int64_t *const positions = offset + grid->channels * n_taps;
  fill_offsets(grid, offset);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float *const sum = blocks + t * own, *const slopes = sum + sum_elements;
    float *const cells = slopes + slope_elements;
    int64_t *const position = positions + t * grid->most_vectors;
    memset(sum, 0, (size_t)count * sizeof *sum);
    int64_t unit, end;
    cpu_share(grid->n_tiles * f.n_parts, n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const cpu_grid_tile tile = cpu_grid_tile_at(grid, unit / f.n_parts);
      cpu_grid_positions(grid, &tile, position);
      add_tile(&f, &tile, unit % f.n_parts, slopes, cells, offset, position, sum);
    }
  }
  float *const out = dn_tensor_data(dweight);
  const float factor = (float)scale;
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    float total = 0;
    for (int t = 0; t < n_threads; t++) total += blocks[t * own + i];
    out[i] += factor * total;
  }
  return DN_OK;
}
