#include "cuda_missing.h"

#include "cuda_backend.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define STUB_true(name, parameters)                                                \
  dn_status cuda_##name parameters {                                               \
    return dn_error(DN_EDEVICE, "operation '%s' is not there yet on CUDA", #name); \
  }
#define STUB_false(name, parameters)
#define STUB_JOIN(missing, name, parameters) STUB_##missing(name, parameters)
#define STUB(missing, name, parameters) STUB_JOIN(missing, name, parameters)

#define DN_OP(name, parameters, arguments) STUB(CUDA_MISSES(name), name, parameters)
#include "../src/dn_ops.def"
#undef DN_OP

#define NAME_true(name) #name,
#define NAME_false(name)
#define NAME_JOIN(missing, name) NAME_##missing(name)
#define NAME(missing, name) NAME_JOIN(missing, name)

const char *const cuda_missing_names[] = {
#define DN_OP(name, parameters, arguments) NAME(CUDA_MISSES(name), name)
#include "../src/dn_ops.def"
#undef DN_OP
    NULL};
