/*
** Bytes between host and device, between devices, and on the side (dn_backend.h). Copies that change
** dtype or have gaps are an operation: cuda_convert.cu.
*/
#ifndef CUDA_COPY_H
#define CUDA_COPY_H

extern "C" {
#include "../src/dn_backend.h"
}

dn_status cuda_upload(dn_device *device, void *to, const void *from, int64_t n_bytes);
dn_status cuda_download(dn_device *device, void *to, const void *from, int64_t n_bytes);
dn_status cuda_transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                        int64_t n_bytes);
dn_status cuda_upload_async(dn_device *device, void *to, const void *from, int64_t n_bytes);
dn_status cuda_upload_join(dn_device *device);
dn_status cuda_upload_wait(dn_device *device);

/* On the current device: later work on its stream waits for the copies on the side. */
dn_status cuda_side_join(void);

#endif
