#include "cpu_widen.h"

#include "../dn_backend.h"
#include "cpu_backend.h"
#include "cpu_scratch.h"

enum {
  MOST_TENSORS = 12, /* as many as an operation has */
  ALIGNMENT = 64
};

/* What an operation does with a tensor. */
typedef enum tensor_use { INPUT_ONLY, OVERWRITTEN, CHANGED } tensor_use;

/* Tensors of a call that stand in for its 16-bit ones. */
typedef struct widening {
  int count;
  dn_storage storage; /* of all the wide ones: scratch, lent */
  int64_t n_bytes;
  dn_tensor wide[MOST_TENSORS];
  const dn_tensor *narrow[MOST_TENSORS];
  tensor_use use[MOST_TENSORS];
} widening;

static bool is_narrow(const dn_tensor *tensor) {
  return tensor && (tensor->dtype == DN_HALF || tensor->dtype == DN_BFLOAT16);
}

/* The row-major float tensor that stands in for `tensor`; its memory comes later. */
static dn_tensor *stand_in(widening *w, const dn_tensor *tensor, tensor_use use) {
  const int i = w->count++;
  w->narrow[i] = tensor;
  w->use[i] = use;
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

/* What is overwritten is not loaded. */
static dn_status load(widening *w) {
  w->storage.device = dn_device_cpu();
  w->storage.n_bytes = w->n_bytes;
  DN_TRY(cpu_scratch_wide(w->n_bytes, &w->storage.data));
  if (cpu_scratch_is_measuring()) return DN_OK;
  for (int i = 0; i < w->count; i++)
    if (w->use[i] != OVERWRITTEN) DN_TRY(cpu_copy(&w->wide[i], w->narrow[i]));
  return DN_OK;
}

/* `status` of the operation; what a failed one left is not stored. */
static dn_status store(const widening *w, dn_status status) {
  if (status != DN_OK) return status;
  for (int i = 0; i < w->count; i++) {
    if (w->use[i] == INPUT_ONLY) continue;
    dn_tensor narrow = *w->narrow[i];
    DN_TRY(cpu_copy(&narrow, &w->wide[i]));
  }
  return DN_OK;
}

/* The argument's type is one that its role allows. */
#define IS(type, name) \
  _Static_assert(_Generic((name), type : true, default : false), #name " is no " #type);

/* Tensors of 16 bits are widened; all else is left. */
#define OUTPUT(name, use) \
  IS(dn_tensor *, name)   \
  if (is_narrow(name)) name = stand_in(&w, name, use);
#define INPUT(name)           \
  IS(const dn_tensor *, name) \
  if (is_narrow(name)) name = stand_in(&w, name, INPUT_ONLY);
#define WRITTEN(name) OUTPUT(name, OVERWRITTEN)
#define WRITTEN_IF(name) OUTPUT(name, OVERWRITTEN)
#define ADDED(name) OUTPUT(name, CHANGED)
#define ADDED_IF(name) OUTPUT(name, CHANGED)
#define READ(name) INPUT(name)
#define READ_IF(name) INPUT(name)
#define NUMBER(name) IS(double, name)
#define NUMBER_IF(name) IS(double, name)
#define SLOT(name) IS(dn_number, name)
#define SLOT_IF(name) IS(dn_number, name)
#define FLAG(name) IS(bool, name)
#define SIZE(name) IS(int64_t, name)
#define DIM(name) IS(int, name)
#define KIND(kind, name) IS(dn_##kind##_kind, name)
#define RNG(name) IS(dn_rng, name)
#define CONV2D(name) IS(dn_conv2d, name)
#define POOL2D(name) IS(dn_pool2d, name)
#define SGD(name) IS(dn_sgd, name)

enum { IS_WIDENED = 1, ASKS_FOR_SCRATCH = 2 };
#define WIDENED | IS_WIDENED
#define CPU_SCRATCH | ASKS_FOR_SCRATCH

/*
** While scratch is only measured, operations that never ask for it do not run: nothing would end them
** before they touch a tensor.
*/
#define DN_OP(name, parameters, arguments, roles, traits)                             \
  dn_status cpu_widened_##name parameters {                                           \
    enum { its_traits = 0 traits };                                                   \
    widening w = {.count = 0};                                                        \
    if (its_traits & IS_WIDENED) {                                                    \
      roles                                                                           \
    }                                                                                 \
    if (w.count > 0) DN_TRY(load(&w));                                                \
    if (cpu_scratch_is_measuring() && !(its_traits & ASKS_FOR_SCRATCH)) return DN_OK; \
    return store(&w, cpu_##name arguments);                                           \
  }
#include "../dn_ops.def"
