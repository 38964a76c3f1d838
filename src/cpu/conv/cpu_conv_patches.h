/*
** The way back to the input of a convolution with strides: products make the gradients of its patches,
** which are added up where the patches were read. Returns DN_ENOMEM where there is no room for scratch.
*/
#ifndef CPU_CONV_PATCHES_H
#define CPU_CONV_PATCHES_H

#include "cpu_conv_call.h"

/* dx = the way back of dy. */
CPU_REAL_DECLARE(dn_status, cpu_conv_patches_backward_data,
                 (dn_tensor * dx, const dn_tensor *dy, const dn_tensor *weight, dn_conv2d options));

#endif
