/*
** Captured steps (dn_graph.h) as Lua holds them: userdata with a pointer to one. densenet.capture builds on it.
*/
#include "bind_handle.h"
#include "bind_init.h"

#include "../dn_graph.h"

#define BIND_GRAPH "densenet.graph"

/* NULL in it: freed. */
typedef struct handle {
  dn_graph *graph;
} handle;

static dn_graph *check_graph(lua_State *L, int arg) {
  handle *held = luaL_checkudata(L, arg, BIND_GRAPH);
  if (!held->graph) luaL_argerror(L, arg, "the graph has been freed");
  return held->graph;
}

/* graph_possible(device) -> whether it captures steps at all */
static int graph_possible(lua_State *L) {
  lua_pushboolean(L, dn_graph_is_possible(bind_check_device(L, 1)));
  return 1;
}

/* graph_begin(device) -> graph, which is being captured */
static int graph_begin(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  handle *held = lua_newuserdatauv(L, sizeof *held, 0);
  held->graph = NULL;
  luaL_setmetatable(L, BIND_GRAPH);
  BIND_TRY(L, dn_graph_begin(device, &held->graph));
  return 1;
}

/* graph_end(graph, keeps) */
static int graph_end(lua_State *L) {
  const dn_status status = dn_graph_end(check_graph(L, 1), bind_check_boolean(L, 2));
  return status == DN_OK ? 0 : bind_raise(L, status);
}

/* graph_launch(graph) */
static int graph_launch(lua_State *L) {
  const dn_status status = dn_graph_launch(check_graph(L, 1));
  return status == DN_OK ? 0 : bind_raise(L, status);
}

/* graph_numbers(graph, number...): the first ones, for the launches that follow */
static int graph_numbers(lua_State *L) {
  dn_graph *graph = check_graph(L, 1);
  double values[DN_GRAPH_NUMBERS];
  const int n = lua_gettop(L) - 1;
  if (n > DN_GRAPH_NUMBERS)
    return luaL_error(L, "bad graph: it has %d numbers, got %d", DN_GRAPH_NUMBERS, n);
  for (int i = 0; i < n; i++) values[i] = luaL_checknumber(L, i + 2);
  const dn_status status = dn_graph_numbers(graph, 0, n, values);
  return status == DN_OK ? 0 : bind_raise(L, status);
}

/* graph_number(graph, n) -> its n-th number, from 1, as operations take it: a tensor of one double */
static int graph_number(lua_State *L) {
  const dn_graph *graph = check_graph(L, 1);
  const lua_Integer n = luaL_checkinteger(L, 2);
  if (n < 1 || n > DN_GRAPH_NUMBERS)
    return luaL_error(L, "bad step: it has more than %d numbers that change from step to step",
                      DN_GRAPH_NUMBERS);
  dn_tensor *number = bind_push_tensor(L);
  number->dtype = DN_DOUBLE;
  number->n_dim = 1;
  number->size[0] = number->stride[0] = 1;
  number->offset = n - 1;
  number->storage = dn_storage_retain(graph->numbers);
  return 1;
}

/* graph_fetch(graph, tensor of doubles) -> place, at which graph_read finds them */
static int graph_fetch(lua_State *L) {
  dn_graph *graph = check_graph(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  int place = 0;
  const dn_status status = dn_graph_fetch(graph, x, &place);
  if (status != DN_OK) return bind_raise(L, status);
  lua_pushinteger(L, place + 1);
  return 1;
}

/* graph_read(graph, place, n) -> n numbers */
static int graph_read(lua_State *L) {
  dn_graph *graph = check_graph(L, 1);
  const lua_Integer place = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  double values[DN_GRAPH_NUMBERS] = {0};
  luaL_argcheck(L, place >= 1 && place <= DN_GRAPH_PLACES, 2, "no place of results");
  luaL_argcheck(L, n >= 0 && n <= DN_GRAPH_NUMBERS, 3, "more numbers than results have");
  const dn_status status = dn_graph_read(graph, (int)place - 1, (int)n, values);
  if (status != DN_OK) return bind_raise(L, status);
  luaL_checkstack(L, (int)n, "results");
  for (int i = 0; i < n; i++) lua_pushnumber(L, values[i]);
  return (int)n;
}

/* graph_nodes(graph) -> pieces of work in it */
static int graph_nodes(lua_State *L) {
  lua_pushinteger(L, check_graph(L, 1)->n_nodes);
  return 1;
}

/* graph_free(graph), also __gc and __close */
static int graph_free(lua_State *L) {
  handle *held = luaL_checkudata(L, 1, BIND_GRAPH);
  dn_graph *graph = held->graph;
  held->graph = NULL;
  dn_graph_free(graph);
  return 0;
}

static int graph_to_string(lua_State *L) {
  const handle *held = luaL_checkudata(L, 1, BIND_GRAPH);
  if (held->graph)
    lua_pushfstring(L, "graph on %s: %I nodes", held->graph->device->name,
                    (LUAI_UACINT)held->graph->n_nodes);
  else
    lua_pushliteral(L, "graph (freed)");
  return 1;
}

void bind_register_graph(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"graph_possible", graph_possible},
      {"graph_begin", graph_begin},
      {"graph_end", graph_end},
      {"graph_launch", graph_launch},
      {"graph_numbers", graph_numbers},
      {"graph_number", graph_number},
      {"graph_fetch", graph_fetch},
      {"graph_read", graph_read},
      {"graph_nodes", graph_nodes},
      {"graph_free", graph_free},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"__gc", graph_free},
      {"__close", graph_free},
      {"__tostring", graph_to_string},
      {NULL, NULL},
  };
  luaL_newmetatable(L, BIND_GRAPH);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
