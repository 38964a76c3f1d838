/*
** Convolutions with unit strides and kernels of several pixels, as shifted products over a bordered copy
** of the input; padding is below the kernel's size. Return DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV_BORDER_H
#define CPU_CONV_BORDER_H

#include "cpu_conv_call.h"

CPU_REAL_DECLARE(dn_status, cpu_conv_border_forward, (const cpu_conv_forward *call));

/* dx for kernels of 3x3 padded by 1 only. */
CPU_REAL_DECLARE(dn_status, cpu_conv_border_backward, (const cpu_conv_backward *call));

#endif
