/*
** What the library handed over, under the names by which sources call it. Geometry (dn_tensor.c,
** dn_shape.c) and names of dtypes (dn_dtype.c) are linked into this object as they are: they keep
** nothing.
*/
#include "cuda_host.h"

static const dn_plugin_host *host;

bool cuda_host_set(const dn_plugin_host *given) {
  if (given->n_bytes != sizeof *given) return false;
  host = given;
  return true;
}

extern "C" {

dn_status dn_error_list(dn_status status, int argument, const char *format, va_list list) {
  return host->error_list(status, argument, format, list);
}

dn_status dn_error(dn_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  host->error_list(status, 0, format, list);
  va_end(list);
  return status;
}

dn_status dn_error_argument(int argument, const char *format, ...) {
  va_list list;
  va_start(list, format);
  host->error_list(DN_EARG, argument, format, list);
  va_end(list);
  return DN_EARG;
}

const char *dn_error_message(void) { return host->error_message(); }

dn_status dn_alloc(dn_device *device, int64_t n_bytes, void **block) {
  return host->alloc(device, n_bytes, block);
}

void dn_free(dn_device *device, void *block, int64_t n_bytes) {
  host->free(device, block, n_bytes);
}

dn_status dn_storage_new(dn_device *device, int64_t n_bytes, dn_storage **storage) {
  return host->storage_new(device, n_bytes, storage);
}

dn_status dn_storage_new_pinned(dn_device *device, int64_t n_bytes, dn_storage **storage) {
  (void)device;
  (void)n_bytes;
  *storage = NULL;
  return dn_error(DN_EDEVICE, "the backend pins no memory for itself");
}

dn_storage *dn_storage_retain(dn_storage *storage) { return host->storage_retain(storage); }

void dn_storage_release(dn_storage *storage) { host->storage_release(storage); }

void dn_plan_call(dn_op operation) { host->plan_call(operation); }

dn_status dn_plan_touch(const dn_tensor *tensor, dn_plan_use use) {
  return host->plan_touch(tensor, use);
}
}
