#include "bind_handle.h"

#include <string.h>

dn_tensor *bind_check_tensor(lua_State *L, int arg) {
  dn_tensor *tensor = luaL_checkudata(L, arg, BIND_TENSOR);
  if (!tensor->storage) luaL_argerror(L, arg, "the tensor has been freed");
  return tensor;
}

dn_tensor *bind_optional_tensor(lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? NULL : bind_check_tensor(L, arg);
}

dn_tensor *bind_test_tensor(lua_State *L, int index) {
  return luaL_testudata(L, index, BIND_TENSOR);
}

dn_tensor *bind_push_tensor(lua_State *L) {
  dn_tensor *tensor = lua_newuserdatauv(L, sizeof *tensor, 0);
  memset(tensor, 0, sizeof *tensor);
  luaL_setmetatable(L, BIND_TENSOR);
  return tensor;
}

dn_tensor *bind_push_new_tensor(lua_State *L, dn_device *device, dn_dtype dtype, int n_dim,
                                const int64_t *size) {
  dn_tensor *tensor = bind_push_tensor(L);
  BIND_TRY(L, dn_tensor_new(device, dtype, n_dim, size, tensor));
  bind_note_allocation(L, tensor);
  return tensor;
}
