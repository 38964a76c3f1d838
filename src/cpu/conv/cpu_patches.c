#include "cpu_patches.h"

/* Output positions [q, q_end) of a line whose input columns lie inside the image. */
typedef struct inside {
  int64_t q, q_end;
} inside;

static int64_t up(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

static inside columns_inside(const cpu_patches *p, int64_t s) {
  const int64_t stride = p->options.stride_w, pad = p->options.pad_w;
  inside found = {up(pad - s, stride), up(p->w + pad - s, stride)};
  if (found.q_end > p->width) found.q_end = p->width;
  if (found.q > found.q_end) found.q = found.q_end;
  return found;
}

/* Part of a row: output positions of one line. */
typedef struct run {
  int64_t line, q, q_end; /* of the output */
  int64_t at;             /* from the first position */
} run;

static run run_of(const cpu_patches *p, int64_t first, int64_t done, int64_t n_pixels) {
  const int64_t position = first + done, q = position % p->width;
  const int64_t left = n_pixels - done, here = p->width - q;
  return (run){position / p->width, q, q + (left < here ? left : here), done};
}

/* Value i of a packed row. */
static real *packed_at(real *row, cpu_layout layout, int64_t i) {
  return row + i / CPU_BLOCK * layout.block + i % CPU_BLOCK;
}

static void gather_run(const cpu_patches *p, const real *line, int64_t s, inside columns, run part,
                       real *row, cpu_layout layout) {
  const int64_t stride = p->options.stride_w, shift = s - p->options.pad_w;
  for (int64_t q = part.q; q < part.q_end; q++) {
    const bool is_inside = line && q >= columns.q && q < columns.q_end;
    *packed_at(row, layout, part.at + q - part.q) = is_inside ? line[q * stride + shift] : 0;
  }
}

void cpu_patches_gather(const cpu_patches *p, const real *x, int64_t first, int64_t n_pixels,
                        real *packed, cpu_layout layout) {
  const int64_t n_blocks = (n_pixels + CPU_BLOCK - 1) / CPU_BLOCK;
  for (int64_t c = 0; c < p->c; c++)
    for (int64_t r = 0; r < p->r; r++)
      for (int64_t s = 0; s < p->s; s++) {
        real *const row = packed + ((c * p->r + r) * p->s + s) * layout.row;
        const inside columns = columns_inside(p, s);
        run part;
        for (int64_t done = 0; done < n_pixels; done += part.q_end - part.q) {
          part = run_of(p, first, done, n_pixels);
          const int64_t h = part.line * p->options.stride_h + r - p->options.pad_h;
          const real *const line = h >= 0 && h < p->h ? x + c * p->stride_c + h * p->w : NULL;
          gather_run(p, line, s, columns, part, row, layout);
        }
        for (int64_t i = n_pixels; i < n_blocks * CPU_BLOCK; i++) *packed_at(row, layout, i) = 0;
      }
}

void cpu_patches_scatter(const cpu_patches *p, real *x, int64_t c, int64_t c_end, int64_t first,
                         int64_t n_pixels, const real *rows, int64_t stride) {
  const int64_t step = p->options.stride_w;
  for (; c < c_end; c++)
    for (int64_t r = 0; r < p->r; r++)
      for (int64_t s = 0; s < p->s; s++, rows += stride) {
        const inside columns = columns_inside(p, s);
        run part;
        for (int64_t done = 0; done < n_pixels; done += part.q_end - part.q) {
          part = run_of(p, first, done, n_pixels);
          const int64_t h = part.line * p->options.stride_h + r - p->options.pad_h;
          if (h < 0 || h >= p->h) continue;
          real *const line = x + c * p->stride_c + h * p->w + s - p->options.pad_w;
          const int64_t q = part.q > columns.q ? part.q : columns.q;
          const int64_t q_end = part.q_end < columns.q_end ? part.q_end : columns.q_end;
          for (int64_t i = q; i < q_end; i++) line[i * step] += rows[part.at + i - part.q];
        }
      }
}
