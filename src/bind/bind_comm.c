/*
** Communicators (dn_comm.h) as userdata, for densenet.dist. What a call starts on the side is kept alive by
** the userdata's own table until it is joined.
*/
#include <string.h>

#include "bind_handle.h"
#include "bind_init.h"

#define COMMUNICATOR "densenet.communicator"

static const char *const reductions[] = {"sum", "max", NULL};

typedef struct handle {
  dn_comm *comm; /* NULL: closed */
} handle;

static dn_comm *check_comm(lua_State *L) {
  handle *own = luaL_checkudata(L, 1, COMMUNICATOR);
  if (!own->comm) luaL_argerror(L, 1, "the communicator has been closed");
  return own->comm;
}

static int answer(lua_State *L, dn_status status) {
  if (status != DN_OK) bind_raise(L, status);
  return 0;
}

/* comm_engine(name) -> the library that it was built with, "Open MPI 4.1.4" | nil, message, code */
static int engine(lua_State *L) {
  const dn_comm_engine *found = NULL;
  const dn_status status = dn_comm_engine_find(luaL_checkstring(L, 1), &found);
  if (status == DN_EARG) return bind_raise(L, status);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushstring(L, found->built_with);
  return 1;
}

/* comm_rendezvous(engine name) -> bytes that all ranks share to open a communicator | nil, message, code */
static int rendezvous(lua_State *L) {
  const dn_comm_engine *found = NULL;
  char bytes[1024];
  size_t n = 0;
  dn_status status = dn_comm_engine_find(luaL_checkstring(L, 1), &found);
  if (status == DN_EARG) return bind_raise(L, status);
  if (status == DN_OK) status = found->rendezvous(bytes, sizeof bytes, &n);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushlstring(L, bytes, n);
  return 1;
}

/*
** comm_open(engine name or nil, device, rank, size, timeout in seconds, rendezvous or nil) -> communicator |
** nil, message, code. All ranks call it together.
*/
static int comm_open(lua_State *L) {
  const char *name = lua_isnoneornil(L, 1) ? NULL : luaL_checkstring(L, 1);
  dn_comm_place place = {.device = bind_check_device(L, 2),
                         .rank = (int)luaL_checkinteger(L, 3),
                         .size = (int)luaL_checkinteger(L, 4),
                         .timeout_seconds = luaL_checknumber(L, 5)};
  if (!lua_isnoneornil(L, 6)) place.rendezvous = luaL_checklstring(L, 6, &place.n_rendezvous);
  handle *own = lua_newuserdatauv(L, sizeof *own, 1);
  own->comm = NULL;
  luaL_setmetatable(L, COMMUNICATOR);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  const dn_comm_engine *found = NULL;
  dn_status status = name ? dn_comm_engine_find(name, &found) : DN_OK;
  if (status == DN_OK) status = dn_comm_open(found, &place, &own->comm);
  if (status == DN_EARG) return bind_raise(L, status);
  if (status != DN_OK) return bind_fail(L, status);
  return 1;
}

/* checksum(tensor [, before]) -> the CRC-32 of its elements, going on from an earlier one */
static int checksum(lua_State *L) {
  const dn_tensor *x = bind_check_tensor(L, 1);
  uint32_t sum = 0;
  const dn_status status = dn_comm_checksum(x, (uint32_t)luaL_optinteger(L, 2, 0), &sum);
  if (status != DN_OK) return bind_raise(L, status);
  lua_pushinteger(L, sum);
  return 1;
}

/* c:allReduce(tensor, "sum" or "max"): in place */
static int all_reduce(lua_State *L) {
  dn_comm *comm = check_comm(L);
  dn_tensor *x = bind_check_tensor(L, 2);
  const dn_comm_op op = (dn_comm_op)luaL_checkoption(L, 3, NULL, reductions);
  return answer(L, dn_comm_all_reduce(comm, x, op));
}

/* c:allReduceStart(tensor, "sum" or "max"): on the side, until c:allReduceJoin() */
static int all_reduce_start(lua_State *L) {
  dn_comm *comm = check_comm(L);
  dn_tensor *x = bind_check_tensor(L, 2);
  const dn_comm_op op = (dn_comm_op)luaL_checkoption(L, 3, NULL, reductions);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  return answer(L, dn_comm_all_reduce_start(comm, x, op));
}

static int all_reduce_join(lua_State *L) {
  dn_comm *comm = check_comm(L);
  const dn_status status = dn_comm_all_reduce_join(comm);
  if (status != DN_OK) return bind_raise(L, status);
  lua_getiuservalue(L, 1, 1);
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0; i--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  return 0;
}

/* c:allGather(all, tensor): all has the elements of every rank, rank 0's first */
static int all_gather(lua_State *L) {
  dn_comm *comm = check_comm(L);
  dn_tensor *all = bind_check_tensor(L, 2);
  return answer(L, dn_comm_all_gather(comm, all, bind_check_tensor(L, 3)));
}

/* c:broadcast(tensor, root): root counts from 0 */
static int broadcast(lua_State *L) {
  dn_comm *comm = check_comm(L);
  dn_tensor *x = bind_check_tensor(L, 2);
  return answer(L, dn_comm_broadcast(comm, x, (int)luaL_checkinteger(L, 3)));
}

/* c:check(): raises where another rank is known to have failed; waits for nothing */
static int check(lua_State *L) { return answer(L, dn_comm_check(check_comm(L))); }

/* c:statistics() -> calls, bytes of their tensors, seconds in them */
static int statistics(lua_State *L) {
  const dn_comm *comm = check_comm(L);
  lua_pushinteger(L, comm->n_calls);
  lua_pushinteger(L, comm->n_bytes);
  lua_pushnumber(L, comm->seconds);
  return 3;
}

static int comm_close(lua_State *L) {
  handle *own = luaL_checkudata(L, 1, COMMUNICATOR);
  dn_comm *comm = own->comm;
  own->comm = NULL;
  dn_comm_close(comm);
  return 0;
}

/* c:abort([why]): this rank has failed, and others are told why */
static int comm_abort(lua_State *L) {
  handle *own = luaL_checkudata(L, 1, COMMUNICATOR);
  const char *why = lua_isnoneornil(L, 2) ? NULL : luaL_checkstring(L, 2);
  dn_comm *comm = own->comm;
  own->comm = NULL;
  dn_comm_abort(comm, why);
  return 0;
}

void bind_register_comm(lua_State *L) {
  static const luaL_Reg methods[] = {{"allReduce", all_reduce},
                                     {"allReduceStart", all_reduce_start},
                                     {"allReduceJoin", all_reduce_join},
                                     {"allGather", all_gather},
                                     {"broadcast", broadcast},
                                     {"check", check},
                                     {"statistics", statistics},
                                     {"close", comm_close},
                                     {"abort", comm_abort},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"comm_engine", engine},
                                       {"comm_rendezvous", rendezvous},
                                       {"comm_open", comm_open},
                                       {"checksum", checksum},
                                       {NULL, NULL}};
  luaL_newmetatable(L, COMMUNICATOR);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, comm_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, comm_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
