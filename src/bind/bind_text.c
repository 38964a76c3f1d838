/*
** Numbers and text for Lua, whatever locale the program has set. Lua's own string.format, tostring
** and tonumber follow it (0,5 in Germany), which is right for a program's screen and wrong for a file.
**
**   format(pattern, ...) -> string.format's result; %s of a number, too, has a point
**   number(text) -> tonumber's result for a decimal or hexadecimal number; nil
**   before(a, b) -> does a come before b in the order of their bytes? (a < b asks the locale)
*/
#include <string.h>

#include <lualib.h>

#include "../dn_locale.h"
#include "bind_handle.h"
#include "bind_init.h"

/* The upvalue is string.format. */
static int format(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  const dn_locale before = dn_locale_enter();
  const int status = lua_pcall(L, lua_gettop(L) - 1, 1, 0);
  dn_locale_leave(before);
  return status == LUA_OK ? 1 : lua_error(L);
}

static int number(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  const dn_locale before = dn_locale_enter();
  const size_t read = lua_stringtonumber(L, text); /* raises nothing; pushes where it succeeds */
  dn_locale_leave(before);
  if (read != length + 1) luaL_pushfail(L);
  return 1;
}

static int comes_before(lua_State *L) {
  size_t n_a, n_b;
  const char *a = luaL_checklstring(L, 1, &n_a), *b = luaL_checklstring(L, 2, &n_b);
  const int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
  lua_pushboolean(L, order < 0 || (order == 0 && n_a < n_b));
  return 1;
}

void bind_register_text(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  /* A state without Lua's string library can use the core, and does without this. */
  if (lua_getfield(L, -1, LUA_STRLIBNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, format, 1);
    lua_setfield(L, -4, "format");
  }
  lua_pop(L, 2);
  lua_pushcfunction(L, number);
  lua_setfield(L, -2, "number");
  lua_pushcfunction(L, comes_before);
  lua_setfield(L, -2, "before");
}
