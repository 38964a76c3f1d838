/*
** Concatenation: each input is copied to its slice of the output, and the gradient back.
*/
#include "cuda_backend.h"

/* The part of `whole` that starts at `start` along dim and has the shape of `piece`; borrowed. */
static dn_tensor slice(const dn_tensor *whole, const dn_tensor *piece, int dim, int64_t start) {
  dn_tensor part = *whole;
  part.size[dim] = piece->size[dim];
  part.offset += start * whole->stride[dim];
  return part;
}

dn_status cuda_concat_forward(dn_tensor *y, int n_inputs, const dn_tensor *const *xs, int dim) {
  int64_t start = 0;
  for (int i = 0; i < n_inputs; i++) {
    dn_tensor part = slice(y, xs[i], dim, start);
    if (xs[i]->size[dim] > 0) DN_TRY(cuda_copy(&part, xs[i]));
    start += xs[i]->size[dim];
  }
  return DN_OK;
}

dn_status cuda_concat_backward(int n_outputs, dn_tensor *const *dxs, const dn_tensor *dy, int dim) {
  int64_t start = 0;
  for (int i = 0; i < n_outputs; i++) {
    const dn_tensor part = slice(dy, dxs[i], dim, start);
    if (dxs[i]->size[dim] > 0) DN_TRY(cuda_copy(dxs[i], &part));
    start += dxs[i]->size[dim];
  }
  return DN_OK;
}
