/*
** y[n,k,p,q] = bias[k] + sum over c,r,s of w[k,c,r,s] x[n,c,h,w],
** h = p stride - pad + r, w = q stride - pad + s,
** and its two derivatives, each as a gather: one sum for each element of the result. c counts the
** channels of k's group. The loops are written once for both dtypes and called with a constant one,
** from which the compiler makes two.
*/
#include "cpu_conv2d_reference.h"

#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"

#define SPECIALIZED static inline __attribute__((always_inline))

typedef struct geometry {
  int64_t n, c, h, w; /* input; c of one group */
  int64_t k, r, s;    /* weight; k of one group */
  int64_t p, q;       /* output plane */
  int64_t x_stride[2], y_stride[2];
  dn_conv2d options;
} geometry;

static geometry geometry_of(const dn_tensor *x, const dn_tensor *weight, const dn_tensor *y,
                            dn_conv2d options) {
  const geometry g = {.n = x->size[0],
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
  return g;
}

static int team(const geometry *g) {
  return cpu_team(g->n * g->options.groups * g->k * g->p * g->q * g->c * g->r * g->s);
}

/* Kernel rows r of [*begin, *end) whose input row start + r lies in [0, size). */
static void clip(int64_t start, int64_t size, int64_t n_kernel, int64_t *begin, int64_t *end) {
  *begin = start < 0 ? -start : 0;
  *end = size - start < n_kernel ? size - start : n_kernel;
}

SPECIALIZED void forward(dn_dtype dtype, void *y, const void *x, const void *weight,
                         const void *bias, const geometry *g) {
  const dn_conv2d *const o = &g->options;
  const int64_t n_channels = o->groups * g->k, n_planes = g->n * n_channels;
  const int n_threads = team(g);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t plane = 0; plane < n_planes; plane++) {
    const int64_t n = plane / n_channels, k = plane % n_channels;
    const int64_t x_first = n * g->x_stride[0] + k / g->k * g->c * g->x_stride[1];
    const int64_t y_first = n * g->y_stride[0] + k * g->y_stride[1];
    for (int64_t p = 0; p < g->p; p++)
      for (int64_t q = 0; q < g->q; q++) {
        const int64_t top = p * o->stride_h - o->pad_h, left = q * o->stride_w - o->pad_w;
        int64_t r_begin, r_end, s_begin, s_end;
        clip(top, g->h, g->r, &r_begin, &r_end);
        clip(left, g->w, g->s, &s_begin, &s_end);
        double sum = bias ? cpu_load(bias, dtype, k) : 0;
        for (int64_t c = 0; c < g->c; c++)
          for (int64_t r = r_begin; r < r_end; r++)
            for (int64_t s = s_begin; s < s_end; s++)
              sum +=
                  cpu_load(x, dtype, x_first + c * g->x_stride[1] + (top + r) * g->w + left + s) *
                  cpu_load(weight, dtype, ((k * g->c + c) * g->r + r) * g->s + s);
        cpu_store(y, dtype, y_first + p * g->q + q, sum);
      }
  }
}

SPECIALIZED void backward_data(dn_dtype dtype, void *dx, const void *dy, const void *weight,
                               const geometry *g) {
  const dn_conv2d *const o = &g->options;
  const int64_t n_channels = o->groups * g->c, n_planes = g->n * n_channels;
  const int n_threads = team(g);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t plane = 0; plane < n_planes; plane++) {
    const int64_t n = plane / n_channels, channel = plane % n_channels;
    const int64_t c = channel % g->c, k_first = channel / g->c * g->k;
    const int64_t dx_first = n * g->x_stride[0] + channel * g->x_stride[1];
    for (int64_t h = 0; h < g->h; h++)
      for (int64_t w = 0; w < g->w; w++) {
        double sum = 0;
        for (int64_t r = 0; r < g->r; r++) {
          const int64_t below = h + o->pad_h - r, p = below / o->stride_h;
          if (below < 0 || below % o->stride_h != 0 || p >= g->p) continue;
          for (int64_t s = 0; s < g->s; s++) {
            const int64_t beside = w + o->pad_w - s, q = beside / o->stride_w;
            if (beside < 0 || beside % o->stride_w != 0 || q >= g->q) continue;
            for (int64_t k = k_first; k < k_first + g->k; k++)
              sum += cpu_load(dy, dtype, n * g->y_stride[0] + k * g->y_stride[1] + p * g->q + q) *
                     cpu_load(weight, dtype, ((k * g->c + c) * g->r + r) * g->s + s);
          }
        }
        cpu_store(dx, dtype, dx_first + h * g->w + w, sum);
      }
  }
}

