#include "cpu_im2col.h"

#include <string.h>

/* Output columns [*begin, *end) whose input column q * stride + shift lies in [0, width). */
static void clip(int64_t shift, int64_t stride, int64_t width, int64_t n_columns, int64_t *begin,
                 int64_t *end) {
  *begin = shift < 0 ? (-shift + stride - 1) / stride : 0;
  *end = shift < width ? (width - 1 - shift) / stride + 1 : 0;
  if (*end > n_columns) *end = n_columns;
  if (*begin > *end) *begin = *end;
}

void cpu_im2col(float *col, const float *x, const cpu_patches *patches) {
  const dn_conv2d *const o = &patches->options;
  for (int64_t c = 0; c < patches->c; c++)
    for (int64_t r = 0; r < patches->r; r++)
      for (int64_t s = 0; s < patches->s; s++) {
        const int64_t shift = s - o->pad_w;
        int64_t begin, end;
        clip(shift, o->stride_w, patches->w, patches->q, &begin, &end);
        for (int64_t p = patches->p_begin; p < patches->p_end; p++, col += patches->q) {
          const int64_t row = p * o->stride_h - o->pad_h + r;
          if (row < 0 || row >= patches->h) {
            memset(col, 0, (size_t)patches->q * sizeof *col);
            continue;
          }
          const float *const from = x + c * patches->stride_c + row * patches->w;
          for (int64_t q = 0; q < begin; q++) col[q] = 0;
          for (int64_t q = begin; q < end; q++) col[q] = from[q * o->stride_w + shift];
          for (int64_t q = end; q < patches->q; q++) col[q] = 0;
        }
      }
}

void cpu_col2im(float *x, const float *col, const cpu_patches *patches) {
  const dn_conv2d *const o = &patches->options;
  for (int64_t c = 0; c < patches->c; c++)
    for (int64_t r = 0; r < patches->r; r++)
      for (int64_t s = 0; s < patches->s; s++) {
        const int64_t shift = s - o->pad_w;
        int64_t begin, end;
        clip(shift, o->stride_w, patches->w, patches->q, &begin, &end);
        for (int64_t p = patches->p_begin; p < patches->p_end; p++, col += patches->q) {
          const int64_t row = p * o->stride_h - o->pad_h + r;
          if (row < 0 || row >= patches->h) continue;
          float *const to = x + c * patches->stride_c + row * patches->w;
          for (int64_t q = begin; q < end; q++) to[q * o->stride_w + shift] += col[q];
        }
      }
}
