/*
** Private to bind_ops*.c: one Lua function per line of dn_ops.def, so that an operation without a
** binding does not link, and the readers of the arguments they have in common.
**
** Each takes the C arguments in their order: tensors as userdata, those that may be left out as
** nil, kinds as words, structs field by field, an array and its count as one table. Each returns
** nothing, raises misuse, and collects and tries again before it raises out of memory.
*/
#ifndef BIND_OPS_H
#define BIND_OPS_H

#include "bind.h"

#define DN_OP(name, parameters, arguments) int bind_##name(lua_State *L);
#include "../dn_ops.def"
#undef DN_OP

/* conv2d_output_size(H, W, kH, kW, sH, sW, pH, pW) -> P, Q */
int bind_conv2d_output_size(lua_State *L);

/* pool2d_output_size(H, W, kH, kW, sH, sW, pH, pW, ceilMode) -> P, Q */
int bind_pool2d_output_size(lua_State *L);

#endif
