/*
** A backend that is a shared object of its own, NAME.so beside core.so, loaded when a device of that name
** is first asked for (dn_devices.h). It links no stateful file of the library: errors, counted memory,
** storages and the recorders of plans reach it as functions that the library hands over when it opens the
** object.
*/
#ifndef DN_PLUGIN_H
#define DN_PLUGIN_H

#include <stdarg.h>

#include "dn_backend.h"
#include "dn_plan.h"

/* What the library gives. Functions are those of the same name with dn_ before it. */
typedef struct dn_plugin_host {
  size_t n_bytes; /* of this struct: an object of another build is refused */
  dn_status (*error_list)(dn_status status, int argument, const char *format, va_list list);
  const char *(*error_message)(void);
  dn_status (*alloc)(dn_device *device, int64_t n_bytes, void **block);
  void (*free)(dn_device *device, void *block, int64_t n_bytes);
  dn_status (*storage_new)(dn_device *device, int64_t n_bytes, dn_storage **storage);
  dn_storage *(*storage_retain)(dn_storage *storage);
  void (*storage_release)(dn_storage *storage);
  void (*plan_call)(dn_op operation);
  dn_status (*plan_touch)(const dn_tensor *tensor, dn_plan_use use);
} dn_plugin_host;

/* What it gets. */
typedef struct dn_plugin {
  const dn_backend *backend;
  /*
  ** NULL: it cannot plan. Its operations tell what they do to which storage (DN_PLAN_REPORT): buffers
  ** that they do not tell of are given bytes that others use.
  */
  const dn_backend *plan_backend;
  /* Fills device->state for device `ordinal`. Returns DN_EDEVICE saying what is missing, DN_ENOMEM. */
  dn_status (*device_open)(dn_device *device, int ordinal);
  /* How many devices there are, none of which it opens. NULL: one. Returns DN_EDEVICE. */
  dn_status (*device_count)(int *n);
} dn_plugin;

/* The object's one entry. Returns DN_EDEVICE. */
#define DN_PLUGIN_ENTRY "dn_plugin_open"
typedef dn_status dn_plugin_entry(const dn_plugin_host *host, dn_plugin *plugin);

/* Whether `name` is a backend that the library can be built with, or NAME.so is there. */
bool dn_plugin_is_known(const char *name);

/* Loads NAME.so and opens it. Returns DN_EDEVICE with the reason. */
dn_status dn_plugin_load(const char *name, dn_plugin *plugin);

/*
** `symbol_name` of another object beside core.so, NAME.so, loaded for good; libraries that it links find
** their symbols in it and in each other, as MPI's components do. Returns DN_EDEVICE with the reason, which
** calls the object `title` and says `why_missing` where there is none.
*/
dn_status dn_plugin_symbol(const char *name, const char *title, const char *why_missing,
                           const char *symbol_name, void **symbol);

#endif
