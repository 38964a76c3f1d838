#include "cpu_conv2d_patches.h"

#include <string.h>

#include "cpu_blas.h"
#include "cpu_blas_library.h"
#include "cpu_conv2d_reference.h"
#include "cpu_im2col.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"

enum { COL_ELEMENTS = 1 << 17 }; /* of the unfolded matrix: half of a 1 MiB second-level cache */

/* One group's convolution and how it is cut. */
typedef struct plan {
  int64_t n, groups;
  int64_t c, h, w, k, r, s, p, q; /* c and k of one group */
  int64_t x_stride[2], y_stride[2];
  int64_t channels; /* unfolded at a time */
  int64_t band;     /* output rows at a time */
  int64_t n_bands;
  int64_t col_elements;
  int n_threads;
  dn_conv2d options;
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static plan plan_of(const dn_tensor *x, const dn_tensor *weight, const dn_tensor *y,
                    dn_conv2d options) {
  plan f = {.n = x->size[0],
            .groups = options.groups,
            .c = weight->size[1],
            .h = x->size[2],
            .w = x->size[3],
            .k = weight->size[0] / options.groups,
            .r = weight->size[2],
            .s = weight->size[3],
            .p = y->size[2],
            .q = y->size[3],
            .x_stride = {x->stride[0], x->stride[1]},
            .y_stride = {y->stride[0], y->stride[1]},
            .options = options};
  const int64_t row = f.r * f.s * f.q; /* elements of one channel's patches for one output row */
  f.channels = least(f.c, most(1, COL_ELEMENTS / row));
  f.band = least(f.p, most(1, COL_ELEMENTS / (row * f.channels)));
  f.n_bands = (f.p + f.band - 1) / f.band;
  f.col_elements = (f.channels * row * f.band + 15) / 16 * 16;
  f.n_threads = cpu_team(f.n * f.groups * f.k * f.p * row / 16 * f.c);
  return f;
}

static cpu_patches patches_of(const plan *f, int64_t channels, int64_t band) {
  const cpu_patches patches = {.c = channels,
                               .h = f->h,
                               .w = f->w,
                               .stride_c = f->x_stride[1],
                               .r = f->r,
                               .s = f->s,
                               .p_begin = band * f->band,
                               .p_end = least(f->p, (band + 1) * f->band),
                               .q = f->q,
                               .options = f->options};
  return patches;
}

/* Columns of col: output positions of the band. */
static int64_t columns_of(const cpu_patches *patches) {
  return (patches->p_end - patches->p_begin) * patches->q;
}

/* The band's part of `planes` output planes, as a matrix with a plane a row. */
static cpu_matrix band_of(const plan *f, float *planes, const cpu_patches *patches) {
  const cpu_matrix rows = {planes + patches->p_begin * f->q,
                           f->k == 1 ? columns_of(patches) : f->y_stride[1], false};
  return rows;
}

/* BLAS wants rows that do not lie on one another, which planes of an expanded view may. */
static bool planes_are_apart(const dn_tensor *y) {
  return y->size[1] == 1 || y->stride[1] >= y->size[2] * y->size[3];
}

dn_status cpu_conv2d_patches_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                     const dn_tensor *bias, dn_conv2d options) {
  const plan f = plan_of(x, weight, y, options);
  void *scratch;
  DN_TRY(cpu_scratch(f.n_threads * f.col_elements * (int64_t)sizeof(float), &scratch));
  DN_TRY(cpu_blas_begin(f.n_threads));
  float *const weights = dn_tensor_data(weight), *const y_data = dn_tensor_data(y);
  const float *const x_data = dn_tensor_data(x);
  const float *const biases = bias ? dn_tensor_data(bias) : NULL;
  const int64_t depth = f.c * f.r * f.s;
#pragma omp parallel for schedule(static) num_threads(f.n_threads)
  for (int t = 0; t < f.n_threads; t++) {
    float *const col = (float *)scratch + t * f.col_elements;
    int64_t unit, end;
    cpu_share(f.n * f.n_bands, f.n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t n = unit / f.n_bands, band = unit % f.n_bands;
      for (int64_t group = 0; group < f.groups; group++) {
        const float *const image = x_data + n * f.x_stride[0] + group * f.c * f.x_stride[1];
        float *const planes = y_data + n * f.y_stride[0] + group * f.k * f.y_stride[1];
        for (int64_t c = 0; c < f.c; c += f.channels) {
          const cpu_patches patches = patches_of(&f, least(f.channels, f.c - c), band);
          const int64_t n_rows = patches.c * f.r * f.s, n_columns = columns_of(&patches);
          const cpu_matrix left = {weights + group * f.k * depth + c * f.r * f.s, depth, false};
          const cpu_matrix right = {col, n_columns, false};
          const cpu_matrix out = band_of(&f, planes, &patches);
          cpu_im2col(col, image + c * f.x_stride[1], &patches);
          cpu_blas_gemm(DN_FLOAT, f.k, n_columns, n_rows, 1, left, right, c == 0 ? 0 : 1, out);
          if (!biases || c + patches.c < f.c) continue;
          for (int64_t k = 0; k < f.k; k++) {
            float *const row = (float *)out.data + k * out.ld;
            const float start = biases[group * f.k + k];
            for (int64_t i = 0; i < n_columns; i++) row[i] += start;
          }
        }
      }
    }
  }
  cpu_blas_end(f.n_threads);
  return DN_OK;
}

