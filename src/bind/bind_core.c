/*
** The module densenet.core: opens the tables of the other files and holds what belongs to the
** process rather than to a tensor: memory figures, threads, devices, the generator, test hooks.
*/
#include "bind.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../dn_cuda.h"
#include "../cpu/cpu_tiles.h"

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

bool bind_check_boolean(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return false;
  luaL_checktype(L, arg, LUA_TBOOLEAN);
  return lua_toboolean(L, arg);
}

dn_rng bind_check_rng(lua_State *L, int arg) {
  const dn_rng rng = {.seed = (uint64_t)luaL_checkinteger(L, arg),
                      .stream = (uint64_t)luaL_checkinteger(L, arg + 1),
                      .position = (uint64_t)luaL_checkinteger(L, arg + 2)};
  return rng;
}

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
** memory(device) -> {live=, peak=, reserved=, state=, limit=} in bytes, {blocks=, allocations=} in numbers;
** state: of tensors that
** this Lua state has made; limit: 0 for none
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

/* memory_reset_peak(device) */
static int memory_reset_peak(lua_State *L) {
  dn_memory_reset_peak(bind_check_device(L, 1));
  return 0;
}

/* alloc_refuse(n): the n-th allocation from now fails; 0 takes the order back */
static int alloc_refuse(lua_State *L) {
  const lua_Integer nth = luaL_checkinteger(L, 1);
  luaL_argcheck(L, nth >= 0, 1, "0 or more expected");
  dn_alloc_refuse(nth);
  return 0;
}

/* alloc_limit(device, bytes): 0 means none */
static int alloc_limit(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  const lua_Integer n_bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n_bytes >= 0, 2, "0 or more expected");
  dn_alloc_limit(device, n_bytes);
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

/* reference([on]) -> whether operations run their reference loops */
static int reference(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) dn_reference_set(bind_check_boolean(L, 1));
  lua_pushboolean(L, dn_reference());
  return 1;
}

static dn_device *optional_device(lua_State *L, int arg, const char *name) {
  if (!lua_isnoneornil(L, arg)) return bind_check_device(L, arg);
  dn_device *device = dn_device_cpu();
  (void)dn_device_find(name, &device); /* "cpu" and "plan" are always there */
  return device;
}

/* scratch_release([device]): gives back the scratch memory of "cpu" (the calling thread's) or another */
static int scratch_release(lua_State *L) {
  dn_device *device = optional_device(L, 1, "cpu");
  device->backend->scratch_release(device);
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
  lua_pushinteger(L, device->backend->scratch_planned(device, resets));
  return 1;
}

/* memory_trim(device): free blocks that the device keeps for later go back to the system */
static int memory_trim(lua_State *L) {
  dn_memory_trim(bind_check_device(L, 1));
  return 0;
}

/* synchronize(device): waits until it has done everything; raises what went wrong there */
static int synchronize(lua_State *L) {
  const dn_status status = dn_device_synchronize(bind_check_device(L, 1));
  return status == DN_OK ? 0 : bind_raise(L, status);
}

/*
** device_describe(device) -> {name=, memory=, free=, capability=, driver=, runtime=, cublas=, cudnn=}:
** bytes of memory, "9.0", "13.0", "9.19.0"; what a device has none of is left out | nil, message, code
*/
static int device_describe(lua_State *L) {
  dn_device_info info;
  const dn_status status = dn_device_describe(bind_check_device(L, 1), &info);
  if (status != DN_OK) return bind_fail(L, status);
  lua_createtable(L, 0, 8);
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
  }
  return 1;
}

/* cuda_emulation(hook, n) -> true when an emulation computes in place of GPUs and knows the hook */
static int cuda_emulation(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const lua_Integer value = luaL_optinteger(L, 2, 0);
  const dn_cuda_module *module;
  dn_device *plan;
  dn_status status = dn_device_find("plan:cuda:0", &plan);
  if (status == DN_OK) status = dn_cuda_load(&module);
  lua_pushboolean(L,
                  status == DN_OK && module->emulation_hook && module->emulation_hook(name, value));
  return 1;
}

