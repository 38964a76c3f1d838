/*
** Where an error happened, as its reader sees it: the line of the caller's own program, not that of
** the library's Lua file which passed the call on to C. A frame is the library's when the name of its
** source begins as that of the library's own files does.
**
** The checks of Lua's auxiliary library are the same under their names in all of src/bind, but for
** the line that their errors give.
*/
#ifndef BIND_ERROR_H
#define BIND_ERROR_H

#include <lauxlib.h>
#include <lua.h>

/* [-> text] "file:line: " of the innermost frame that is not the library's; "" where none is known. */
void bind_where(lua_State *L);

/* core.library(): the file that calls this is the library's, and so are all beside and below it. */
void bind_register_error(lua_State *L);

int bind_error(lua_State *L, const char *format, ...);
int bind_argument_error(lua_State *L, int arg, const char *reason);
int bind_type_error(lua_State *L, int arg, const char *expected);

lua_Integer bind_check_integer(lua_State *L, int arg);
lua_Number bind_check_number(lua_State *L, int arg);
const char *bind_check_lstring(lua_State *L, int arg, size_t *size);
int bind_check_option(lua_State *L, int arg, const char *const *words);
void bind_check_type(lua_State *L, int arg, int type);
void *bind_check_userdata(lua_State *L, int arg, const char *name);

#undef luaL_argcheck
#undef luaL_optinteger
#undef luaL_optnumber
#define luaL_error bind_error
#define luaL_argerror bind_argument_error
#define luaL_typeerror bind_type_error
#define luaL_argcheck(L, is_good, arg, reason) \
  ((void)((is_good) || bind_argument_error((L), (arg), (reason))))
#define luaL_checkinteger bind_check_integer
#define luaL_checknumber bind_check_number
#define luaL_checklstring bind_check_lstring
#define luaL_checkoption(L, arg, fallback, words) bind_check_option((L), (arg), (words))
#define luaL_checktype bind_check_type
#define luaL_checkudata bind_check_userdata
#define luaL_optinteger(L, arg, fallback) luaL_opt(L, bind_check_integer, arg, fallback)
#define luaL_optnumber(L, arg, fallback) luaL_opt(L, bind_check_number, arg, fallback)

#endif