dn_status cpu_conv2d_patches_backward_data(dn_tensor *dx, const dn_tensor *dy,
                                           const dn_tensor *weight, dn_conv2d options) {
  if (!planes_are_apart(dy)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_backward_data_reference(dx, dy, weight, options);
    return DN_OK;
  }
  plan f = plan_of(dx, weight, dy, options);
  /* bands of one block of channels overlap in dx, so threads share images, groups and blocks */
  const int64_t wanted = (f.n_threads + f.n * f.groups - 1) / (f.n * f.groups);
  f.channels = least(f.channels, (f.c + wanted - 1) / wanted);
  const int64_t n_blocks = (f.c + f.channels - 1) / f.channels;
  void *scratch;
  DN_TRY(cpu_scratch(f.n_threads * f.col_elements * (int64_t)sizeof(float), &scratch));
  DN_TRY(cpu_blas_begin(f.n_threads));
  float *const weights = dn_tensor_data(weight), *const dy_data = dn_tensor_data(dy);
  float *const dx_data = dn_tensor_data(dx);
  const int64_t depth = f.c * f.r * f.s;
#pragma omp parallel for schedule(static) num_threads(f.n_threads)
  for (int t = 0; t < f.n_threads; t++) {
    float *const col = (float *)scratch + t * f.col_elements;
    int64_t unit, end;
    cpu_share(f.n * f.groups * n_blocks, f.n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t n = unit / (f.groups * n_blocks), group = unit / n_blocks % f.groups;
      const int64_t c = unit % n_blocks * f.channels, channels = least(f.channels, f.c - c);
      float *const image = dx_data + n * f.x_stride[0] + (group * f.c + c) * f.x_stride[1];
      float *const planes = dy_data + n * f.y_stride[0] + group * f.k * f.y_stride[1];
      for (int64_t i = 0; i < channels; i++)
        memset(image + i * f.x_stride[1], 0, (size_t)(f.h * f.w) * sizeof *image);
      for (int64_t band = 0; band < f.n_bands; band++) {
        const cpu_patches patches = patches_of(&f, channels, band);
        const int64_t n_columns = columns_of(&patches);
        const cpu_matrix left = {weights + group * f.k * depth + c * f.r * f.s, depth, true};
        const cpu_matrix out = {col, n_columns, false};
        cpu_blas_gemm(DN_FLOAT, channels * f.r * f.s, n_columns, f.k, 1, left,
                      band_of(&f, planes, &patches), 0, out);
        cpu_col2im(image, col, &patches);
      }
    }
  }
  cpu_blas_end(f.n_threads);
  return DN_OK;
}

dn_status cpu_conv2d_patches_backward_weight(dn_tensor *dweight, const dn_tensor *dy,
                                             const dn_tensor *x, dn_conv2d options, double scale) {
  if (!planes_are_apart(dy)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_backward_weight_reference(dweight, dy, x, options, scale);
    return DN_OK;
  }
  const plan f = plan_of(x, dweight, dy, options);
  const int64_t count = dn_tensor_count(dweight), own = (count + 15) / 16 * 16;
  const int64_t n_bytes = f.n_threads * (own + f.col_elements) * (int64_t)sizeof(float);
  void *scratch;
  DN_TRY(cpu_scratch(n_bytes, &scratch));
  DN_TRY(cpu_blas_begin(f.n_threads));
  float *const sums = scratch, *const cols = sums + f.n_threads * own;
  const float *const x_data = dn_tensor_data(x);
  float *const dy_data = dn_tensor_data(dy), *const out = dn_tensor_data(dweight);
  const int64_t depth = f.c * f.r * f.s;
#pragma omp parallel for schedule(static) num_threads(f.n_threads)
  for (int t = 0; t < f.n_threads; t++) {
    float *const col = cols + t * f.col_elements, *const sum = sums + t * own;
    memset(sum, 0, (size_t)count * sizeof *sum);
    int64_t unit, end;
    cpu_share(f.n * f.n_bands, f.n_threads, t, &unit, &end);
    for (; unit < end; unit++) {
      const int64_t n = unit / f.n_bands, band = unit % f.n_bands;
      for (int64_t group = 0; group < f.groups; group++) {
        const float *const image = x_data + n * f.x_stride[0] + group * f.c * f.x_stride[1];
        float *const planes = dy_data + n * f.y_stride[0] + group * f.k * f.y_stride[1];
        for (int64_t c = 0; c < f.c; c += f.channels) {
          const cpu_patches patches = patches_of(&f, least(f.channels, f.c - c), band);
          const int64_t n_columns = columns_of(&patches);
          const cpu_matrix right = {col, n_columns, true};
          const cpu_matrix slopes = {sum + group * f.k * depth + c * f.r * f.s, depth, false};
          cpu_im2col(col, image + c * f.x_stride[1], &patches);
          cpu_blas_gemm(DN_FLOAT, f.k, patches.c * f.r * f.s, n_columns, 1,
                        band_of(&f, planes, &patches), right, 1, slopes);
        }
      }
    }
  }
  cpu_blas_end(f.n_threads);
  for (int64_t i = 0; i < count; i++) {
    float total = 0;
    for (int t = 0; t < f.n_threads; t++) total += sums[t * own + i];
    out[i] += (float)scale * total;
  }
  return DN_OK;
}
