/*
** dn_ops.def as a table, for whoever wants to know at run time what an operation's arguments are.
*/
#include "dn_ops.h"

#include "dn_backend.h"

/* What stands in a dn_op_argument for each role. */
#define WRITTEN_FIELDS(text) .name = text, .role = "written", .n_values = 1
#define WRITTEN_IF_FIELDS(text) WRITTEN_FIELDS(text), .is_optional = true
#define ADDED_FIELDS(text) .name = text, .role = "added", .n_values = 1
#define ADDED_IF_FIELDS(text) ADDED_FIELDS(text), .is_optional = true
#define READ_FIELDS(text) .name = text, .role = "read", .n_values = 1
#define READ_IF_FIELDS(text) READ_FIELDS(text), .is_optional = true

#define WRITTEN(name) {WRITTEN_FIELDS(#name)},
#define WRITTEN_IF(name) {WRITTEN_IF_FIELDS(#name)},
#define ADDED(name) {ADDED_FIELDS(#name)},
#define ADDED_IF(name) {ADDED_IF_FIELDS(#name)},
#define READ(name) {READ_FIELDS(#name)},
#define READ_IF(name) {READ_IF_FIELDS(#name)},
#define PARAMETER(role, name) {role##_FIELDS(#name), .is_parameter = true},
#define NUMBER(text) {.name = #text, .role = "number", .n_values = 1},
#define NUMBER_IF(text) {.name = #text, .role = "number", .n_values = 1, .is_optional = true},
#define SLOT(text) {.name = #text, .role = "slot", .n_values = 1},
#define SLOT_IF(text) {.name = #text, .role = "slot", .n_values = 1, .is_optional = true},
#define FLAG(text) {.name = #text, .role = "flag", .n_values = 1, .is_optional = true},
#define SIZE(text) {.name = #text, .role = "size", .n_values = 1},
#define DIM(text) {.name = #text, .role = "dim", .n_values = 1},
#define KIND(kind, text) {.name = #text, .role = #kind, .n_values = 1},
#define RNG(text) {.name = #text, .role = "rng", .n_values = DN_RNG_FIELDS},
#define CONV2D(text) {.name = #text, .role = "conv2d", .n_values = DN_CONV2D_FIELDS},
#define POOL2D(text) {.name = #text, .role = "pool2d", .n_values = DN_POOL2D_FIELDS},
#define SGD(text) {.name = #text, .role = "sgd", .n_values = DN_SGD_FIELDS},

/* A list ends with an argument without a name. */
#define DN_OP(op, parameters, arguments, roles, traits) \
  static const dn_op_argument arguments_of_##op[] = {roles{.name = NULL}};
#include "dn_ops.def"

static const dn_op_description descriptions[DN_OP_COUNT] = {
#define WIDENED .is_widened = true,
#define CPU_SCRATCH .has_cpu_scratch = true,
#define CUDA_SCRATCH .has_cuda_scratch = true,
#define DN_OP(op, parameters, list, roles, traits) \
  {traits.name = #op, .arguments = arguments_of_##op},
#include "dn_ops.def"
};

const dn_op_description *dn_op_describe(dn_op op) { return &descriptions[op]; }

const char *dn_op_name(dn_op op) {
  return (unsigned)op < DN_OP_COUNT ? descriptions[op].name : "unknown";
}

bool dn_op_is_on(dn_op op, const dn_device *device) {
  switch (op) {
#define DN_OP(name, parameters, arguments, roles, traits) \
  case DN_OP_##name:                                      \
    return device->backend->name != NULL;
#include "dn_ops.def"
    default:
      return false;
  }
}
