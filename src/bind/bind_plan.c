/*
** What a thread does on plan devices, for densenet.nn.plan: recorders and overrides of dn_plan.h as
** userdata. Both are to be closed (`local record <close> = core.plan_record()`), so that they end
** however their block is left, and both end when they are collected.
*/
#include "bind_base.h"
#include "bind_init.h"

#include <string.h>

#define RECORDER "densenet.recorder"
#define OVERRIDE "densenet.override"

/* plan_record() -> recorder of the calling thread, which records from here on */
static int plan_record(lua_State *L) {
  dn_recorder *recorder = lua_newuserdatauv(L, sizeof *recorder, 0);
  memset(recorder, 0, sizeof *recorder);
  luaL_setmetatable(L, RECORDER);
  dn_recorder_begin(recorder);
  return 1;
}

static dn_recorder *check_recorder(lua_State *L) { return luaL_checkudata(L, 1, RECORDER); }

/* r:time() -> operations and ticks until now */
static int recorder_time(lua_State *L) {
  lua_pushinteger(L, check_recorder(L)->time);
  return 1;
}

/* r:tick() -> the time, one later than it was: for what the caller notes itself */
static int recorder_tick(lua_State *L) {
  lua_pushinteger(L, dn_recorder_tick(check_recorder(L)));
  return 1;
}

/* r:stop(): records no more; events stay until it is closed */
static int recorder_stop(lua_State *L) {
  dn_recorder_end(check_recorder(L));
  return 0;
}

static int recorder_close(lua_State *L) {
  dn_recorder_clear(check_recorder(L));
  return 0;
}

/* next(r, i) -> i + 1, time, storage, use, operation | nil */
static int next_event(lua_State *L) {
  static const char *const uses[] = {
      [DN_PLAN_WRITTEN] = "written", [DN_PLAN_ADDED] = "added", [DN_PLAN_READ] = "read"};
  const dn_recorder *recorder = check_recorder(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || i >= recorder->n_events) return 0;
  const dn_plan_event *event = &recorder->events[i];
  lua_pushinteger(L, i + 1);
  lua_pushinteger(L, event->time);
  lua_pushinteger(L, event->storage);
  lua_pushstring(L, uses[event->use]);
  lua_pushstring(L, dn_op_name(event->operation));
  return 5;
}

/*
** for i, time, storage, use, operation in r:events(): every tensor of every operation, in the order of
** the calls and of their arguments. storage: as core.storage_key tells it; use: "written", "added" or
** "read", as dn_roles.h has it; operation: its name
*/
static int recorder_events(lua_State *L) {
  check_recorder(L);
  lua_pushcfunction(L, next_event);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/*
** device_override(device) -> override: tensors that the calling thread would make on devices with
** values are made on `device`, a plan device, until it is closed; of several, the latest holds
*/
static int device_override(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  if (device->has_values)
    luaL_argerror(L, 1, lua_pushfstring(L, "a plan device expected, got '%s'", device->name));
  dn_override *override = lua_newuserdatauv(L, sizeof *override, 0);
  memset(override, 0, sizeof *override);
  luaL_setmetatable(L, OVERRIDE);
  dn_override_begin(override, device);
  return 1;
}

static int override_close(lua_State *L) {
  dn_override_end(luaL_checkudata(L, 1, OVERRIDE));
  return 0;
}

/* [->] A class whose objects are closed by `close`, with `methods` or without. */
static void new_class(lua_State *L, const char *name, lua_CFunction close,
                      const luaL_Reg *methods) {
  luaL_newmetatable(L, name); /* metatable */
  lua_pushcfunction(L, close);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__gc");
  lua_setfield(L, -2, "__close");
  lua_newtable(L); /* metatable, methods */
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void bind_register_plan(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"plan_record", plan_record}, {"device_override", device_override}, {NULL, NULL}};
  static const luaL_Reg recorder_methods[] = {{"time", recorder_time},
                                              {"tick", recorder_tick},
                                              {"stop", recorder_stop},
                                              {"events", recorder_events},
                                              {NULL, NULL}};
  static const luaL_Reg no_methods[] = {{NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  new_class(L, RECORDER, recorder_close, recorder_methods);
  new_class(L, OVERRIDE, override_close, no_methods);
}
