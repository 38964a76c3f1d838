#include "cpu_grid.h"

#include <string.h>

#include "cpu_lanes.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Grid rows from one image of a tile to the next. */
static int64_t image_rows(const cpu_grid *grid) { return grid->h + grid->pad_h; }

/* Vectors of a tile of `images` images of `rows` output rows. */
static int64_t vectors_of(const cpu_grid *grid, int64_t images, int64_t rows) {
  if (grid->aligned) return images * rows * grid->q / CPU_LANES;
  const int64_t last_row = (images - 1) * image_rows(grid) + rows - 1;
  return quotient_up(last_row * grid->pitch + grid->q, CPU_LANES);
}

/*
** Elements of a channel's grid: what is read last lies a kernel beyond the last vector. An odd
** number of cache lines, since planes a power of two apart would share a few sets of the cache.
*/
static int64_t plane_of(const cpu_grid *grid, int64_t images, int64_t rows) {
  const int64_t n_rows = (images - 1) * image_rows(grid) + rows + grid->r - 1;
  const int64_t filled = n_rows * grid->pitch + grid->pad_w;
  const int64_t reach = (grid->r - 1) * grid->pitch + grid->s - 1;
  const int64_t read = vectors_of(grid, images, rows) * CPU_LANES + reach;
  return (most(filled, read) + 15) / 16 * 16 | 16;
}

cpu_grid cpu_grid_plan(int64_t n, int64_t c, int64_t h, int64_t w, int64_t r, int64_t s,
                       int64_t pad_h, int64_t pad_w, int64_t n_elements, int64_t n_pixels,
                       int n_threads) {
  cpu_grid grid = {.n = n,
                   .h = h,
                   .w = w,
                   .r = r,
                   .s = s,
                   .pad_h = pad_h,
                   .pad_w = pad_w,
                   .p = h + 2 * pad_h - r + 1,
                   .q = w + 2 * pad_w - s + 1,
                   .pitch = w + pad_w};
  grid.aligned = grid.q % CPU_LANES == 0;
  /* all channels, or as many as leave room for a few rows: bands share the rows of the kernel */
  const int64_t few = least(grid.p, most(r > 1 ? 4 : 1, quotient_up(128, grid.pitch)));
  grid.channels = most(1, least(c, n_elements / plane_of(&grid, 1, few)));
  const int64_t room = n_elements / grid.channels;

  const int64_t fair = quotient_up(n * grid.p, n_threads); /* rows, were there one tile a thread */
  grid.band = least(n_pixels / grid.pitch, room / grid.pitch);
  grid.band = least(grid.p, most(few, least(grid.band, fair)));
  while (grid.band > 1 && plane_of(&grid, 1, grid.band) > room) grid.band--;
  grid.n_bands = quotient_up(grid.p, grid.band);
  grid.band = quotient_up(grid.p, grid.n_bands);

  grid.images = 1;
  if (grid.n_bands == 1) {
    grid.images = n_pixels / (image_rows(&grid) * grid.pitch);
    grid.images = most(1, least(grid.images, n / n_threads));
    while (grid.images > 1 && plane_of(&grid, grid.images, grid.band) > room) grid.images--;
    const int64_t rounds = quotient_up(quotient_up(n, grid.images), n_threads);
    grid.images = quotient_up(n, rounds * n_threads);
  }
  grid.n_tiles = quotient_up(n, grid.images) * grid.n_bands;
  grid.plane = plane_of(&grid, grid.images, grid.band);
  grid.most_vectors = vectors_of(&grid, grid.images, grid.band);
  return grid;
}

cpu_grid_tile cpu_grid_tile_at(const cpu_grid *grid, int64_t index) {
  const int64_t n = index / grid->n_bands * grid->images, p = index % grid->n_bands * grid->band;
  cpu_grid_tile tile = {.n = n,
                        .images = least(grid->images, grid->n - n),
                        .p = p,
                        .rows = least(grid->band, grid->p - p)};
  tile.n_vectors = vectors_of(grid, tile.images, tile.rows);
  return tile;
}

void cpu_grid_positions(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t *position) {
  if (!grid->aligned) {
    for (int64_t v = 0; v < tile->n_vectors; v++) position[v] = v * CPU_LANES;
    return;
  }
  for (int64_t i = 0; i < tile->images; i++)
    for (int64_t p = 0; p < tile->rows; p++)
      for (int64_t q = 0; q < grid->q; q += CPU_LANES)
        *position++ = (i * image_rows(grid) + p) * grid->pitch + q;
}

