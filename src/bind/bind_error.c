#include "bind_error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* ---- The line ---- */

static const char library_key; /* its address: registry key of how the library's sources begin */

/* core.library() */
static int library(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, 1, &frame)) return 0;
  lua_getinfo(L, "S", &frame);
  /* The file's own name, with which its source ends, is left off: "@lua/densenet/", "=densenet." */
  size_t length = strlen(frame.source);
  if (length > 4 && strcmp(frame.source + length - 4, ".lua") == 0) length -= 4;
  while (length > 0 && !strchr("/\\.", frame.source[length - 1])) length--;
  if (length < 2) return 0; /* no name of a place: a chunk without a name */
  lua_pushlstring(L, frame.source, length);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
  return 0;
}

/* Is the frame, of which "S" is known, one of Lua outside the library? */
static bool is_outside(const lua_Debug *frame, const char *beginning) {
  if (strcmp(frame->what, "C") == 0) return false;
  return !beginning || strncmp(frame->source, beginning, strlen(beginning)) != 0;
}

static bool push_line(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "l", frame);
  if (frame->currentline <= 0) return false;
  lua_pushfstring(L, "%s:%d: ", frame->short_src, frame->currentline);
  return true;
}

void bind_where(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
  const char *beginning = lua_tostring(L, -1); /* the registry keeps it */
  lua_pop(L, 1);
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "S", &frame);
    if (is_outside(&frame, beginning) && push_line(L, &frame)) return;
  }
  /* All of it is the library's, as in a thread that its loader started. */
  if (lua_getstack(L, 1, &frame)) {
    lua_getinfo(L, "S", &frame);
    if (push_line(L, &frame)) return;
  }
  lua_pushliteral(L, "");
}

/* core.where() -> "file:line: " of the caller's program */
static int where(lua_State *L) {
  bind_where(L);
  return 1;
}

/* core.raise(message): raises it, with the line of the caller's program before it */
static int raise(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  bind_where(L);
  lua_insert(L, 1);
  lua_concat(L, 2);
  return lua_error(L);
}

/* core.traceback(message) -> message and the calls that led to a message handler, without Lua's debug */
static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_checkstring(L, 1), 2);
  return 1;
}

void bind_register_error(lua_State *L) {
  static const luaL_Reg functions[] = {{"library", library},
                                       {"where", where},
                                       {"raise", raise},
                                       {"traceback", traceback},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

/* ---- Raising ---- */

int bind_error(lua_State *L, const char *format, ...) {
  va_list arguments;
  bind_where(L);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}

/* function, anything, table [-> name]: under which key it stands there; NULL, and nothing, where none. */
static const char *push_name_in(lua_State *L, const char *before) {
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* function, anything, table, key, value */
    if (lua_rawequal(L, -1, -5) && lua_type(L, -2) == LUA_TSTRING)
      return lua_pushfstring(L, "%s%s", before, lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  return NULL;
}

/* [-> name] The name of the running function in the module's table, or "?". */
static const char *push_own_name(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "f", frame); /* function */
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "densenet.core") != LUA_TTABLE) return lua_pushliteral(L, "?");
  /* function, loaded, core */
  const char *name = push_name_in(L, "densenet.core.");
  if (!name && lua_getfield(L, -1, "tensor_methods") == LUA_TTABLE) {
    lua_replace(L, -2);
    name = push_name_in(L, "");
  }
  return name ? name : lua_pushliteral(L, "?");
}

int bind_argument_error(lua_State *L, int arg, const char *reason) {
  lua_Debug frame;
  if (!lua_getstack(L, 0, &frame)) return bind_error(L, "bad argument #%d (%s)", arg, reason);
  lua_getinfo(L, "n", &frame);
  if (strcmp(frame.namewhat, "method") == 0 && --arg == 0)
    return bind_error(L, "calling '%s' on bad self (%s)", frame.name, reason);
  const char *name = frame.name ? frame.name : push_own_name(L, &frame);
  return bind_error(L, "bad argument #%d to '%s' (%s)", arg, name, reason);
}

int bind_type_error(lua_State *L, int arg, const char *expected) {
  const char *got = luaL_typename(L, arg);
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING) got = lua_tostring(L, -1);
  return bind_argument_error(L, arg, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

/* ---- Checks ---- */

lua_Integer bind_check_integer(lua_State *L, int arg) {
  int is_integer;
  const lua_Integer value = lua_tointegerx(L, arg, &is_integer);
  if (!is_integer && lua_isnumber(L, arg))
    bind_argument_error(L, arg,
                        lua_pushfstring(L, "an integer expected, got %s", lua_tostring(L, arg)));
  if (!is_integer) bind_type_error(L, arg, "integer");
  return value;
}

lua_Number bind_check_number(lua_State *L, int arg) {
  int is_number;
  const lua_Number value = lua_tonumberx(L, arg, &is_number);
  if (!is_number) bind_type_error(L, arg, "number");
  return value;
}

const char *bind_check_lstring(lua_State *L, int arg, size_t *size) {
  const char *text = lua_tolstring(L, arg, size);
  if (!text) bind_type_error(L, arg, "string");
  return text;
}

int bind_check_option(lua_State *L, int arg, const char *const *words) {
  const char *word = luaL_checkstring(L, arg);
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], word) == 0) return i;
  return bind_argument_error(L, arg, lua_pushfstring(L, "invalid option '%s'", word));
}

void bind_check_type(lua_State *L, int arg, int type) {
  if (lua_type(L, arg) != type) bind_type_error(L, arg, lua_typename(L, type));
}

void *bind_check_userdata(lua_State *L, int arg, const char *name) {
  void *userdata = luaL_testudata(L, arg, name);
  if (!userdata) bind_type_error(L, arg, name);
  return userdata;
}
