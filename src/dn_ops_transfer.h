/*
** Private to the front door: dn_copy between tensors of two devices, whose arguments are checked.
*/
#ifndef DN_OPS_TRANSFER_H
#define DN_OPS_TRANSFER_H

#include "dn_tensor.h"

/* y = x; same shape with at least one element, any dtypes and strides. Returns DN_ENOMEM as well. */
dn_status dn_transfer(dn_tensor *y, const dn_tensor *x);

#endif
