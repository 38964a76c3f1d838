/*
** The module's parts; each adds its functions to the table on top: [core -> core]
*/
#ifndef BIND_INIT_H
#define BIND_INIT_H

#include <lua.h>

void bind_register_process(lua_State *L);
void bind_register_plan(lua_State *L);
void bind_register_tensor(lua_State *L);
void bind_register_mask(lua_State *L);
void bind_register_ops(lua_State *L);
void bind_register_graph(lua_State *L);
void bind_register_svd(lua_State *L);
void bind_register_file(lua_State *L);
void bind_register_image(lua_State *L);
void bind_register_image_file(lua_State *L);
void bind_register_image_steps(lua_State *L);
void bind_register_folder(lua_State *L);
void bind_register_mat(lua_State *L);
/* `open` opens the module in a worker's own state. */
void bind_register_worker(lua_State *L, lua_CFunction open);
void bind_register_comm(lua_State *L);
void bind_register_signal(lua_State *L);
void bind_register_child(lua_State *L);
void bind_register_rendezvous(lua_State *L);
void bind_register_text(lua_State *L);
void bind_register_clock(lua_State *L);
void bind_register_terminal(lua_State *L);
void bind_register_testing(lua_State *L);

/* [testing -> testing] */
void bind_register_signal_testing(lua_State *L);

#endif
