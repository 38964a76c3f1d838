/* The loops of cpu_winograd.h on the vectors of cpu_tiles_loops.h, which includes this file. */

enum { REACH = CPU_WINOGRAD_REACH, SIDE = CPU_WINOGRAD_SIDE };
static const real POINT_a = CPU_WINOGRAD_a, POINT_b = CPU_WINOGRAD_b;
static const real SQUARE_a = CPU_WINOGRAD_A, SQUARE_b = CPU_WINOGRAD_B;

/* B' of six values. */
INLINE void winograd_input_line(vec to[REACH], const vec from[REACH]) {
  const vec even_a = from[4] - SQUARE_b * from[2], odd_a = from[3] - SQUARE_b * from[1];
  const vec even_b = from[4] - SQUARE_a * from[2], odd_b = from[3] - SQUARE_a * from[1];
  to[0] = even_a + SQUARE_a * (SQUARE_b * from[0] - from[2]);
  to[1] = even_a + POINT_a * odd_a;
  to[2] = even_a - POINT_a * odd_a;
  to[3] = even_b + POINT_b * odd_b;
  to[4] = even_b - POINT_b * odd_b;
  to[5] = from[5] - SQUARE_b * from[3] - SQUARE_a * odd_a;
}

/* A' of six values. */
INLINE void winograd_output_line(vec to[SIDE], const vec from[REACH]) {
  const vec even_a = from[1] + from[2], odd_a = POINT_a * (from[1] - from[2]);
  const vec even_b = from[3] + from[4], odd_b = POINT_b * (from[3] - from[4]);
  to[0] = from[0] + even_a + even_b;
  to[1] = odd_a + odd_b;
  to[2] = SQUARE_a * even_a + SQUARE_b * even_b;
  to[3] = SQUARE_a * odd_a + SQUARE_b * odd_b + from[5];
}

/* A of four values. */
INLINE void winograd_gradient_line(vec to[REACH], const vec from[SIDE]) {
  const vec even_a = from[0] + SQUARE_a * from[2], odd_a = from[1] + SQUARE_a * from[3];
  const vec even_b = from[0] + SQUARE_b * from[2], odd_b = from[1] + SQUARE_b * from[3];
  to[0] = from[0];
  to[1] = even_a + POINT_a * odd_a;
  to[2] = even_a - POINT_a * odd_a;
  to[3] = even_b + POINT_b * odd_b;
  to[4] = even_b - POINT_b * odd_b;
  to[5] = from[3];
}

/* G' of six values. */
INLINE void winograd_weight_line(vec to[3], const vec from[REACH]) {
  const vec even_a = CPU_WINOGRAD_OF_a * (from[1] + from[2]);
  const vec even_b = CPU_WINOGRAD_OF_b * (from[3] + from[4]);
  to[0] = CPU_WINOGRAD_OF_0 * from[0] + even_a + even_b;
  to[1] = POINT_a * CPU_WINOGRAD_OF_a * (from[1] - from[2]) +
          POINT_b * CPU_WINOGRAD_OF_b * (from[3] - from[4]);
  to[2] = SQUARE_a * even_a + SQUARE_b * even_b + from[5];
}

static void winograd_stage(real *staged, const cpu_winograd_unit *unit, int64_t first,
                           int64_t n_across, const real *x, int64_t height, int64_t width,
                           int64_t top, const real *scale, const real *shift) {
  const int64_t row = SIDE * unit->across;
  for (int64_t l = -1; l <= SIDE * unit->down; l++) {
    /* Four rows of phases, split later: line l is row (l mod 4), l / 4 rows of tiles down. */
    const int64_t a = (l + SIDE) % SIDE, down = (l + SIDE) / SIDE - 1;
    real *to = staged + a * SIDE * unit->phase + SIDE * (unit->origin + first) + down * row;
    const int64_t h = top + l;
    if (h < 0 || h >= height) {
      memset(to, 0, (size_t)(SIDE * n_across) * sizeof *to);
      continue;
    }
    norm_relu_line(to, x + h * width, width, scale, shift);
  }
}

