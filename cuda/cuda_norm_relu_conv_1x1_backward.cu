#include "cuda_norm_relu_conv_1x1.h"
#include "cuda_norm_relu_conv_1x1_backward_kernel.h"
#include "cuda_shared_memory.h"

template <typename T, int ROWS_DW, bool WHOLE>
__global__ void __launch_bounds__(THREADS, backward_1x1_blocks(ROWS_DW))
    norm_relu_conv_1x1_backward_kernel(const backward_1x1<T, WHOLE> f) {
  CUDA_SHARED_DYNAMIC(float4, shared);
  backward_tiles<T, ROWS_DW, WHOLE, false>(shared, f);
}

bool cuda_norm_relu_conv_1x1_backward_fits(const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *weight) {
  const int64_t n_outputs = dy->size[1];
  if (weight->size[2] != 1 || n_outputs > BACKWARD_1X1_OUTPUTS || !cuda_fused_computes(x->dtype) ||
      !cuda_fused_counts(x))
    return false;
  CUDA_FOR_FUSED(x->dtype, T, return cuda_fused_has_room(shared_bytes<T>((int)n_outputs)));
}

int64_t cuda_norm_relu_conv_1x1_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                                 const dn_tensor *x) {
  return backward_1x1_parts(dy, x, dweight != NULL).n_bytes;
}

template <typename T, int ROWS_DW, bool WHOLE>
static dn_status launch(const backward_1x1<T, WHOLE> &f, const cuda_parts &parts) {
  const int64_t n_shared = shared_bytes<T>(f.n_outputs);
  CUDA_LAUNCH_SHARED((norm_relu_conv_1x1_backward_kernel<T, ROWS_DW, WHOLE>),
                     dim3((unsigned)parts.n_blocks, (unsigned)parts.n_slices), THREADS, n_shared,
                     cuda_stream(), f);
  return DN_OK;
}

template <typename T, bool WHOLE>
static dn_status run(const cuda_parts &parts, dn_tensor *dx, const dn_tensor *dy,
                     const dn_tensor *y, const dn_tensor *deferred, const dn_tensor *x,
                     const dn_tensor *weight, const cuda_norm_gradient &gradient, void *scratch) {
  const backward_1x1<T, WHOLE> f =
      backward_1x1_of<T, WHOLE>(parts, dx, dy, y, deferred, x, weight, gradient, scratch);
  CUDA_FOR_ROWS_DW(f.n_outputs, ROWS_DW, return launch<T, ROWS_DW, WHOLE>(f, parts));
}

dn_status cuda_norm_relu_conv_1x1_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                           dn_tensor *dweight, const dn_tensor *dy,
                                           const dn_tensor *y, const dn_tensor *deferred,
                                           const dn_tensor *x, const dn_tensor *weight,
                                           void *scratch) {
  const cuda_parts parts = backward_1x1_parts(dy, x, dweight != NULL);
  const bool is_whole = cuda_fused_is_whole(dx) && cuda_fused_is_whole(dy) &&
                        cuda_fused_is_whole(x) && (!y || cuda_fused_is_whole(y));
  dn_status status;
  CUDA_FOR_FUSED(
      x->dtype, T,
      status = is_whole ? run<T, true>(parts, dx, dy, y, deferred, x, weight, gradient, scratch)
                        : run<T, false>(parts, dx, dy, y, deferred, x, weight, gradient, scratch));
  DN_TRY(status);
  return cuda_parts_add(parts, scratch, dweight, gradient.scale, &gradient);
}
