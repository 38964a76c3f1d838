/*
** What every kernel takes of the GPU, those of NVIDIA's libraries and of captured steps included, by CUPTI
** (part of the CUDA toolkit), which is loaded when it is first asked for and not needed otherwise.
*/
#ifndef CUDA_KERNEL_TIMES_H
#define CUDA_KERNEL_TIMES_H

#include "cuda_device.h"

/* Room for a kernel's name; longer ones are cut. */
enum { CUDA_KERNEL_NAME = 200 };

/*
** For the current device: takes the times of kernels that begin from now on, of nothing before, or ends that. What is
** under way has to be over. Of a graph that is older than the first call CUPTI may not tell its kernels. Returns
** DN_EDEVICE, with what is missing where there is no CUPTI.
*/
dn_status cuda_kernel_times_take(bool on);

/* Between the two: has the times of all that is over told. */
dn_status cuda_kernel_times_flush(void);

/*
** The n-th kernel, from 0, by the order in which they were first met: its name in C++, without parameters, how often
** it ran, and nanoseconds of all that; false where there is none. Good once it has ended.
*/
bool cuda_kernel_times_get(int64_t n, char name[CUDA_KERNEL_NAME], int64_t *count,
                           int64_t *nanoseconds);

#endif
