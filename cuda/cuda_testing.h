/*
** What can be asked of a GPU beside its operations, by name, for measurements and specs (dn_device_testing;
** core.testing.device_ask). The emulation knows further hooks (emulation.h).
**
**   hook              n                   answer
**   empty kernels     how many            launches them (cuda_probe.h)
**   products DTYPE    rounds              operations, and the sum (cuda_probe.h)
**   mark              0 or 1              marks a place on the stream
**   milliseconds                          between the two
**   count launches    1, or 0: no more    counts from nothing (cuda_launched.h)
**   launched          n-th, from 0        NAME COUNT
**   time kernels      1, or 0: no more    takes times (cuda_kernel_times.h), waits for nothing; 2: tells those so far
**   kernel time       n-th, from 0        COUNT NANOSECONDS NAME
**   convolution plan  n-th, from 0        direction, dtype ("tf32": float that is rounded to it), n, c, h, w, k,
**                                         r, s, "done" or "refused", engine, bytes of the workspace, microseconds
**                                         that asking took; of a plan device, too
** Where there is no n-th the answer is empty.
*/
#ifndef CUDA_TESTING_H
#define CUDA_TESTING_H

#include "cuda_backend.h"

/* The slot of both tables. */
bool cuda_testing(dn_device *device, const char *hook, int64_t value, const char **answer);

#endif
