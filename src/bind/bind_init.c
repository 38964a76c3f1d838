/* The module densenet.core: its parts, in order. */
#include "bind_init.h"

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
  return 1;
}
