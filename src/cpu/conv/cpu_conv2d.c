/*
** Dispatch of the convolutions.
**   unit stride     products over a bordered copy of the image (cpu_conv2d_grid.h)
**   other strides   products over unfolded patches (cpu_conv2d_patches.h)
**   double          the definition's loops (cpu_conv2d_reference.h)
*/
#include "../cpu_backend.h"
#include "cpu_conv2d_grid.h"
#include "cpu_conv2d_patches.h"
#include "cpu_conv2d_reference.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../cpu_scratch.h"

static bool is_reference(const dn_tensor *weight) {
  return weight->dtype != DN_FLOAT || dn_reference() || dn_tensor_count(weight) == 0;
}

dn_status cpu_conv2d_forward(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight,
                             const dn_tensor *bias, dn_conv2d options) {
  if (dn_tensor_count(y) == 0) return DN_OK;
  if (is_reference(weight)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_forward_reference(y, x, weight, bias, options);
    return DN_OK;
  }
  return cpu_conv2d_grid_fits(weight, options)
             ? cpu_conv2d_grid_forward(y, x, weight, bias, options)
             : cpu_conv2d_patches_forward(y, x, weight, bias, options);
}

dn_status cpu_conv2d_backward_data(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *weight,
                                   dn_conv2d options) {
  if (dn_tensor_count(dx) == 0) return DN_OK;
  if (is_reference(weight)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_backward_data_reference(dx, dy, weight, options);
    return DN_OK;
  }
  return cpu_conv2d_grid_fits(weight, options)
             ? cpu_conv2d_grid_backward_data(dx, dy, weight, options)
             : cpu_conv2d_patches_backward_data(dx, dy, weight, options);
}

static void backward_bias(dn_tensor *dbias, const dn_tensor *dy, double scale) {
  const int64_t size = dy->size[2] * dy->size[3];
  void *const out = dn_tensor_data(dbias);
  const void *const gradient = dn_tensor_data(dy);
  const int n_threads = cpu_team(dn_tensor_count(dy));
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t k = 0; k < dy->size[1]; k++) {
    double sum = 0;
    for (int64_t n = 0; n < dy->size[0]; n++)
      for (int64_t i = 0; i < size; i++)
        sum += cpu_load(gradient, dy->dtype, n * dy->stride[0] + k * dy->stride[1] + i);
    cpu_store(out, dbias->dtype, k, cpu_load(out, dbias->dtype, k) + scale * sum);
  }
}

dn_status cpu_conv2d_backward_weight(dn_tensor *dweight, dn_tensor *dbias, const dn_tensor *dy,
                                     const dn_tensor *x, dn_conv2d options, double scale) {
  if (is_reference(dweight)) {
    DN_TRY(cpu_scratch_none());
    cpu_conv2d_backward_weight_reference(dweight, dy, x, options, scale);
  } else if (cpu_conv2d_grid_fits(dweight, options)) {
    DN_TRY(cpu_conv2d_grid_backward_weight(dweight, dy, x, options, scale));
  } else {
    DN_TRY(cpu_conv2d_patches_backward_weight(dweight, dy, x, options, scale));
  }
  /* Last: a call that ran out of memory is repeated, and must not have added anything yet. */
  if (dbias) backward_bias(dbias, dy, scale);
  return DN_OK;
}
