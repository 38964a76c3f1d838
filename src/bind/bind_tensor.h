/*
** Private to bind_tensor*.c: the methods that move elements between Lua and a tensor.
*/
#ifndef BIND_TENSOR_H
#define BIND_TENSOR_H

#include "bind_handle.h"

/* t:totable() -> nested tables, row-major; a number for a scalar */
int bind_tensor_to_table(lua_State *L);

/* t:item() -> the only element */
int bind_tensor_item(lua_State *L);

/* t:at(i, j, ...) -> element */
int bind_tensor_at(lua_State *L);

/* t:put(value, i, j, ...) */
int bind_tensor_put(lua_State *L);

/* core.tensor_from(device, dtype, nested table or number) -> tensor */
int bind_tensor_from(lua_State *L);

#endif
