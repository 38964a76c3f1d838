/*
** Private to the front door: dn_copy between tensors of two devices, whose arguments are checked.
*/
#ifndef DN_OPS_TRANSFER_H
#define DN_OPS_TRANSFER_H

#include "dn_tensor.h"

/* y = x; same shape with at least one element, any dtypes and strides. Returns DN_ENOMEM as well. */
dn_status dn_transfer(dn_tensor *y, const dn_tensor *x);

/*
** y = x on the side: x pinned by y's device, both contiguous, of one dtype and shape. Starts when the
** operations called before on y's device are done and runs beside those called later
** (dn_backend.upload_async). Returns DN_EARG, DN_EDEVICE.
*/
dn_status dn_copy_async(dn_tensor *y, const dn_tensor *x);

#endif
