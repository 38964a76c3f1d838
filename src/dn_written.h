/*
** Private to the front door: dn_written_<operation> says of every tensor that the operation writes, by its
** roles in dn_ops.def, that its storage is written (dn_storage.h). DN_RUN calls it.
*/
#ifndef DN_WRITTEN_H
#define DN_WRITTEN_H

#include "dn_tensor.h"

static inline void dn_tensor_written(const dn_tensor *tensor) {
  if (tensor) dn_storage_written(tensor->storage);
}

#define WRITTEN(name) dn_tensor_written(name);
#define WRITTEN_IF(name) dn_tensor_written(name);
#define ADDED(name) dn_tensor_written(name);
#define ADDED_IF(name) dn_tensor_written(name);
#define READ(name) (void)name;
#define READ_IF(name) (void)name;
#define NUMBER(name) (void)name;
#define NUMBER_IF(name) (void)name;
#define SLOT(name) (void)name;
#define SLOT_IF(name) (void)name;
#define FLAG(name) (void)name;
#define SIZE(name) (void)name;
#define DIM(name) (void)name;
#define KIND(kind, name) (void)name;
#define RNG(name) (void)name;
#define CONV2D(name) (void)name;
#define POOL2D(name) (void)name;
#define SGD(name) (void)name;
#define DN_OP(name, parameters, arguments, roles, traits) \
  static inline void dn_written_##name parameters { roles }
#include "dn_ops.def"

#endif