SPECIALIZED void backward_weight(dn_dtype dtype, void *dweight, const void *dy, const void *x,
                                 const geometry *g, double scale) {
  const dn_conv2d *const o = &g->options;
  const int64_t n_pairs = o->groups * g->k * g->c;
  const int n_threads = team(g);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t pair = 0; pair < n_pairs; pair++) {
    const int64_t k = pair / g->c, channel = k / g->k * g->c + pair % g->c;
    for (int64_t r = 0; r < g->r; r++)
      for (int64_t s = 0; s < g->s; s++) {
        double sum = 0;
        for (int64_t n = 0; n < g->n; n++)
          for (int64_t p = 0; p < g->p; p++) {
            const int64_t h = p * o->stride_h - o->pad_h + r;
            if (h < 0 || h >= g->h) continue;
            const int64_t x_row = n * g->x_stride[0] + channel * g->x_stride[1] + h * g->w;
            const int64_t y_row = n * g->y_stride[0] + k * g->y_stride[1] + p * g->q;
            for (int64_t q = 0; q < g->q; q++) {
              const int64_t w = q * o->stride_w - o->pad_w + s;
              if (w < 0 || w >= g->w) continue;
              sum += cpu_load(dy, dtype, y_row + q) * cpu_load(x, dtype, x_row + w);
            }
          }
        const int64_t at = (pair * g->r + r) * g->s + s;
        cpu_store(dweight, dtype, at, cpu_load(dweight, dtype, at) + scale * sum);
      }
  }
}

void cpu_conv2d_forward_reference(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                                  const dn_tensor *bias, dn_conv2d options) {
  const geometry g = geometry_of(x, weight, y, options);
  const void *const b = bias ? dn_tensor_data(bias) : NULL;
  if (x->dtype == DN_FLOAT)
    forward(DN_FLOAT, dn_tensor_data(y), dn_tensor_data(x), dn_tensor_data(weight), b, &g);
  else
    forward(DN_DOUBLE, dn_tensor_data(y), dn_tensor_data(x), dn_tensor_data(weight), b, &g);
}

void cpu_conv2d_backward_data_reference(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                        dn_conv2d options) {
  const geometry g = geometry_of(dx, weight, dy, options);
  if (dx->dtype == DN_FLOAT)
    backward_data(DN_FLOAT, dn_tensor_data(dx), dn_tensor_data(dy), dn_tensor_data(weight), &g);
  else
    backward_data(DN_DOUBLE, dn_tensor_data(dx), dn_tensor_data(dy), dn_tensor_data(weight), &g);
}

void cpu_conv2d_backward_weight_reference(dn_tensor *dweight, const dn_tensor *dy,
                                          const dn_tensor *x, dn_conv2d options, double scale) {
  const geometry g = geometry_of(x, dweight, dy, options);
  if (x->dtype == DN_FLOAT)
    backward_weight(DN_FLOAT, dn_tensor_data(dweight), dn_tensor_data(dy), dn_tensor_data(x), &g,
                    scale);
  else
    backward_weight(DN_DOUBLE, dn_tensor_data(dweight), dn_tensor_data(dy), dn_tensor_data(x), &g,
                    scale);
}
