/*
** A Lua interpreter that carries the sanitizers' runtime. A module built with AddressSanitizer
** cannot be loaded by an interpreter built without, and preloading the runtime would check every
** child process too. This one runs `-e CODE` or, after `-l MODULE` any number of times, a script with
** arguments, and always closes its state, also in os.exit, so that what is still allocated afterwards
** is a leak.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* os.exit(code) as os.exit(code, true). */
static int exit_closing(lua_State *L) {
  const int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
  lua_close(L);
  exit(code);
}

static void set_arguments(lua_State *L, int argc, char **argv, int script) {
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

/* [-> status]: require(name), with its message on the stack where that fails. */
static int load_module(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  return lua_pcall(L, 1, 0, 1);
}

int main(int argc, char **argv) {
  int script = 1;
  while (argc > script + 2 && strcmp(argv[script], "-l") == 0) script += 2;
  const int is_code = argc > 2 && strcmp(argv[1], "-e") == 0;
  if (argc < 2) {
    fprintf(stderr, "usage: %s -e CODE | [-l MODULE ...] SCRIPT [ARGUMENT ...]\n", argv[0]);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, exit_closing);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
  set_arguments(L, argc, argv, is_code ? 0 : script);
  lua_pushcfunction(L, traceback);
  int status = LUA_OK, n_arguments = 0;
  for (int i = 2; i < script && status == LUA_OK; i += 2) status = load_module(L, argv[i]);
  if (status == LUA_OK)
    status = is_code ? luaL_loadstring(L, argv[2]) : luaL_loadfile(L, argv[script]);
  for (int i = script + 1; status == LUA_OK && !is_code && i < argc; i++, n_arguments++)
    lua_pushstring(L, argv[i]);
  if (status == LUA_OK) status = lua_pcall(L, n_arguments, 0, 1);
  if (status != LUA_OK) fprintf(stderr, "%s: %s\n", argv[0], lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
