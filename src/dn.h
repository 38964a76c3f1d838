/*
** densenet, the whole C library: tensors and the operations that train convolutional networks, on
** one or more backends, knowing nothing of Lua.
**
** Letters of dimensions, the same in every comment, error and shape:
**   N  images of a batch             H, W  height and width of an input plane
**   C  channels going in             P, Q  height and width of an output plane
**   K  channels going out, classes   R, S  height and width of a kernel
**   G  groups of a convolution       L     layers of a network or block
** Layout is N,C,H,W in every call, whatever a backend keeps inside.
*/
#ifndef DN_H
#define DN_H

#include "dn_alloc.h"
#include "dn_comm.h"
#include "dn_device.h"
#include "dn_devices.h"
#include "dn_dtype.h"
#include "dn_ops.h"
#include "dn_philox.h"
#include "dn_plan.h"
#include "dn_shape.h"
#include "dn_status.h"
#include "dn_storage.h"
#include "dn_tensor.h"
#include "dn_threads.h"

/* The one place where the version stands; Lua reads it as require("densenet").version. */
#define DN_VERSION "0.2.0"

#endif
