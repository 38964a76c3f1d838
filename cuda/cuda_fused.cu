#include "cuda_fused.h"

#include <stdlib.h>

/* Of the last device that was told; plans are made for one kind of GPU at a time. */
static bool planned_tf32;

void cuda_fused_plan_tf32(bool on) { planned_tf32 = on; }

bool cuda_fused_computes(dn_dtype dtype) {
  const char *const word = getenv("DENSENET_CUDA_FUSED");
  if (word && strcmp(word, "0") == 0) return false;
  const cuda_device *const state = cuda_current(); /* NULL: a plan */
  if (state && state->capability[0] < 8) return false;
  if (dtype == DN_FLOAT) return state ? state->uses_tf32 : planned_tf32;
  return dtype == DN_HALF || dtype == DN_BFLOAT16;
}

bool cuda_fused_counts(const dn_tensor *x) {
  const int64_t vector = 16 / (int64_t)dn_dtype_size(x->dtype);
  return (x->size[2] * x->size[3] + vector) * x->size[0] < INT32_MAX / 2;
}

bool cuda_fused_is_whole(const dn_tensor *x) {
  const int64_t vector = 16 / (int64_t)dn_dtype_size(x->dtype);
  return (uintptr_t)dn_tensor_data(x) % 16 == 0 && x->size[2] * x->size[3] % vector == 0 &&
         (x->size[0] == 1 || x->stride[0] % vector == 0) &&
         (x->size[1] == 1 || x->stride[1] % vector == 0);
}

bool cuda_fused_has_room(int64_t n_shared) {
  const cuda_device *const state = cuda_current();
  const int64_t most = 163 << 10; /* of 8.0; 9.0 has more */
  return n_shared <= (state && state->n_shared_bytes < most ? state->n_shared_bytes : most);
}
