/*
** What belongs to the process rather than to a tensor: devices, their memory figures, threads, the
** generator.
*/
#include "bind_handle.h"
#include "bind_init.h"

#include <stdlib.h>

/* device_find(name) -> true | nil, message, code */
static int device_find(lua_State *L) {
  dn_device *device;
  const dn_status status = dn_device_find(luaL_checkstring(L, 1), &device);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushboolean(L, true);
  return 1;
}

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* 1000 major + 10 minor as "major.minor" */
static void set_version(lua_State *L, const char *name, int version) {
  lua_pushfstring(L, "%d.%d", version / 1000, version % 1000 / 10);
  lua_setfield(L, -2, name);
}

/* t[name] = "9.19.0", t on top */
static void set_release(lua_State *L, const char *name, const int *release) {
  lua_pushfstring(L, "%d.%d.%d", release[0], release[1], release[2]);
  lua_setfield(L, -2, name);
}

/*
** memory(device) -> {live=, peak=, reserved=, state=, limit=} in bytes, {blocks=, allocations=} in
** numbers; state: of tensors that this Lua state has made; limit: 0 for none
*/
static int memory(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  const dn_memory figures = dn_memory_read(device);
  lua_createtable(L, 0, 7);
  set_integer(L, "limit", dn_alloc_limit_of(device));
  set_integer(L, "state", bind_memory_held(L, device));
  set_integer(L, "live", figures.live_bytes);
  set_integer(L, "reserved", figures.reserved_bytes);
  set_integer(L, "peak", figures.peak_bytes);
  set_integer(L, "blocks", figures.n_blocks);
  set_integer(L, "allocations", figures.n_allocated);
  return 1;
}

/* memory_limit(device, bytes): what live tensors and operations may take there; 0: no limit */
static int memory_limit(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  const lua_Integer n_bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n_bytes >= 0, 2, "0 or more expected");
  dn_alloc_limit(device, n_bytes);
  return 0;
}

/* memory_reset_peak(device) */
static int memory_reset_peak(lua_State *L) {
  dn_memory_reset_peak(bind_check_device(L, 1));
  return 0;
}

/* threads([n]) -> what the calling thread of the system may use, after setting it when given */
static int threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) {
    const lua_Integer n_threads = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n_threads >= 1 && n_threads <= 1024, 1, "1 to 1024 expected");
    dn_threads_set((int)n_threads);
  }
  lua_pushinteger(L, dn_threads());
  return 1;
}

static dn_device *optional_device(lua_State *L, int arg, const char *name) {
  if (!lua_isnoneornil(L, arg)) return bind_check_device(L, arg);
  dn_device *device = dn_device_cpu();
  (void)dn_device_find(name, &device); /* "cpu" and "plan" are always there */
  return device;
}

/* device_count(kind) -> how many devices of a plugin, "cuda", there are, none of them opened | nil, message, code */
static int device_count(lua_State *L) {
  int n = 0;
  const dn_status status = dn_device_count(luaL_checkstring(L, 1), &n);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushinteger(L, n);
  return 1;
}

/* scratch_release([device]): gives back the scratch memory of "cpu" (the calling thread's) or another */
static int scratch_release(lua_State *L) {
  dn_device *device = optional_device(L, 1, "cpu");
  dn_device_scratch_release(device);
  return 0;
}

/*
** scratch_planned([reset [, device]]) -> the most bytes of scratch that an operation of the calling
** thread on "plan", or another plan device, would have taken; `reset` starts the figure anew after
** reading it
*/
static int scratch_planned(lua_State *L) {
  const bool resets = bind_check_boolean(L, 1);
  dn_device *device = optional_device(L, 2, "plan");
  lua_pushinteger(L, dn_device_scratch_planned(device, resets));
  return 1;
}

/* synchronize(device): waits until it has done everything; raises what went wrong there */
static int synchronize(lua_State *L) {
  const dn_status status = dn_device_synchronize(bind_check_device(L, 1));
  return status == DN_OK ? 0 : bind_raise(L, status);
}

/*
** device_peak(device, dtype) -> multiplications and additions a second that it is measured to make at most, or
** nil where that is not known
*/
static int device_peak(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  const double rate = dn_device_peak(device, bind_check_dtype(L, 2));
  if (rate <= 0) return 0;
  lua_pushnumber(L, rate);
  return 1;
}

/*
** device_describe(device) -> {name=, memory=, free=, capability=, driver=, runtime=, cublas=, cudnn=}:
** bytes of memory, "9.0", "13.0", "9.19.0"; of a GPU also the counts of dn_device_info, convolutionPlans,
** convolutionsRefused and convolutionsDirect; what a device has none of is left out | nil, message, code
*/
static int device_describe(lua_State *L) {
  dn_device_info info;
  const dn_status status = dn_device_describe(bind_check_device(L, 1), &info);
  if (status != DN_OK) return bind_fail(L, status);
  lua_createtable(L, 0, 11);
  lua_pushstring(L, info.name);
  lua_setfield(L, -2, "name");
  if (info.total_bytes > 0) set_integer(L, "memory", info.total_bytes);
  if (info.free_bytes > 0) set_integer(L, "free", info.free_bytes);
  if (info.capability[0] > 0) {
    lua_pushfstring(L, "%d.%d", info.capability[0], info.capability[1]);
    lua_setfield(L, -2, "capability");
    set_version(L, "driver", info.driver);
    set_version(L, "runtime", info.runtime);
    set_release(L, "cublas", info.cublas);
    set_release(L, "cudnn", info.cudnn);
    set_integer(L, "convolutionPlans", info.n_plans);
    set_integer(L, "convolutionsRefused", info.n_refused);
    set_integer(L, "convolutionsDirect", info.n_direct);
  }
  return 1;
}

/* tf32(device, on): may products of float round their factors to 10 bits there? | nil, message, code */
static int tf32(lua_State *L) {
  const dn_status status = dn_device_tf32(bind_check_device(L, 1), lua_toboolean(L, 2));
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushboolean(L, true);
  return 1;
}

/* philox(seed, stream, position) -> four 32-bit words */
static int philox(lua_State *L) {
  const dn_philox_words words = dn_philox(bind_check_rng(L, 1), 0);
  for (int i = 0; i < 4; i++) lua_pushinteger(L, words.word[i]);
  return 4;
}

/* environment(name) -> the variable's text, or nil */
static int environment(lua_State *L) {
  lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
  return 1;
}

void bind_register_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"device_find", device_find},
      {"device_count", device_count},
      {"memory", memory},
      {"memory_limit", memory_limit},
      {"memory_reset_peak", memory_reset_peak},
      {"threads", threads},
      {"scratch_release", scratch_release},
      {"scratch_planned", scratch_planned},
      {"synchronize", synchronize},
      {"device_describe", device_describe},
      {"device_peak", device_peak},
      {"tf32", tf32},
      {"philox", philox},
      {"environment", environment},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
