/*
** Convolutions as products over pixels: kernels of 1x1, whose input planes are the right operand as they
** are, and kernels with strides, whose patches are unfolded on the way (cpu_patches.h). The input is read
** once; what is made of it lives in the cache of the thread that multiplies it.
** Return DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV_PIXELS_H
#define CPU_CONV_PIXELS_H

#include "cpu_conv_call.h"

/* `transposed` for kernels of 1x1 with unit strides only. */
CPU_REAL_DECLARE(dn_status, cpu_conv_pixels_forward, (const cpu_conv_forward *call));

/* dx for kernels of 1x1 with unit strides only. */
CPU_REAL_DECLARE(dn_status, cpu_conv_pixels_backward, (const cpu_conv_backward *call));

#endif
