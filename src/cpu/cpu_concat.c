/*
** Concatenation: each input is copied to its slice of the output, and the gradient back. Both are a
** copy between two views of one shape, made of runs that are contiguous in both.
*/
#include <string.h>

#include "cpu_backend.h"
#include "cpu_parallel.h"

/*
** How two views of one shape are walked together: `n_outer` rows of `run` elements, contiguous on
** both sides. Dimensions of size 1 and those that merge into the row are gone.
*/
typedef struct walk {
  int n_dim;
  int64_t size[DN_MAX_DIM], to_stride[DN_MAX_DIM], from_stride[DN_MAX_DIM];
  int64_t n_outer, run;
} walk;

static walk walk_of(const dn_tensor *to, const dn_tensor *from) {
  walk w = {.n_outer = 1, .run = 1};
  int d = to->n_dim - 1;
  for (; d >= 0; d--) {
    if (to->size[d] == 1) continue;
    if (to->stride[d] != w.run || from->stride[d] != w.run) break;
    w.run *= to->size[d];
  }
  for (; d >= 0; d--) {
    if (to->size[d] == 1) continue;
    w.size[w.n_dim] = to->size[d];
    w.to_stride[w.n_dim] = to->stride[d];
    w.from_stride[w.n_dim] = from->stride[d];
    w.n_outer *= to->size[d];
    w.n_dim++;
  }
  return w;
}

/* Dimension 0 of the walk is the innermost. */
static void row_place(const walk *w, int64_t row, int64_t *to, int64_t *from) {
  *to = *from = 0;
  for (int d = 0; d < w->n_dim; d++) {
    const int64_t place = row % w->size[d];
    row /= w->size[d];
    *to += place * w->to_stride[d];
    *from += place * w->from_stride[d];
  }
}

static void copy_slice(const dn_tensor *to, const dn_tensor *from) {
  const walk w = walk_of(to, from);
  const int64_t width = (int64_t)dn_dtype_size(to->dtype);
  char *const to_data = dn_tensor_data(to);
  const char *const from_data = dn_tensor_data(from);
  const int64_t count = w.n_outer * w.run;
  if (count == 0) return;
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    int64_t i, end;
    cpu_share(count, n_threads, t, &i, &end);
    while (i < end) {
      const int64_t row = i / w.run, within = i % w.run;
      const int64_t length = w.run - within < end - i ? w.run - within : end - i;
      int64_t to_at, from_at;
      row_place(&w, row, &to_at, &from_at);
      memcpy(to_data + (to_at + within) * width, from_data + (from_at + within) * width,
             (size_t)(length * width));
      i += length;
    }
  }
}

/* The part of `whole` that starts at `start` along dim and has the shape of `piece`; borrowed. */
static dn_tensor slice(const dn_tensor *whole, const dn_tensor *piece, int dim, int64_t start) {
  dn_tensor part = *whole;
  part.size[dim] = piece->size[dim];
  part.offset += start * whole->stride[dim];
  return part;
}

dn_status cpu_concat_forward(dn_tensor *y, int n_inputs, const dn_tensor *const *xs, int dim) {
  int64_t start = 0;
  for (int i = 0; i < n_inputs; i++) {
    const dn_tensor part = slice(y, xs[i], dim, start);
    copy_slice(&part, xs[i]);
    start += xs[i]->size[dim];
  }
  return DN_OK;
}

dn_status cpu_concat_backward(int n_outputs, dn_tensor *const *dxs, const dn_tensor *dy, int dim) {
  int64_t start = 0;
  for (int i = 0; i < n_outputs; i++) {
    const dn_tensor part = slice(dy, dxs[i], dim, start);
    copy_slice(dxs[i], &part);
    start += dxs[i]->size[dim];
  }
  return DN_OK;
}
