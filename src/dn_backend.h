/*
** Private to the library: what a backend provides. One slot per operation of dn_ops.def, filled
** with functions that trust their arguments, because the front door (dn_ops) has checked them:
** shapes, dtypes, devices, ranges and aliasing. So every backend gives the same errors.
*/
#ifndef DN_BACKEND_H
#define DN_BACKEND_H

#include "dn_ops.h"

typedef struct dn_backend {
  const char *name;

  /* n_bytes (0 or more) aligned to 64 bytes, or NULL. */
  void *(*memory_new)(dn_device *device, int64_t n_bytes);
  void (*memory_free)(dn_device *device, void *block);

#define DN_OP(name, parameters, arguments) dn_status(*name) parameters;
#include "dn_ops.def"
#undef DN_OP
} dn_backend;

extern const dn_backend dn_cpu_backend, dn_plan_backend;

#endif
