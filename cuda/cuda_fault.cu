#include "cuda_fault.h"

#include <inttypes.h>

#include "cuda_backend.h"

static const char *name_of(unsigned op) {
  static const char *const names[] = {
#define DN_OP(name, parameters, arguments, roles, traits) #name,
#include "../src/dn_ops.def"
  };
  return op < DN_OP_COUNT ? names[op] : "unknown";
}

cuda_reporter cuda_fault_reporter(cuda_fault_kind kind, dn_op op, int argument, int64_t limit) {
  cuda_device *state = cuda_current();
  const cuda_reporter reporter = {state->fault, state->fault_turn,  (unsigned)kind,
                                  (unsigned)op, (unsigned)argument, state->sequence,
                                  limit};
  return reporter;
}

dn_status cuda_fault_reset(cuda_device *state) {
  memset(state->fault, 0, sizeof *state->fault);
  cuda_fault_turn *const turn = state->fault_turn;
  CUDA_TRY(cudaMemsetAsync(&turn->least, 0xFF, sizeof turn->least, state->stream));
  CUDA_TRY(cudaMemsetAsync(&turn->lock, 0, sizeof turn->lock, state->stream));
  return DN_OK;
}

dn_status cuda_fault_take(void) {
  cuda_fault *fault = cuda_current()->fault;
  if (fault->kind == CUDA_FAULT_NONE) return DN_OK;
  const cuda_fault found = *fault;
  DN_TRY(cuda_fault_reset(cuda_current()));
  const char *place = cuda_current()->device->name, *op = name_of(found.op);
  const int64_t element = found.place + 1, value = found.value, limit = found.limit;
  switch (found.kind) {
    case CUDA_FAULT_ZERO_DIVISOR:
      return dn_error(DN_EARG,
                      "%s: '%s' met a 0 in argument #%u, at element %" PRId64
                      "; %s division has no result for it",
                      place, op, found.argument, element, dn_dtype_name((dn_dtype)limit));
    default:
      return dn_error(DN_EARG,
                      "%s: '%s' met %s %" PRId64 " in argument #%u, at element %" PRId64
                      "; expected 1 to %" PRId64,
                      place, op, found.kind == CUDA_FAULT_LABEL ? "label" : "position", value,
                      found.argument, element, limit);
  }
}
