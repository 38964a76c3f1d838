/*
** What the library handed over (dn_comm_host), failures in words, and the time: all that nccl.so needs of
** others beside CUDA and NCCL. It links nothing of cuda.so, so cuda_check (cuda_device.h) and cuda_launched_note,
** on which CUDA_TRY and CUDA_LAUNCH stand, are defined here once more, for this object.
*/
#ifndef NCCL_HOST_H
#define NCCL_HOST_H

#include <nccl.h>

#include "cuda_backend.h"

extern "C" {
#include "../src/dn_comm.h"
}

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 14, 0)
#error "NCCL 2.14 or later is needed: communicators that do not block"
#endif

/* false where the library's table is not the one that this object was compiled for. */
bool nccl_host_set(const dn_comm_host *given);

dn_status nccl_fail(dn_status status, const char *format, ...) DN_FORMAT_CHECK(2, 3);

/* Tells the launcher that this process fails because another one has. */
void nccl_report_following(void);

/* "NCCL 2.28.9", the loaded library's. */
const char *nccl_name(void);

/* Seconds of a clock that only goes on. */
double nccl_now(void);

/* Counted memory of a device (dn_alloc.h). Free: NULL is ignored. */
dn_status nccl_alloc(dn_device *device, int64_t n_bytes, void **block);
void nccl_free(dn_device *device, void *block, int64_t n_bytes);

#endif
