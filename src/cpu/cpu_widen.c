#include "cpu_widen.h"

#include "../dn_backend.h"
#include "cpu_backend.h"
#include "cpu_scratch.h"

enum {
  MOST_TENSORS = 11, /* as many as an operation has arguments */
  ALIGNMENT = 64
};

/* Tensors of a call that stand in for its 16-bit ones. */
typedef struct widening {
  int count;
  dn_storage storage; /* of all the wide ones: scratch, lent */
  int64_t n_bytes;
  dn_tensor wide[MOST_TENSORS];
  const dn_tensor *narrow[MOST_TENSORS];
  bool is_written[MOST_TENSORS];
} widening;

static bool is_narrow(const dn_tensor *tensor) {
  return tensor && (tensor->dtype == DN_HALF || tensor->dtype == DN_BFLOAT16);
}

/* The row-major float tensor that stands in for `tensor`; its memory comes later. */
static dn_tensor *stand_in(widening *w, const dn_tensor *tensor, bool is_written) {
  const int i = w->count++;
  w->narrow[i] = tensor;
  w->is_written[i] = is_written;
  dn_tensor *wide = &w->wide[i];
  *wide = *tensor;
  wide->storage = &w->storage;
  wide->dtype = DN_FLOAT;
  wide->offset = w->n_bytes / (int64_t)sizeof(float);
  dn_shape_strides(wide->n_dim, wide->size, wide->stride);
  const int64_t n_bytes = dn_tensor_count(wide) * (int64_t)sizeof(float);
  w->n_bytes += (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return wide;
}

static void widen_written(widening *w, dn_tensor **argument) {
  if (is_narrow(*argument)) *argument = stand_in(w, *argument, true);
}

static void widen_read(widening *w, const dn_tensor **argument) {
  if (is_narrow(*argument)) *argument = stand_in(w, *argument, false);
}

/* Outputs are loaded too, because some are added to. */
static dn_status load(widening *w) {
  w->storage.device = dn_device_cpu();
  w->storage.n_bytes = w->n_bytes;
  DN_TRY(cpu_scratch_wide(w->n_bytes, &w->storage.data));
  if (cpu_scratch_is_measuring()) return DN_OK;
  for (int i = 0; i < w->count; i++) DN_TRY(cpu_copy(&w->wide[i], w->narrow[i]));
  return DN_OK;
}

/* `status` of the operation; what a failed one left is not stored. */
static dn_status store(const widening *w, dn_status status) {
  if (status != DN_OK) return status;
  for (int i = 0; i < w->count; i++) {
    if (!w->is_written[i]) continue;
    dn_tensor narrow = *w->narrow[i];
    DN_TRY(cpu_copy(&narrow, &w->wide[i]));
  }
  return DN_OK;
}

/* From gemm on; concatenation moves elements as they are. */
static bool is_widened(dn_op op) {
  return op >= DN_OP_gemm && op != DN_OP_concat_forward && op != DN_OP_concat_backward;
}

/*
** Only these ask for scratch themselves, and they do before they touch a tensor, whichever way they
** go: the others must not run while scratch is only measured.
*/
static bool asks_for_scratch(dn_op op) {
  switch (op) {
    case DN_OP_reduce:
    case DN_OP_arg_reduce:
    case DN_OP_topk:
    case DN_OP_conv2d_forward:
    case DN_OP_conv2d_backward_data:
    case DN_OP_conv2d_backward_weight:
    case DN_OP_norm_relu_conv_forward:
    case DN_OP_norm_relu_conv_backward:
    case DN_OP_norm_relu_pool_backward:
      return true;
    default:
      return false;
  }
}

/* What happens to each role's arguments: tensors are widened, all else is left. */
#define WRITTEN(name) widen_written(&w, &name);
#define WRITTEN_IF(name) widen_written(&w, &name);
#define READ(name) widen_read(&w, &name);
#define READ_IF(name) widen_read(&w, &name);
#define NUMBER(name)
#define NUMBER_IF(name)
#define FLAG(name)
#define SIZE(name)
#define DIM(name)
#define KIND(kind, name)
#define RNG(name)
#define CONV2D(name)
#define POOL2D(name)
#define SGD(name)
#define LIST_WRITTEN(n, name)
#define LIST_READ(n, name)

#define DN_OP(name, parameters, arguments, roles)                                    \
  dn_status cpu_widened_##name parameters {                                          \
    widening w = {.count = 0};                                                       \
    if (is_widened(DN_OP_##name)) {                                                  \
      roles                                                                          \
    }                                                                                \
    if (w.count > 0) DN_TRY(load(&w));                                               \
    if (cpu_scratch_is_measuring() && !asks_for_scratch(DN_OP_##name)) return DN_OK; \
    return store(&w, cpu_##name arguments);                                          \
  }
#include "../dn_ops.def"
#undef DN_OP
