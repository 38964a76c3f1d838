/*
** The convolution engine: a call of one group of channels, by the loops that suit its kernel.
**   1x1, unit strides    products over pixels (cpu_conv_pixels.h)
**   3x3, padded by 1     Winograd's products of tiles, where there are channels enough (cpu_conv_winograd.h)
**   unit strides         shifted products over a bordered copy of the image (cpu_conv_border.h)
**   other strides        products over unfolded patches (cpu_conv_pixels.h)
** Return DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV_ENGINE_H
#define CPU_CONV_ENGINE_H

#include "cpu_conv_call.h"

/* `transposed` where cpu_conv_is_shifted only. */
dn_status cpu_conv_engine_forward(const cpu_conv_forward *call);

/* dx for kernels of 1x1, and of 3x3 padded by 1, with unit strides only. */
dn_status cpu_conv_engine_backward(const cpu_conv_backward *call);

/* Does every weight read whole lines of pixels as they lie: with unit strides, and a border narrower than the kernel? */
bool cpu_conv_is_shifted(const dn_tensor *weight, dn_conv2d options);

#endif