/* SIDE vectors of pixels become one for each pixel of SIDE neighbours. */
INLINE void winograd_unzip(vec v[SIDE]) {
  const vec even_0 = SHUFFLE(v[0], v[1], OF_ALL(UNZIP, 0));
  const vec odd_0 = SHUFFLE(v[0], v[1], OF_ALL(UNZIP, 1));
  const vec even_1 = SHUFFLE(v[2], v[3], OF_ALL(UNZIP, 0));
  const vec odd_1 = SHUFFLE(v[2], v[3], OF_ALL(UNZIP, 1));
  v[0] = SHUFFLE(even_0, even_1, OF_ALL(UNZIP, 0));
  v[1] = SHUFFLE(odd_0, odd_1, OF_ALL(UNZIP, 0));
  v[2] = SHUFFLE(even_0, even_1, OF_ALL(UNZIP, 1));
  v[3] = SHUFFLE(odd_0, odd_1, OF_ALL(UNZIP, 1));
}

/* The way back. */
INLINE void winograd_zip(vec v[SIDE]) {
  const vec even_0 = SHUFFLE(v[0], v[2], OF_ALL(ZIP, 0));
  const vec even_1 = SHUFFLE(v[0], v[2], OF_ALL(ZIP, LANES / 2));
  const vec odd_0 = SHUFFLE(v[1], v[3], OF_ALL(ZIP, 0));
  const vec odd_1 = SHUFFLE(v[1], v[3], OF_ALL(ZIP, LANES / 2));
  v[0] = SHUFFLE(even_0, odd_0, OF_ALL(ZIP, 0));
  v[1] = SHUFFLE(even_0, odd_0, OF_ALL(ZIP, LANES / 2));
  v[2] = SHUFFLE(even_1, odd_1, OF_ALL(ZIP, 0));
  v[3] = SHUFFLE(even_1, odd_1, OF_ALL(ZIP, LANES / 2));
}

/*
** The places that phase row a of a unit's tiles is read at, from a whole vector on: one row of tiles above, or
** below, some of them.
*/
INLINE void winograd_places(const cpu_winograd_unit *unit, int a, int64_t *begin, int64_t *end) {
  *begin = a == SIDE - 1 ? -(unit->across + LANES - 1) / LANES * LANES : 0;
  *end = unit->n_tiles + (a == 0 ? unit->across : 0);
}

static void winograd_split(real *phases, const real *staged, const cpu_winograd_unit *unit) {
  for (int a = 0; a < SIDE; a++) {
    const real *from = staged + a * SIDE * unit->phase + SIDE * unit->origin;
    real *to = phases + a * SIDE * unit->phase + unit->origin;
    int64_t begin, end;
    winograd_places(unit, a, &begin, &end);
    for (int64_t t = begin; t < end; t += LANES) {
      vec v[SIDE];
      for (int q = 0; q < SIDE; q++) v[q] = load(from + SIDE * t + q * LANES);
      winograd_unzip(v);
      for (int b = 0; b < SIDE; b++) store(to + b * unit->phase + t, v[b]);
    }
  }
}

INLINE vec where_inside(const real *inside, vec v) {
  return (vec)((lane_mask)v & (lane_mask)load(inside));
}

/* Where tile t is in packed values. */
INLINE real *winograd_at(real *v, int64_t v_block, int64_t t) {
  return v + t / CPU_BLOCK * v_block + t % CPU_BLOCK;
}

static void winograd_input(real *v, int64_t v_stride, int64_t v_block, const real *phases,
                           const cpu_winograd_unit *unit, const real *inside, real *half) {
  const int64_t phase = unit->phase;
  const real *has_left = inside + unit->origin, *has_right = has_left + phase;
  for (int a = 0; a < SIDE; a++) {
    const real *from = phases + a * SIDE * phase + unit->origin;
    real *to = half + a * REACH * phase + unit->origin;
    int64_t begin, end;
    winograd_places(unit, a, &begin, &end);
    for (int64_t t = begin; t < end; t += LANES) {
      const vec line[REACH] = {where_inside(has_left + t, load(from + 3 * phase + t - 1)),
                               load(from + t),
                               load(from + phase + t),
                               load(from + 2 * phase + t),
                               load(from + 3 * phase + t),
                               where_inside(has_right + t, load(from + t + 1))};
      vec made[REACH];
      winograd_input_line(made, line);
      for (int j = 0; j < REACH; j++) store(to + j * phase + t, made[j]);
    }
  }
  const int64_t across = unit->across, row = REACH * phase;
  for (int j = 0; j < REACH; j++) {
    const real *from = half + j * phase + unit->origin;
    for (int64_t t = 0; t < unit->n_tiles; t += LANES) {
      const vec column[REACH] = {
          load(from + 3 * row + t - across), load(from + t),           load(from + row + t),
          load(from + 2 * row + t),          load(from + 3 * row + t), load(from + t + across)};
      vec made[REACH];
      winograd_input_line(made, column);
      real *to = winograd_at(v + j * v_stride, v_block, t);
      for (int i = 0; i < REACH; i++) store(to + i * REACH * v_stride, made[i]);
    }
  }
}

