/*
** The module densenet.core: lists its parts.
*/
#include "bind_init.h"

#include "bind_error.h"
#include "bind_memory.h"

#include <lauxlib.h>
#include <lualib.h>

#include "../dn.h"

/* [-> core] The object's one entry; worker threads open it in their own states. */
__attribute__((visibility("default"))) int luaopen_densenet_core(lua_State *L);

int luaopen_densenet_core(lua_State *L) {
  luaL_checkversion(L);
  dn_device_survive_forks();
  lua_newtable(L);
  lua_pushliteral(L, DN_VERSION);
  lua_setfield(L, -2, "version");
  /* Lua's own library of that name, for hosts that do not open it. */
  lua_pushcfunction(L, luaopen_utf8);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "utf8");
  bind_register_error(L);
  bind_register_memory(L);
  bind_register_process(L);
  bind_register_plan(L);
  bind_register_tensor(L);
  bind_register_mask(L);
  bind_register_ops(L);
  bind_register_graph(L);
  bind_register_svd(L);
  bind_register_file(L);
  bind_register_image(L);
  bind_register_image_file(L);
  bind_register_image_steps(L);
  bind_register_folder(L);
  bind_register_mat(L);
  bind_register_worker(L, luaopen_densenet_core);
  bind_register_comm(L);
  bind_register_signal(L);
  bind_register_child(L);
  bind_register_rendezvous(L);
  bind_register_text(L);
  bind_register_clock(L);
  bind_register_terminal(L);
  bind_register_testing(L);
  return 1;
}
