/*
** Convolutions of 3x3 with unit strides and a padding of 1 by Winograd's F(4x4, 3x3) (cpu_winograd.h).
** Return DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV_WINOGRAD_H
#define CPU_CONV_WINOGRAD_H

#include <stdbool.h>

#include "cpu_conv_call.h"

/*
** Whether it is used for an input of that shape: whether the products that it saves are worth its transforms, and
** tiles of 4x4 cover the image well. The shape alone decides, so equal calls give equal bits.
*/
bool cpu_conv_winograd_fits(const dn_tensor *x, const dn_tensor *weight, dn_conv2d options);

CPU_REAL_DECLARE(dn_status, cpu_conv_winograd_forward, (const cpu_conv_forward *call));
CPU_REAL_DECLARE(dn_status, cpu_conv_winograd_backward, (const cpu_conv_backward *call));

#endif
