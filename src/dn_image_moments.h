/*
** Sums over the bytes of a set of images, from which its mean and deviation follow. Whole numbers,
** so they are exact, and the order of adding does not matter.
*/
#ifndef DN_IMAGE_MOMENTS_H
#define DN_IMAGE_MOMENTS_H

#include "dn_tensor.h"

/*
** sum[c] and sum_of_squares[c], C numbers each, of channel c of images N,C,H,W (byte, on the CPU,
** each H,W plane contiguous). Exact up to 2^47 pixels a channel. Returns DN_EARG.
*/
dn_status dn_image_moments(const dn_tensor *images, int64_t *sum, int64_t *sum_of_squares);

#endif
