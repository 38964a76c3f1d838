/*
** Tensors as Lua holds them: userdata with a dn_tensor in them.
*/
#ifndef BIND_HANDLE_H
#define BIND_HANDLE_H

#include "bind_base.h"

#define BIND_TENSOR "densenet.tensor" /* the metatable's name in the registry */

/* The tensor at `arg`; raises for anything else, and for a freed one. */
dn_tensor *bind_check_tensor(lua_State *L, int arg);

/* The same, NULL for nil or nothing. */
dn_tensor *bind_optional_tensor(lua_State *L, int arg);

/* The tensor at stack index `index`, freed or not; NULL for any other value. Raises nothing. */
dn_tensor *bind_test_tensor(lua_State *L, int index);

/*
** [-> tensor] An empty tensor (storage NULL: freed) with its metatable, for a dn_tensor_* call to
** fill. Raises only Lua's own out of memory.
*/
dn_tensor *bind_push_tensor(lua_State *L);

/*
** [-> tensor] A new row-major tensor, content undefined, of which the collector has been told.
** Raises misuse and out of memory.
*/
dn_tensor *bind_push_new_tensor(lua_State *L, dn_device *device, dn_dtype dtype, int n_dim,
                                const int64_t *size);

#endif
