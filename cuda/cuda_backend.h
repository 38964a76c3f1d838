/*
** The CUDA backend's own names: cuda_<op> for every operation, and what its files share.
**
** An operation that this backend does not have yet needs no line here: its name is declared weak, so
** that without a definition its address is NULL and its slot in the tables stays empty (dn_backend.h).
** spec/ops/coverage_spec.lua lists those.
**
** An operation is called with its device current, locked, and known to work (cuda_backend.cu), so
** that it names neither: cuda_stream() is the stream to launch on, cuda_scratch() the memory to use,
** and CUDA_LAUNCH and CUDA_TRY return a failure to the caller. It returns when its work is enqueued.
*/
#ifndef CUDA_BACKEND_H
#define CUDA_BACKEND_H

#include <cuda_runtime.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

extern "C" {
#include "../src/dn_backend.h"
#include "../src/dn_plugin.h"
#include "../src/dn_element.h"
#include "../src/dn_float16.h"
}

#define DN_OP(name, parameters, arguments, roles, traits) \
  dn_status cuda_##name parameters __attribute__((weak));
#include "../src/dn_ops.def"

#include "cuda_device.h"
#include "cuda_fault.h"
#include "cuda_launch.h"
#include "cuda_scratch.h"

#endif
