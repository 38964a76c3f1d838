#include "cpu_backend.h"

#include <stdlib.h>

#include "../dn_backend.h"
#include "cpu_widen.h"

static void *memory_new(dn_device *device, int64_t n_bytes) {
  (void)device;
  if ((uint64_t)n_bytes > SIZE_MAX - 64) return NULL;
  const size_t rounded = ((size_t)n_bytes + 63) / 64 * 64;
  return aligned_alloc(64, rounded > 0 ? rounded : 64);
}

static void memory_free(dn_device *device, void *block) {
  (void)device;
  free(block);
}

const dn_backend dn_cpu_backend = {
    .name = "cpu",
    .memory_new = memory_new,
    .memory_free = memory_free,
#define DN_OP(name, parameters, arguments) .name = cpu_widened_##name,
#include "../dn_ops.def"
#undef DN_OP
};