/* tf32(device, on): may products of float round their factors to 10 bits there? | nil, message, code */
static int tf32(lua_State *L) {
  const dn_status status = dn_device_tf32(bind_check_device(L, 1), lua_toboolean(L, 2));
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushboolean(L, true);
  return 1;
}

/* cuda_devices() -> the number of GPUs | nil, message, code */
static int cuda_devices(lua_State *L) {
  const dn_cuda_module *module;
  dn_device *plan;
  int count = 0;
  dn_status status = dn_device_find("plan:cuda:0", &plan);
  if (status == DN_OK) status = dn_cuda_load(&module);
  if (status == DN_OK) status = module->device_count(&count);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushinteger(L, count);
  return 1;
}

/* tiles([name]) -> names of the tables of tiles, best first, and of the one in use; a test hook */
static int tiles(lua_State *L) {
  const cpu_tiles *tables[3];
  const int n_tables = cpu_tiles_all(tables);
  if (!lua_isnoneornil(L, 1)) {
    const char *names[4] = {NULL};
    for (int i = 0; i < n_tables; i++) names[i] = tables[i]->name;
    cpu_tiles_select(tables[luaL_checkoption(L, 1, NULL, names)]);
  }
  lua_createtable(L, n_tables, 0);
  for (int i = 0; i < n_tables; i++) {
    lua_pushstring(L, tables[i]->name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushstring(L, cpu_tiles_best()->name);
  return 2;
}

/* philox(seed, stream, position) -> four 32-bit words */
static int philox(lua_State *L) {
  const dn_philox_words words = dn_philox(bind_check_rng(L, 1), 0);
  for (int i = 0; i < 4; i++) lua_pushinteger(L, words.word[i]);
  return 4;
}

/* operations() -> the names of dn_ops.def, in its order */
static int operations(lua_State *L) {
  lua_createtable(L, DN_OP_COUNT, 0);
  for (int op = 0; op < DN_OP_COUNT; op++) {
    lua_pushstring(L, dn_op_name((dn_op)op));
    lua_rawseti(L, -2, op + 1);
  }
  return 1;
}

/* environment(name) -> the variable's text, or nil */
static int environment(lua_State *L) {
  lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
  return 1;
}

/* fork() -> the child's number, or 0 in the child: a test hook */
static int fork_process(lua_State *L) {
  const pid_t child = fork();
  if (child < 0) return luaL_error(L, "cannot fork: %s", strerror(errno));
  lua_pushinteger(L, child);
  return 1;
}

/* fork_wait(child) -> its exit status, 128 and more for a signal: a test hook */
static int fork_wait(lua_State *L) {
  int status = 0;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
    return luaL_error(L, "cannot wait: %s", strerror(errno));
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

int luaopen_densenet_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"device_find", device_find},
      {"memory", memory},
      {"memory_reset_peak", memory_reset_peak},
      {"alloc_refuse", alloc_refuse},
      {"alloc_limit", alloc_limit},
      {"threads", threads},
      {"reference", reference},
      {"scratch_release", scratch_release},
      {"scratch_planned", scratch_planned},
      {"memory_trim", memory_trim},
      {"synchronize", synchronize},
      {"device_describe", device_describe},
      {"tf32", tf32},
      {"cuda_devices", cuda_devices},
      {"cuda_emulation", cuda_emulation},
      {"tiles", tiles},
      {"philox", philox},
      {"operations", operations},
      {"environment", environment},
      {"fork", fork_process},
      {"fork_wait", fork_wait},
      {NULL, NULL},
  };
  luaL_checkversion(L);
  dn_device_survive_forks();
  luaL_newlib(L, functions);
  lua_pushliteral(L, DN_VERSION);
  lua_setfield(L, -2, "version");
  /* Lua's own library of that name, for hosts that do not open it. */
  lua_pushcfunction(L, luaopen_utf8);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "utf8");
  bind_register_error(L);
  bind_register_memory(L);
  bind_register_tensor(L);
  bind_register_mask(L);
  bind_register_ops(L);
  bind_register_file(L);
  bind_register_image(L);
  bind_register_worker(L);
  bind_register_signal(L);
  bind_register_clock(L);
  return 1;
}
