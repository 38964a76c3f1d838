/*
** The host as a device, and "plan" likewise: what is left of a backend's table once operations and
** memory are taken away. Host and device are one, so copies are plain and nothing is waited for.
*/
#ifndef CPU_DEVICE_H
#define CPU_DEVICE_H

#include "../dn_device.h"
#include "../dn_dtype.h"

int64_t cpu_memory_reserved(dn_device *device, int64_t live);
void cpu_memory_trim(dn_device *device);
dn_status cpu_memory_new(dn_device *device, int64_t n_bytes, void **block);
void cpu_memory_free(dn_device *device, void *block, int64_t n_bytes);
dn_status cpu_upload(dn_device *device, void *to, const void *from, int64_t n_bytes);
dn_status cpu_transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                       int64_t n_bytes);
dn_status cpu_synchronize(dn_device *device);
dn_status cpu_describe(dn_device *device, dn_device_info *info);
dn_status cpu_tf32(dn_device *device, bool on);
void cpu_device_scratch_release(dn_device *device);
int64_t cpu_device_scratch_planned(dn_device *device, bool resets);
double cpu_device_peak(dn_dtype dtype);
bool cpu_testing(dn_device *device, const char *hook, int64_t value, const char **answer);

/* Slots that both tables share, in the names of dn_backend. */
#define CPU_DEVICE_SLOTS                                                                        \
  .memory_reserved = cpu_memory_reserved, .memory_trim = cpu_memory_trim,                       \
  .pinned_new = cpu_memory_new, .pinned_free = cpu_memory_free, .upload_join = cpu_synchronize, \
  .upload_wait = cpu_synchronize, .synchronize = cpu_synchronize, .describe = cpu_describe,     \
  .tf32 = cpu_tf32, .scratch_release = cpu_device_scratch_release,                              \
  .scratch_planned = cpu_device_scratch_planned, .testing = cpu_testing, .peak = cpu_device_peak

#endif
