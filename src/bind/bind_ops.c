/*
** The table of operations.
*/
#include "bind_ops.h"

void bind_register_ops(lua_State *L) {
  static const luaL_Reg functions[] = {
#define DN_OP(name, parameters, arguments) {#name, bind_##name},
#include "../dn_ops.def"
#undef DN_OP
      {"conv2d_output_size", bind_conv2d_output_size},
      {"pool2d_output_size", bind_pool2d_output_size},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
