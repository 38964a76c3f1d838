#include "cpu_winograd_cut.h"

static int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows of tiles of a band: with the fewest lanes of products left empty. */
static int64_t rows_of_band(int64_t rows, int64_t columns, int64_t most) {
  int64_t best = 1, least = INT64_MAX;
  for (int64_t tried = 1; tried <= rows && (tried == 1 || tried * columns <= most); tried++) {
    const int64_t n_bands = quotient_up(rows, tried), down = quotient_up(rows, n_bands);
    const int64_t lanes = n_bands * cpu_whole_blocks(down * columns);
    if (lanes > least) continue;
    least = lanes;
    best = down;
  }
  return best;
}

/* Whole images of a unit, likewise. */
static int64_t images_of_unit(int64_t n_images, int64_t n_tiles, int64_t most, int n_threads) {
  const int64_t fair = quotient_up(n_images, n_threads);
  int64_t best = 1, least = INT64_MAX;
  for (int64_t tried = 1; tried * n_tiles <= most && tried <= fair; tried++) {
    const int64_t lanes = quotient_up(n_images, tried) * cpu_whole_blocks(tried * n_tiles);
    if (lanes > least) continue;
    least = lanes;
    best = tried;
  }
  return best;
}

cpu_winograd_cut cpu_winograd_cut_of(cpu_map images, int64_t most, int n_threads) {
  cpu_winograd_cut cut = {
      .n_images = images.planes.n, .height = images.height, .width = images.width, .group = 1};
  cut.rows = quotient_up(cut.height, CPU_WINOGRAD_SIDE);
  cut.columns = quotient_up(cut.width, CPU_WINOGRAD_SIDE);
  cut.down = cut.rows;
  if (cut.rows * cut.columns > most)
    cut.down = rows_of_band(cut.rows, cut.columns, most);
  else
    cut.group = images_of_unit(cut.n_images, cut.rows * cut.columns, most, n_threads);
  cut.n_bands = quotient_up(cut.rows, cut.down);
  cut.n_units = quotient_up(cut.n_images, cut.group) * cut.n_bands;
  cut.n_most = cut.group * cut.down * cut.columns;
  cut.origin = cpu_winograd_origin(cut.group * cut.columns);
  cut.phase = cpu_winograd_phase(cut.down, cut.group * cut.columns);
  cut.row = cpu_whole_blocks(cut.n_most);
  return cut;
}

cpu_winograd_part cpu_winograd_part_of(const cpu_winograd_cut *cut, int64_t index) {
  const int64_t image = index / cut->n_bands * cut->group, left = cut->n_images - image;
  const int64_t first = index % cut->n_bands * cut->down, below = cut->rows - first;
  cpu_winograd_part part = {.image = image,
                            .n_images = left < cut->group ? left : cut->group,
                            .top = first * CPU_WINOGRAD_SIDE};
  const int64_t down = below < cut->down ? below : cut->down;
  const int64_t n_lines = down * CPU_WINOGRAD_SIDE, n_below = cut->height - part.top;
  part.n_lines = n_lines < n_below ? n_lines : n_below;
  part.tiles = (cpu_winograd_unit){.down = down,
                                   .across = part.n_images * cut->columns,
                                   .origin = cut->origin,
                                   .phase = cut->phase};
  part.tiles.n_tiles = part.tiles.down * part.tiles.across;
  return part;
}
