/*
** Launches by the kernel's name, while somebody counts them: which kernels a step is made of, on a GPU as on
** the emulation. Launches of a template count together. Those of NVIDIA's libraries are not seen here
** (cuda_kernel_times.h sees them).
*/
#ifndef CUDA_LAUNCHED_H
#define CUDA_LAUNCHED_H

#include "cuda_device.h"

/* For the current device: counts from nothing, or no more. Returns DN_ENOMEM. */
dn_status cuda_launched_count(bool on);

/* The n-th name, from 0, of so many bytes, and how often it was launched; false where there is none. */
bool cuda_launched_get(int64_t n, const char **name, int *length, int64_t *count);

/* For CUDA_LAUNCH alone: a launch on the current device, as it is written there, "(fill_kernel<float>)". */
void cuda_launched_note(const char *kernel);

#endif
