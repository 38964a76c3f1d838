/*
** Memory of a device and pinned memory of the host, kept when it is given back.
**
** A block that is given back may still be in use by work on the device's stream; whoever gets it
** next uses it on the same stream, later. So a block changes hands at once and nothing waits. Sizes
** are rounded up to one of sixteen steps between powers of two (at most 6.25 % more), and a free
** block serves its own size only. When the device is out of memory, free blocks go back to it, and
** the request is made once more.
*/
#ifndef CUDA_MEMORY_H
#define CUDA_MEMORY_H

#include <cuda_runtime.h>
#include <pthread.h>
#include <stdint.h>

extern "C" {
#include "../src/dn_backend.h"
}

typedef struct cuda_block {
  void *data;
  int64_t n_bytes;
  cudaEvent_t in_use; /* pinned: passed when the last copy from it is done; NULL: it is */
} cuda_block;

typedef struct cuda_pool {
  pthread_mutex_t lock;
  cuda_block *free;
  int64_t n_free, room; /* room for every block there is, so that giving back cannot fail */
  int64_t n_blocks;
  int64_t reserved_bytes;
} cuda_pool;

/* The backend's slots. */
dn_status cuda_memory_new(dn_device *device, int64_t n_bytes, void **block);
void cuda_memory_free(dn_device *device, void *block, int64_t n_bytes);
int64_t cuda_memory_reserved(dn_device *device, int64_t live);
void cuda_memory_trim(dn_device *device);
dn_status cuda_pinned_new(dn_device *device, int64_t n_bytes, void **block);
void cuda_pinned_free(dn_device *device, void *block, int64_t n_bytes);

/* A free block of what n_bytes get goes back to the device, for which that waits; called inside. */
void cuda_memory_give_up(dn_device *device, int64_t n_bytes);

#endif
