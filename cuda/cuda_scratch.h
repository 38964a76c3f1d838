/*
** Scratch memory of a device: one block that grows to the largest request and stays, so a training
** step allocates none after its first. The content is undefined at every call, and the pointer is
** good until the operation returns: the next one on the stream may use the same bytes.
**
** An operation that may need scratch asks for all of it at once, before its first launch or library
** call, says cuda_scratch_none() on a way that needs none, and has the trait CUDA_SCRATCH in dn_ops.def.
** Then the device "plan:cuda:0" runs it up to that point, without a GPU, to learn how much it takes. A
** trait that is missing shows in spec/cuda, where plans are compared with what was taken.
*/
#ifndef CUDA_SCRATCH_H
#define CUDA_SCRATCH_H

#include <stdint.h>

extern "C" {
#include "../src/dn_device.h"
}

/* At least n_bytes of the current device, aligned to 256. Returns DN_ENOMEM, DN_EDEVICE. */
dn_status cuda_scratch(int64_t n_bytes, void **block);
dn_status cuda_scratch_none(void);

/* n elements of `size` bytes behind *n_bytes, at a multiple of 256: where they begin. */
static inline int64_t cuda_scratch_place(int64_t *n_bytes, int64_t n, int64_t size) {
  const int64_t begin = (*n_bytes + 255) / 256 * 256;
  *n_bytes = begin + n * size;
  return begin;
}

/* The backend's slots, of a GPU and of its plan. */
void cuda_scratch_release(dn_device *device);
void cuda_scratch_keep(dn_device *device); /* a plan has nothing to release */
int64_t cuda_scratch_planned(dn_device *device, bool resets);

/* As in src/cpu/cpu_scratch.h: the next request is noted and refused, which ends the operation. */
void cuda_scratch_measure(void);
dn_status cuda_scratch_measured(dn_status status);

#endif
