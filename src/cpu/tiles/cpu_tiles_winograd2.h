/*
** The transforms of F(2x2, 3x3) around its products: a part of cpu_tiles_loops.h, which includes it. Tiles
** of 2x2 outputs lie side by side and are the lanes of vectors. A bordered line comes split: its even columns
** (-1, 1, 3, ... of the image) and its odd ones (0, 2, 4, ...), so that tile j finds its four columns at
** even[j], odd[j], even[j + 1] and odd[j + 1].
*/
#ifndef CPU_TILES_WINOGRAD2_H
#define CPU_TILES_WINOGRAD2_H

/* Every second value of two short vectors, from `first` on. */
#ifdef CPU_REAL_DOUBLE
#define FEW_OF(a, b, first) FEW_SHUFFLE(a, b, first, 2 + (first))
#else
#define FEW_OF(a, b, first) FEW_SHUFFLE(a, b, first, 2 + (first), 4 + (first), 6 + (first))
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define FEW_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FEW_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (few_mask){__VA_ARGS__})
#endif

INLINE real split_value(const real *line, int64_t width, int64_t column, bool has_norm, real scale,
                        real shift) {
  if (column < 0 || column >= width) return 0;
  if (!has_norm) return line[column];
  const real v = scale * line[column] + shift;
  return v > 0 ? v : 0;
}

INLINE void split_line(real *even, real *odd, const real *line, int64_t width, int64_t n,
                       const bool has_norm, real scale, real shift) {
  even[0] = 0;
  odd[0] = split_value(line, width, 0, has_norm, scale, shift);
  int64_t i = 1;
  for (; i + LANES <= n && 2 * (i + LANES) - 1 <= width; i += LANES) {
    vec a = load(line + 2 * i - 1), b = load(line + 2 * i - 1 + LANES);
    if (has_norm) {
      a = norm_relu_of(a, scale, shift);
      b = norm_relu_of(b, scale, shift);
    }
    store(even + i, SHUFFLE(a, b, OF_ALL(UNZIP, 0)));
    store(odd + i, SHUFFLE(a, b, OF_ALL(UNZIP, 1)));
  }
  for (; i + FEW <= n && 2 * (i + FEW) - 1 <= width; i += FEW) {
    few a = *(const few *)(line + 2 * i - 1), b = *(const few *)(line + 2 * i - 1 + FEW);
    if (has_norm) {
      a = scale * a + shift;
      b = scale * b + shift;
      a = (few)((few_mask)a & (a > 0));
      b = (few)((few_mask)b & (b > 0));
    }
    *(few *)(even + i) = FEW_OF(a, b, 0);
    *(few *)(odd + i) = FEW_OF(a, b, 1);
  }
  for (; i < n; i++) {
    even[i] = split_value(line, width, 2 * i - 1, has_norm, scale, shift);
    odd[i] = split_value(line, width, 2 * i, has_norm, scale, shift);
  }
}

static void winograd2_split(real *even, real *odd, const real *line, int64_t width, int64_t n,
                            const real *scale, const real *shift) {
  if (scale)
    split_line(even, odd, line, width, n, true, *scale, *shift);
  else
    split_line(even, odd, line, width, n, false, 1, 0);
}

static void winograd2_input(real *v, int64_t v_stride, const real *const even[4],
                            const real *const odd[4], int64_t n) {
  for (int64_t j = 0; j < n; j += LANES) {
    vec d[4][4];
    UNROLLED
    for (int i = 0; i < 4; i++) {
      d[i][0] = load(even[i] + j);
      d[i][1] = load(odd[i] + j);
      d[i][2] = load(even[i] + j + 1);
      d[i][3] = load(odd[i] + j + 1);
    }
    UNROLLED
    for (int i = 0; i < 4; i++) {
      vec t[4];
      UNROLLED
      for (int q = 0; q < 4; q++)
        t[q] = i == 0   ? d[0][q] - d[2][q]
               : i == 1 ? d[1][q] + d[2][q]
               : i == 2 ? d[2][q] - d[1][q]
                        : d[1][q] - d[3][q];
      real *to = v + 4 * i * v_stride + j;
      store(to, t[0] - t[2]);
      store(to + v_stride, t[1] + t[2]);
      store(to + 2 * v_stride, t[2] - t[1]);
      store(to + 3 * v_stride, t[1] - t[3]);
    }
  }
}

/* n values of two vectors, lane by lane in turn. */
INLINE void store_pairs(real *to, vec a, vec b, int64_t n) {
  const vec low = SHUFFLE(a, b, OF_ALL(ZIP, 0)), high = SHUFFLE(a, b, OF_ALL(ZIP, LANES / 2));
  if (n >= WIDTH) {
    store(to, low);
    store(to + LANES, high);
    return;
  }
  const vec both[2] = {low, high};
  copy_line(to, (const real *)both, n);
}

static void winograd2_output(real *upper, real *lower, int64_t n_values, const real *m,
                             int64_t m_stride, real shift, bool rectifies) {
  for (int64_t j = 0; 2 * j < n_values; j += LANES) {
    vec left[4], right[4];
    UNROLLED
    for (int i = 0; i < 4; i++) {
      const real *row = m + 4 * i * m_stride + j;
      const vec b = load(row + m_stride), c = load(row + 2 * m_stride);
      left[i] = load(row) + b + c;
      right[i] = b - c - load(row + 3 * m_stride);
    }
    vec out[4] = {left[0] + left[1] + left[2] + shift, right[0] + right[1] + right[2] + shift,
                  left[1] - left[2] - left[3] + shift, right[1] - right[2] - right[3] + shift};
    if (rectifies)
      for (int q = 0; q < 4; q++) out[q] = where_positive(out[q], out[q]);
    store_pairs(upper + 2 * j, out[0], out[1], n_values - 2 * j);
    if (lower) store_pairs(lower + 2 * j, out[2], out[3], n_values - 2 * j);
  }
}

#endif