static void winograd_gradient(real *v, int64_t v_stride, int64_t v_block, const real *phases,
                              const cpu_winograd_unit *unit) {
  const real *from = phases + unit->origin;
  for (int64_t t = 0; t < unit->n_tiles; t += LANES) {
    vec half[REACH][SIDE];
    for (int b = 0; b < SIDE; b++) {
      vec column[SIDE], made[REACH];
      for (int a = 0; a < SIDE; a++) column[a] = load(from + (a * SIDE + b) * unit->phase + t);
      winograd_gradient_line(made, column);
      for (int i = 0; i < REACH; i++) half[i][b] = made[i];
    }
    real *to = winograd_at(v, v_block, t);
    for (int i = 0; i < REACH; i++) {
      vec made[REACH];
      winograd_gradient_line(made, half[i]);
      for (int j = 0; j < REACH; j++) store(to + (i * REACH + j) * v_stride, made[j]);
    }
  }
}

static void winograd_output(real *lines, int64_t line_stride, const real *m, int64_t m_stride,
                            int64_t n_tiles) {
  for (int64_t t = 0; t < n_tiles; t += LANES) {
    vec half[SIDE][REACH];
    for (int j = 0; j < REACH; j++) {
      vec column[REACH], made[SIDE];
      for (int i = 0; i < REACH; i++) column[i] = load(m + (i * REACH + j) * m_stride + t);
      winograd_output_line(made, column);
      for (int p = 0; p < SIDE; p++) half[p][j] = made[p];
    }
    for (int p = 0; p < SIDE; p++) {
      vec made[SIDE];
      winograd_output_line(made, half[p]);
      winograd_zip(made);
      for (int q = 0; q < SIDE; q++) store(lines + p * line_stride + SIDE * t + q * LANES, made[q]);
    }
  }
}

static void winograd_input_channels(real *v, int64_t v_stride, const real *x, int64_t line,
                                    int64_t column, int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; c += LANES) {
    vec half[REACH][REACH];
    for (int q = 0; q < REACH; q++) {
      vec from[REACH], made[REACH];
      for (int p = 0; p < REACH; p++) from[p] = load(x + p * line + q * column + c);
      winograd_input_line(made, from);
      for (int i = 0; i < REACH; i++) half[i][q] = made[i];
    }
    for (int i = 0; i < REACH; i++) {
      vec made[REACH];
      winograd_input_line(made, half[i]);
      for (int j = 0; j < REACH; j++) store(v + (i * REACH + j) * v_stride + c, made[j]);
    }
  }
}

static void winograd_weight_gradient(real *dw, int64_t dw_stride, const real *m, int64_t m_stride,
                                     int64_t n) {
  for (int64_t c = 0; c < n; c += LANES) {
    vec half[3][REACH];
    for (int j = 0; j < REACH; j++) {
      vec from[REACH], made[3];
      for (int i = 0; i < REACH; i++) from[i] = load(m + (i * REACH + j) * m_stride + c);
      winograd_weight_line(made, from);
      for (int r = 0; r < 3; r++) half[r][j] = made[r];
    }
    for (int r = 0; r < 3; r++) {
      vec made[3];
      winograd_weight_line(made, half[r]);
      for (int s = 0; s < 3; s++) {
        real *to = dw + (r * 3 + s) * dw_stride + c;
        store(to, load(to) + made[s]);
      }
    }
  }
}
