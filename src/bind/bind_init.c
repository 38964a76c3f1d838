/*
** The module densenet.core: lists its parts.
*/
#include "bind_init.h"

#include <lauxlib.h>

#include "../dn.h"

/* [-> core] The object's one entry; worker threads open it in their own states. */
__attribute__((visibility("default"))) int luaopen_densenet_core(lua_State *L);

int luaopen_densenet_core(lua_State *L) {
  luaL_checkversion(L);
  lua_newtable(L);
  lua_pushliteral(L, DN_VERSION);
  lua_setfield(L, -2, "version");
  bind_register_process(L);
  bind_register_tensor(L);
  bind_register_ops(L);
  bind_register_file(L);
  bind_register_image(L);
  bind_register_worker(L, luaopen_densenet_core);
  bind_register_signal(L);
  bind_register_clock(L);
  bind_register_testing(L);
  return 1;
}
