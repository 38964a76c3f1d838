#include "cuda_shared_memory.h"

#include <stdlib.h>

enum { STEP = 32 }; /* entries that the list grows by */

struct cuda_shared_memory {
  const void *kernel;
  int64_t n_bytes;
};

/* The kernel's entry, a new one of 0 bytes where it has none; NULL where there is no memory for one. */
static struct cuda_shared_memory *entry_of(cuda_device *device, const void *kernel) {
  for (int i = 0; i < device->n_shared_memory; i++)
    if (device->shared_memory[i].kernel == kernel) return device->shared_memory + i;
  if (device->n_shared_memory % STEP == 0) {
    void *const more = realloc(device->shared_memory, (size_t)(device->n_shared_memory + STEP) *
                                                          sizeof *device->shared_memory);
    if (!more) return NULL;
    device->shared_memory = (struct cuda_shared_memory *)more;
  }
  struct cuda_shared_memory *const entry = device->shared_memory + device->n_shared_memory++;
  entry->kernel = kernel;
  entry->n_bytes = 0;
  return entry;
}

dn_status cuda_shared_memory_allow(const void *kernel, int64_t n_bytes) {
  struct cuda_shared_memory *const entry = entry_of(cuda_current(), kernel);
  if (!entry) return dn_error(DN_ENOMEM, "out of memory for a kernel's entry");
  if (n_bytes <= entry->n_bytes) return DN_OK;
  CUDA_TRY(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)n_bytes));
  entry->n_bytes = n_bytes;
  return DN_OK;
}
