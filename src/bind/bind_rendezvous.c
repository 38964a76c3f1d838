/*
** The rendezvous of ranks (dn_rendezvous.h), for Lua.
**
**   rendezvous_open{ address=, port=, rank=, size=, timeout=, options=, seat=, bytes= } -> rendezvous |
**     nil, message, code
**   r:step(seconds) -> "waits" | "differs", rank 0's options | "done", bytes | nil, message, code
**   r:complain(sentence): to rank 0, after "differs"
**   r:close(), __gc, __close
*/
#include "../dn_rendezvous.h"
#include "bind_handle.h"
#include "bind_init.h"

#define RENDEZVOUS "densenet.rendezvous"

typedef struct handle {
  dn_rendezvous *rendezvous; /* NULL: closed */
} handle;

static lua_Integer integer_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  int is_integer;
  const lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer) luaL_error(L, "%s: integer expected, got %s", name, luaL_typename(L, -1));
  lua_pop(L, 1);
  return value;
}

/* [-> text] */
static const char *push_text(lua_State *L, const char *name, size_t *n) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  return luaL_checklstring(L, -1, n);
}

static int open_rendezvous(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  dn_rendezvous_plan plan = {.port = (int)integer_field(L, "port"),
                             .rank = (int)integer_field(L, "rank"),
                             .size = (int)integer_field(L, "size"),
                             .seat = (uint32_t)integer_field(L, "seat")};
  lua_getfield(L, 1, "timeout");
  plan.timeout_seconds = luaL_checknumber(L, -1);
  plan.address = push_text(L, "address", NULL);
  plan.options = push_text(L, "options", NULL);
  plan.bytes = push_text(L, "bytes", &plan.n_bytes);
  handle *own = lua_newuserdatauv(L, sizeof *own, 0);
  own->rendezvous = NULL;
  luaL_setmetatable(L, RENDEZVOUS);
  const dn_status status = dn_rendezvous_open(&plan, &own->rendezvous);
  return status == DN_OK ? 1 : bind_fail(L, status);
}

static dn_rendezvous *check_rendezvous(lua_State *L) {
  const handle *own = luaL_checkudata(L, 1, RENDEZVOUS);
  luaL_argcheck(L, own->rendezvous, 1, "it has been closed");
  return own->rendezvous;
}

static int step(lua_State *L) {
  static const char *const words[] = {"waits", "differs", "done"};
  dn_rendezvous *rendezvous = check_rendezvous(L);
  dn_rendezvous_state state = DN_RENDEZVOUS_WAITS;
  const dn_status status = dn_rendezvous_step(rendezvous, luaL_checknumber(L, 2), &state);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushstring(L, words[state]);
  if (state == DN_RENDEZVOUS_WAITS) return 1;
  size_t n;
  const char *text = dn_rendezvous_text(rendezvous, &n);
  lua_pushlstring(L, text, n);
  return 2;
}

static int complain(lua_State *L) {
  dn_rendezvous_complain(check_rendezvous(L), luaL_checkstring(L, 2));
  return 0;
}

static int close_rendezvous(lua_State *L) {
  handle *own = luaL_checkudata(L, 1, RENDEZVOUS);
  dn_rendezvous_close(own->rendezvous);
  own->rendezvous = NULL;
  return 0;
}

void bind_register_rendezvous(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"step", step}, {"complain", complain}, {"close", close_rendezvous}, {NULL, NULL}};
  luaL_newmetatable(L, RENDEZVOUS);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, close_rendezvous);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close_rendezvous);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_pushcfunction(L, open_rendezvous);
  lua_setfield(L, -2, "rendezvous_open");
}
