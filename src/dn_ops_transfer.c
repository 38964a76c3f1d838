/*
** Backends move plain bytes between devices (dn_backend.h). Tensors with gaps, and those that change
** their dtype, pass through a packed tensor on one side or the other; dtypes change on the CPU where
** it takes part, because a copy on any device follows the same rules.
*/
#include "dn_ops_transfer.h"

#include <string.h>

#include "dn_ops_check.h"
#include "dn_plan.h"

/* Elements without gaps in the order of the tensor's sizes: a few in `cell`, others allocated. */
typedef struct packed {
  dn_tensor tensor;
  dn_storage storage;
  _Alignas(64) char cell[64];
  bool is_allocated;
} packed;

static int64_t bytes_of(const dn_tensor *tensor) {
  return dn_tensor_count(tensor) * (int64_t)dn_dtype_size(tensor->dtype);
}

static dn_status packed_new(dn_device *device, dn_dtype dtype, const dn_tensor *like, packed *out) {
  memset(out, 0, sizeof *out);
  const int64_t n_bytes = dn_tensor_count(like) * (int64_t)dn_dtype_size(dtype);
  out->is_allocated = device != device->host || n_bytes > (int64_t)sizeof out->cell;
  if (out->is_allocated) return dn_tensor_new(device, dtype, like->n_dim, like->size, &out->tensor);
  out->storage.device = device;
  out->storage.data = out->cell;
  out->storage.n_bytes = n_bytes;
  atomic_init(&out->storage.n_references, 1);
  out->tensor = *like;
  out->tensor.storage = &out->storage;
  out->tensor.dtype = dtype;
  out->tensor.offset = 0;
  dn_shape_strides(like->n_dim, like->size, out->tensor.stride);
  return DN_OK;
}

static void packed_free(packed *owned) {
  if (owned->is_allocated) dn_tensor_free(&owned->tensor);
}

static bool is_on_cpu(const dn_tensor *tensor) {
  return tensor->storage->device == tensor->storage->device->host;
}

/* Both without gaps, and of one dtype. */
static dn_status move_bytes(dn_tensor *y, const dn_tensor *x) {
  dn_device *to = y->storage->device, *from = x->storage->device;
  void *target = dn_tensor_data(y);
  const void *source = dn_tensor_data(x);
  if (is_on_cpu(x)) return to->backend->upload(to, target, source, bytes_of(y));
  if (is_on_cpu(y)) return from->backend->download(from, target, source, bytes_of(y));
  return to->backend->transfer(to, target, from, source, bytes_of(y));
}

/* x without gaps; y of x's dtype, or on the CPU. */
static dn_status move_packed(dn_tensor *y, const dn_tensor *x) {
  if (y->dtype == x->dtype && dn_tensor_is_contiguous(y)) return move_bytes(y, x);
  packed there;
  DN_TRY(packed_new(y->storage->device, x->dtype, x, &there));
  dn_status status = move_bytes(&there.tensor, x);
  if (status == DN_OK) status = DN_RUN(copy, y, &there.tensor);
  packed_free(&there);
  return status;
}

/* Copies to and from the host wait, and those between devices leave the step. */
static dn_status refuse_captured(const dn_tensor *y, const dn_tensor *x) {
  DN_TRY(dn_graph_refuse(y->storage->device, "copy"));
  return dn_graph_refuse(x->storage->device, "copy");
}

dn_status dn_transfer(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(refuse_captured(y, x));
  dn_storage_written(y->storage);
  const bool converts = is_on_cpu(x) && x->dtype != y->dtype;
  if (!converts && dn_tensor_is_contiguous(x)) return move_packed(y, x);
  packed here;
  DN_TRY(packed_new(x->storage->device, converts ? y->dtype : x->dtype, x, &here));
  dn_status status = DN_RUN(copy, &here.tensor, x);
  if (status == DN_OK) status = move_packed(y, &here.tensor);
  packed_free(&here);
  return status;
}

dn_status dn_copy_async(dn_tensor *y, const dn_tensor *x) {
  DN_TRY(DN_CHECK(DN_CLASS_ANY, {2, "x", x, "*", DN_CONTIGUOUS},
                  {1, "y", y, "*", DN_OUT | DN_CONTIGUOUS | DN_ANY_DEVICE}));
  dn_device *device = y->storage->device;
  dn_storage_written(y->storage);
  if (x->storage->pinned_by != device)
    return dn_error_argument(2, "x is not in memory pinned by %s, where y is", device->name);
  DN_TRY(dn_graph_refuse(device, "copy_async"));
  if (dn_tensor_count(y) == 0) return DN_OK;
  if (!device->has_values) {
    dn_plan_call(DN_OP_copy);
    DN_TRY(dn_plan_touch(y, DN_PLAN_WRITTEN));
  }
  return device->backend->upload_async(device, dn_tensor_data(y), dn_tensor_data(x), bytes_of(y));
}

dn_status dn_copy_join(dn_device *device) {
  DN_TRY(dn_graph_refuse(device, "copy_join"));
  return device->backend->upload_join(device);
}

dn_status dn_copy_wait(dn_device *device) {
  DN_TRY(dn_graph_refuse(device, "copy_wait"));
  return device->backend->upload_wait(device);
}
