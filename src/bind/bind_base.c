/*
** Lua errors from statuses, and arguments that are no tensors.
*/
#include "bind_base.h"

#include <string.h>

int bind_raise(lua_State *L, dn_status status) {
  const int argument = status == DN_EARG ? dn_error_argument_index() : 0;
  /* Copied first: raising may run finalizers, and those may fail and overwrite the sentence. */
  const char *message = lua_pushstring(L, dn_error_message());
  if (argument > 0) return luaL_argerror(L, argument, message);
  return luaL_error(L, "%s", message);
}

int bind_fail(lua_State *L, dn_status status) {
  luaL_pushfail(L);
  lua_pushstring(L, dn_error_message());
  lua_pushstring(L, dn_status_word(status));
  return 3;
}

dn_device *bind_check_device(lua_State *L, int arg) {
  dn_device *device;
  const dn_status status = dn_device_find(luaL_checkstring(L, arg), &device);
  if (status != DN_OK) luaL_argerror(L, arg, lua_pushstring(L, dn_error_message()));
  return device;
}

dn_device *bind_check_place(lua_State *L, int arg) {
  dn_device *asked = bind_check_device(L, arg), *instead = dn_override_device();
  return instead && asked->has_values ? instead : asked;
}

bool bind_check_boolean(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return false;
  luaL_checktype(L, arg, LUA_TBOOLEAN);
  return lua_toboolean(L, arg);
}

const char *bind_check_path(lua_State *L, int arg) {
  size_t length;
  const char *path = luaL_checklstring(L, arg, &length);
  luaL_argcheck(L, strlen(path) == length, arg, "a path cannot hold a zero byte");
  return path;
}

dn_rng bind_check_rng(lua_State *L, int arg) {
  const dn_rng rng = {.seed = (uint64_t)luaL_checkinteger(L, arg),
                      .stream = (uint64_t)luaL_checkinteger(L, arg + 1),
                      .position = (uint64_t)luaL_checkinteger(L, arg + 2)};
  return rng;
}

dn_dtype bind_check_dtype(lua_State *L, int arg) {
  const char *name = luaL_checkstring(L, arg);
  for (int dtype = 0; dtype < DN_DTYPE_COUNT; dtype++)
    if (strcmp(name, dn_dtype_name((dn_dtype)dtype)) == 0) return (dn_dtype)dtype;
  luaL_argerror(
      L, arg,
      lua_pushfstring(L, "unknown type '%s'; float, double, half, bfloat16, long or byte", name));
  return DN_FLOAT;
}

int bind_check_dim(lua_State *L, int arg) {
  const lua_Integer dim = luaL_checkinteger(L, arg);
  if (dim < 1 || dim > DN_MAX_DIM)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "dimension %I; dimensions count from 1 to %d",
                                  (LUAI_UACINT)dim, DN_MAX_DIM));
  return (int)(dim - 1);
}

/* The integers of the table at `arg`. */
static int check_size_table(lua_State *L, int arg, int64_t *size) {
  const lua_Unsigned n = lua_rawlen(L, arg);
  if (n > DN_MAX_DIM)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%I sizes; a tensor has at most %d dimensions", (LUAI_UACINT)n,
                                  DN_MAX_DIM));
  for (int d = 0; d < (int)n; d++) {
    int is_integer = 0;
    lua_rawgeti(L, arg, d + 1);
    size[d] = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "size %d is %s, an integer expected", d + 1,
                                    luaL_tolstring(L, -1, NULL)));
    lua_pop(L, 1);
  }
  return (int)n;
}

int bind_check_sizes(lua_State *L, int arg, int64_t *size) {
  if (lua_istable(L, arg)) return check_size_table(L, arg, size);
  const int n_dim = lua_gettop(L) - arg + 1;
  if (n_dim > DN_MAX_DIM)
    luaL_argerror(L, arg + DN_MAX_DIM,
                  lua_pushfstring(L, "a tensor has at most %d dimensions", DN_MAX_DIM));
  for (int d = 0; d < n_dim; d++) size[d] = luaL_checkinteger(L, arg + d);
  return n_dim < 0 ? 0 : n_dim;
}
