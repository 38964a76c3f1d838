/*
** Every byte the library asks for is asked for here, and counted against a device.
**
** The count is exact: live bytes are the sizes asked for, not what malloc rounded them to, and
** the peak is the largest live figure since it was last reset. Tests make memory run out on
** purpose: after dn_alloc_refuse(n) the n-th allocation from now fails, once.
** All functions may be called from any thread.
*/
#ifndef DN_ALLOC_H
#define DN_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "dn_status.h"

typedef struct dn_device dn_device;

typedef struct dn_memory {
  int64_t live_bytes;     /* asked for and not yet given back */
  int64_t peak_bytes;     /* the most that was ever live at once */
  int64_t n_blocks;       /* blocks behind live_bytes */
  int64_t n_allocated;    /* allocations ever made: unchanged over a step that allocates nothing */
  int64_t reserved_bytes; /* taken from the system: live ones, rounded up, and free ones kept */
} dn_memory;

/*
** *block becomes n_bytes on `device`, aligned to 64 bytes, content undefined. n_bytes may be 0.
** Returns DN_ENOMEM (bytes asked for, live and peak in the sentence) or DN_EDEVICE, and leaves *block
** NULL.
*/
dn_status dn_alloc(dn_device *device, int64_t n_bytes, void **block);

/* Gives back what dn_alloc(device, n_bytes, ...) gave. NULL is ignored. */
void dn_free(dn_device *device, void *block, int64_t n_bytes);

/*
** The same for host memory from which `device` can copy while the host goes on. It is counted
** against "cpu". Devices without a use for it give plain host memory.
*/
dn_status dn_alloc_pinned(dn_device *device, int64_t n_bytes, void **block);
void dn_free_pinned(dn_device *device, void *block, int64_t n_bytes);

/* A consistent copy of the device's figures. */
dn_memory dn_memory_read(dn_device *device);

/* Gives free blocks that the device keeps for later back to the system. */
void dn_memory_trim(dn_device *device);

/* The peak becomes what is live now. */
void dn_memory_reset_peak(dn_device *device);

/* Test hook: the nth allocation from now (1 is the next) is refused; 0 takes the order back. */
void dn_alloc_refuse(int64_t nth);

/* A limit on the live bytes of `device`; 0 means none, as at first. */
void dn_alloc_limit(dn_device *device, int64_t n_bytes);
int64_t dn_alloc_limit_of(dn_device *device);

#endif
