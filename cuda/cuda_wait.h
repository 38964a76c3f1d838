/*
** The host waits for a stream, without the device's lock, so that other threads may go on enqueueing.
** Where collectives are on the device it may have to wait for other processes, too; somebody then watches
** (dn_backend.watch), and the wait ends when that one has bad news.
*/
#ifndef CUDA_WAIT_H
#define CUDA_WAIT_H

#include <cuda_runtime.h>

extern "C" {
#include "../src/dn_backend.h"
}

/* Outside of cuda_enter. Returns DN_EDEVICE, or what the watcher returned. */
dn_status cuda_wait(dn_device *device, cudaStream_t stream);

/* The same for an event: what was called after its record goes on. */
dn_status cuda_wait_event(dn_device *device, cudaEvent_t event);

/* The same for the device's stream, if somebody watches; else it returns at once. */
dn_status cuda_wait_watched(dn_device *device);

/* The same inside of cuda_enter, before a call of CUDA that waits for the device by itself. */
void cuda_wait_inside(dn_device *device);

/* The backend's slots. */
void cuda_watch(dn_device *device, dn_device_check *check);
dn_status cuda_queue_enter(dn_device *device, void **queue);
void cuda_queue_leave(dn_device *device);

#endif
