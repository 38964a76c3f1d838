/*
** Reals as whole numbers of the same order, and back. NCCL's maximum drops what is no number, which here is
** to be the largest of all (dn_comm.h); the maximum of whole numbers has no such case.
*/
#ifndef NCCL_ORDER_H
#define NCCL_ORDER_H

#include <cuda_runtime.h>

extern "C" {
#include "../src/dn_dtype.h"
#include "../src/dn_status.h"
}

/* ranked[i], i < n, from n reals of `dtype`; and reals from those. Both on the stream; DN_EDEVICE. */
dn_status nccl_order_rank(int64_t *ranked, const void *reals, dn_dtype dtype, int64_t n,
                          cudaStream_t stream);
dn_status nccl_order_unrank(void *reals, const int64_t *ranked, dn_dtype dtype, int64_t n,
                            cudaStream_t stream);

#endif