/* `rows` input rows from row `h` of a plane on, where rows outside the plane are zeros. */
static float *fill_rows(const cpu_grid *grid, const float *plane, int64_t h, int64_t rows,
                        float *to) {
  const int64_t above = least(rows, most(0, -h));
  const int64_t inside = most(0, least(rows - above, grid->h - h - above));
  const int64_t below = rows - above - inside;
  memset(to, 0, (size_t)(above * grid->pitch) * sizeof *to);
  to += above * grid->pitch;
  const float *from = plane + (h + above) * grid->w;
  if (grid->pad_w == 0) {
    memcpy(to, from, (size_t)(inside * grid->w) * sizeof *to);
    to += inside * grid->w;
  } else {
    for (int64_t row = 0; row < inside; row++, from += grid->w) {
      for (int64_t j = 0; j < grid->pad_w; j++) *to++ = 0;
      for (int64_t j = 0; j < grid->w; j++) to[j] = from[j];
      to += grid->w;
    }
  }
  memset(to, 0, (size_t)(below * grid->pitch) * sizeof *to);
  return to + below * grid->pitch;
}

void cpu_grid_fill(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t channels,
                   const float *x, int64_t stride_n, int64_t stride_c, float *to) {
  for (int64_t c = 0; c < channels; c++) {
    float *const start = to + c * grid->plane;
    float *next = start;
    for (int64_t i = 0; i < tile->images; i++) {
      const float *const plane = x + (tile->n + i) * stride_n + c * stride_c;
      const bool is_last = i == tile->images - 1;
      const int64_t rows = is_last ? tile->rows + grid->r - 1 : image_rows(grid);
      next = fill_rows(grid, plane, tile->p - grid->pad_h, rows, next);
    }
    memset(next, 0, (size_t)(start + grid->plane - next) * sizeof *next);
  }
}

/* What an image takes up in the order of the vectors: rows of `pitch` lanes, `all` in all. */
typedef struct lanes_of_image {
  int64_t pitch, all;
} lanes_of_image;

static lanes_of_image lanes_of(const cpu_grid *grid, const cpu_grid_tile *tile) {
  const int64_t pitch = grid->aligned ? grid->q : grid->pitch;
  const int64_t rows = grid->aligned ? tile->rows : image_rows(grid);
  const lanes_of_image lanes = {pitch, rows * pitch};
  return lanes;
}

void cpu_grid_gather(const cpu_grid *grid, const cpu_grid_tile *tile, const float *y,
                     int64_t stride_n, float *to) {
  const lanes_of_image lanes = lanes_of(grid, tile);
  float *const end = to + tile->n_vectors * CPU_LANES;
  for (int64_t i = 0; i < tile->images; i++) {
    const float *const from = y + (tile->n + i) * stride_n + tile->p * grid->q;
    float *next = to + i * lanes.all;
    float *const limit = i == tile->images - 1 ? end : next + lanes.all;
    if (lanes.pitch == grid->q) {
      memcpy(next, from, (size_t)(tile->rows * grid->q) * sizeof *to);
      next += tile->rows * grid->q;
    } else {
      for (int64_t p = 0; p < tile->rows; p++, next += lanes.pitch) {
        for (int64_t q = 0; q < grid->q; q++) next[q] = from[p * grid->q + q];
        const int64_t junk = least(lanes.pitch, limit - next);
        for (int64_t q = grid->q; q < junk; q++) next[q] = 0;
      }
    }
    if (next < limit) memset(next, 0, (size_t)(limit - next) * sizeof *next);
  }
}

int cpu_grid_pieces(const cpu_grid *grid, const cpu_grid_tile *tile, int64_t first, int64_t end,
                    int64_t stride_n, cpu_grid_piece *pieces) {
  int count = 0;
  const int64_t last = least(end, tile->n_vectors * CPU_LANES);
  const lanes_of_image lanes = lanes_of(grid, tile);
  const int64_t pitch = lanes.pitch, image = lanes.all;
  /* without junk between them, rows are one run */
  const int64_t row = pitch == grid->q ? tile->rows * pitch : pitch;
  for (int64_t i = first / image; i < tile->images && i * image < last; i++) {
    const int64_t base = i * image;
    int64_t lane = most(first, base) - base;
    for (; lane < tile->rows * pitch && base + lane < last; lane = (lane / row + 1) * row) {
      const int64_t start = lane / row * row;
      const int64_t valid = start + (row == pitch ? grid->q : row);
      const int64_t stop = least(valid, last - base);
      if (lane >= stop) continue;
      const int64_t p = tile->p + lane / pitch, q = lane % pitch;
      const cpu_grid_piece piece = {base + lane - first, stop - lane,
                                    (tile->n + i) * stride_n + p * grid->q + q};
      pieces[count++] = piece;
    }
  }
  return count;
}
