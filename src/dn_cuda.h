/*
** The CUDA backend is a shared object of its own, cuda.so beside core.so, loaded when a CUDA device
** is first asked for. It links no stateful file of the library: errors, counted memory and storages
** reach it as functions that the library hands over when it opens the object.
*/
#ifndef DN_CUDA_H
#define DN_CUDA_H

#include <stdarg.h>

#include "dn_backend.h"

/* What the library gives. Functions are those of the same name with dn_ before it. */
typedef struct dn_cuda_host {
  size_t n_bytes; /* of this struct: an object of another build is refused */
  dn_status (*error_list)(dn_status status, int argument, const char *format, va_list list);
  const char *(*error_message)(void);
  dn_status (*alloc)(dn_device *device, int64_t n_bytes, void **block);
  void (*free)(dn_device *device, void *block, int64_t n_bytes);
  dn_status (*storage_new)(dn_device *device, int64_t n_bytes, dn_storage **storage);
  dn_storage *(*storage_retain)(dn_storage *storage);
  void (*storage_release)(dn_storage *storage);
} dn_cuda_host;

/* What it gets. */
typedef struct dn_cuda_module {
  const dn_backend *backend, *plan_backend;
  /* Fills device->state for GPU `ordinal`. Returns DN_EDEVICE saying what is missing, DN_ENOMEM. */
  dn_status (*device_open)(dn_device *device, int ordinal);
  /* GPUs that are there. Returns DN_EDEVICE saying what is missing. */
  dn_status (*device_count)(int *count);
  /* A test hook of the emulation (false: no such hook); NULL where a real GPU computes. */
  bool (*emulation_hook)(const char *name, int64_t value);
} dn_cuda_module;

/* The object's one entry. Returns DN_EDEVICE. */
#define DN_CUDA_ENTRY "dn_cuda_open"
typedef dn_status dn_cuda_entry(const dn_cuda_host *host, dn_cuda_module *module);

/*
** The backend, loaded once for the process. Returns DN_EDEVICE with the reason, each time it is
** asked. The caller makes sure that one thread asks at a time.
*/
dn_status dn_cuda_load(const dn_cuda_module **module);

#endif
