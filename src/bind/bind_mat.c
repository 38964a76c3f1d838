/*
** The files of the Street View House Numbers, for Lua.
**
**   mat_read_digits(path [, n_before = 0]) -> images, labels (dn_mat.h); nil, message, code for what is no such file
*/
#include <string.h>

#include "../dn_mat.h"
#include "bind_handle.h"
#include "bind_init.h"

static int mat_read_digits(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, strlen(path) == length, 1, "a path cannot hold a zero byte");
  const lua_Integer n_before = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, n_before >= 0 && n_before <= INT32_MAX, 2, "room is left for 0 to 2^31 images");
  dn_tensor *images = bind_push_tensor(L), *labels = bind_push_tensor(L);
  const dn_status status = dn_mat_read_digits(path, n_before, images, labels);
  if (status == DN_ENOMEM) return bind_raise(L, status);
  if (status != DN_OK) return bind_fail(L, status);
  bind_note_allocation(L, images);
  bind_note_allocation(L, labels);
  return 2;
}

void bind_register_mat(lua_State *L) {
  lua_pushcfunction(L, mat_read_digits);
  lua_setfield(L, -2, "mat_read_digits");
}
