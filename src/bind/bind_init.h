#ifndef BIND_INIT_H
#define BIND_INIT_H

#include <lauxlib.h>
#include <lua.h>

#include "../dn.h"

/* ---- The module's parts; each adds its functions to the table on top: [core -> core] ---- */

void bind_register_tensor(lua_State *L);
void bind_register_ops(lua_State *L);
void bind_register_file(lua_State *L);
void bind_register_image(lua_State *L);
void bind_register_worker(lua_State *L, lua_CFunction open);
void bind_register_process(lua_State *L);
void bind_register_signal(lua_State *L);
void bind_register_clock(lua_State *L);

/* [-> core] Opens the module; a worker thread opens it in its own state. */
__attribute__((visibility("default"))) int luaopen_densenet_core(lua_State *L);

#endif
