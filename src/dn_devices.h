/*
** Which devices there are, and what can be asked of one.
**
** "cpu" and "plan" are part of the library. Others come from a shared object beside it (dn_plugin.h):
** NAME.so has the devices "NAME:0", "NAME:1"... ("NAME" is "NAME:0") and, where it can plan, their
** twins "plan:NAME:0"..., which find out what a program would need there. They exist from when they are
** first asked for. "cuda" are NVIDIA GPUs.
*/
#ifndef DN_DEVICES_H
#define DN_DEVICES_H

#include "dn_device.h"
#include "dn_dtype.h"

/*
** The device called `name`. Returns DN_EDEVICE for a device that is not there, with the reason, and
** DN_EARG for a word that names no kind of device.
*/
dn_status dn_device_find(const char *name, dn_device **device);

/*
** How many devices of a plugin there are, "cuda" for one, without opening them. Returns DN_EDEVICE where there
** is none, with the reason, and DN_EARG for a word that names no plugin.
*/
dn_status dn_device_count(const char *kind, int *n);

dn_status dn_device_describe(dn_device *device, dn_device_info *info);

/*
** Allows TF32 (10-bit mantissa) in float products and convolutions. Off by default. Returns DN_EDEVICE
** where `on` cannot be had.
*/
dn_status dn_device_tf32(dn_device *device, bool on);

/*
** Waits until the device has done everything asked of it. Returns what operations found wrong with
** values they met (DN_EARG, dn_ops.h), or DN_EDEVICE.
*/
dn_status dn_device_synchronize(dn_device *device);

/*
** From now on a child that this process forks can use the library: its tensors, and operations on
** them. Devices of plugins that were opened before are not available there.
*/
void dn_device_survive_forks(void);

/*
** Scratch memory that operations keep for their next call: gives it back (on "cpu" that of the calling
** thread).
*/
void dn_device_scratch_release(dn_device *device);

/*
** The most bytes of scratch that an operation of the calling thread on this plan device would have
** taken; `resets` starts the figure anew after reading it. 0 for devices that do not plan.
*/
int64_t dn_device_scratch_planned(dn_device *device, bool resets);

/*
** The multiplications and additions of `dtype` a second that the device is measured to make at most, by the
** compute threads in use; 0 where that is not known. Takes a fraction of a second.
*/
double dn_device_peak(dn_device *device, dn_dtype dtype);

/*
** Sets a test hook of the device's backend to `value`. False where it has no such hook or value, or fails;
** *answer may be what the hook gives back, or why it failed (NULL: nothing).
*/
bool dn_device_testing(dn_device *device, const char *hook, int64_t value, const char **answer);

#endif
