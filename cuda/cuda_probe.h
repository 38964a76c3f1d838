/*
** What measures a GPU and takes no part in training: kernels whose cost or rate is a ceiling of all others, and
** marks on the stream between which the GPU's own time is taken. All for the current device.
*/
#ifndef CUDA_PROBE_H
#define CUDA_PROBE_H

#include "cuda_backend.h"

/* Launches n kernels of one thread that do nothing. Returns DN_EDEVICE, as all of these. */
dn_status cuda_probe_empty(int64_t n);

/*
** Products by tensor cores as the fused kernels make them (cuda_mma.h), with all of their factors in registers:
** n rounds in every warp that fits, of factors that are 1. float: rounded to TF32.
**   n_operations  multiplications and additions
**   sum           of the first thread's results: what the product was of, times what was added up
** Waits for the end.
*/
dn_status cuda_probe_products(dn_dtype dtype, int64_t n, double *n_operations, double *sum);

/* Marks the place that the stream has been asked to reach by now; which: 0 or 1. */
dn_status cuda_probe_mark(int64_t which);

/* From mark 0 to mark 1, for which it waits. */
dn_status cuda_probe_milliseconds(double *milliseconds);

#endif
