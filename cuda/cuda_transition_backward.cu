#include "cuda_norm_relu_conv_1x1_backward_kernel.h"
#include "cuda_shared_memory.h"
#include "cuda_transition_fused.h"

template <typename T, int ROWS_DW>
__global__ void __launch_bounds__(THREADS, backward_1x1_blocks(ROWS_DW))
    transition_backward_kernel(const backward_1x1<T, true> f) {
  CUDA_SHARED_DYNAMIC(float4, shared);
  backward_tiles<T, ROWS_DW, true, true>(shared, f);
}

bool cuda_transition_backward_fits(const dn_tensor *dx, const dn_tensor *dy, const dn_tensor *x) {
  const int64_t vector = 16 / (int64_t)dn_dtype_size(x->dtype), n_outputs = dy->size[1];
  if (n_outputs > BACKWARD_1X1_OUTPUTS || !cuda_fused_computes(x->dtype) || !cuda_fused_counts(x) ||
      x->size[3] % vector != 0 || !cuda_fused_is_whole(dx) || !cuda_fused_is_whole(dy) ||
      !cuda_fused_is_whole(x))
    return false;
  CUDA_FOR_FUSED(x->dtype, T, return cuda_fused_has_room(shared_bytes<T>((int)n_outputs)));
}

int64_t cuda_transition_fused_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                               const dn_tensor *x) {
  return backward_1x1_parts(dy, x, dweight != NULL).n_bytes;
}

template <typename T, int ROWS_DW>
static dn_status launch(const backward_1x1<T, true> &f, const cuda_parts &parts) {
  const int64_t n_shared = shared_bytes<T>(f.n_outputs);
  CUDA_LAUNCH_SHARED((transition_backward_kernel<T, ROWS_DW>),
                     dim3((unsigned)parts.n_blocks, (unsigned)parts.n_slices), THREADS, n_shared,
                     cuda_stream(), f);
  return DN_OK;
}

template <typename T>
static dn_status run(const backward_1x1<T, true> &f, const cuda_parts &parts) {
  CUDA_FOR_ROWS_DW(f.n_outputs, ROWS_DW, return launch<T, ROWS_DW>(f, parts));
}

dn_status cuda_transition_fused_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                         dn_tensor *dweight, const dn_tensor *dy,
                                         const dn_tensor *x, const dn_tensor *weight,
                                         void *scratch) {
  const cuda_parts parts = backward_1x1_parts(dy, x, dweight != NULL);
  dn_status status;
  CUDA_FOR_FUSED(x->dtype, T,
                 status = run<T>(backward_1x1_of<T, true>(parts, dx, dy, NULL, NULL, x, weight,
                                                          gradient, scratch),
                                 parts));
  DN_TRY(status);
  return cuda_parts_add(parts, scratch, dweight, gradient.scale, &gradient);
}
