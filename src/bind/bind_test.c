/*
** core.testing: what specs and measurements need and a program that trains does not.
*/
#include "bind_handle.h"
#include "bind_init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* alloc_refuse(n): the n-th allocation from now fails; 0 takes the order back */
static int alloc_refuse(lua_State *L) {
  const lua_Integer nth = luaL_checkinteger(L, 1);
  luaL_argcheck(L, nth >= 0, 1, "0 or more expected");
  dn_alloc_refuse(nth);
  return 0;
}

/* reference([on]) -> whether operations run their reference loops */
static int reference(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) dn_reference_set(bind_check_boolean(L, 1));
  lua_pushboolean(L, dn_reference());
  return 1;
}

/* memory_trim(device): free blocks that the device keeps for later go back to the system */
static int memory_trim(lua_State *L) {
  dn_memory_trim(bind_check_device(L, 1));
  return 0;
}

/*
** cuda_emulation(hook, n) -> true when an emulation computes in place of GPUs and knows the hook
** (spec/support/cuda_emulation/emulation.h)
*/
static int cuda_emulation(lua_State *L) {
  const char *hook = luaL_checkstring(L, 1), *answer;
  const lua_Integer value = luaL_optinteger(L, 2, 0);
  /* A plan's device is there without a GPU; the hooks are those of its GPU's backend. */
  dn_device *device;
  const dn_status status = dn_device_find("plan:cuda:0", &device);
  lua_pushboolean(L, status == DN_OK && dn_device_testing(device, hook, value, &answer));
  return 1;
}

/*
** cuda_counts() -> tables name -> number: launches of kernels, and calls of CUDA's libraries, on all
** emulated GPUs since it was last asked; nothing where GPUs are not emulated
*/
static int cuda_counts(lua_State *L) {
  dn_device *device;
  const char *line;
  if (dn_device_find("plan:cuda:0", &device) != DN_OK) return 0;
  lua_newtable(L);
  lua_newtable(L);
  for (int64_t i = 0; dn_device_testing(device, "counted", i, &line); i++) {
    const char *name = strchr(line, ' ') + 1, *number = strrchr(line, ' ');
    lua_pushlstring(L, name, (size_t)(number - name));
    lua_pushinteger(L, strtoll(number, NULL, 10));
    lua_rawset(L, line[0] == 'l' ? -4 : -3);
  }
  return dn_device_testing(device, "uncount", 0, &line) ? 2 : 0;
}

/*
** device_ask(device, hook, n) -> what the hook answers, "" for nothing | nil, why not. What a GPU can be asked is
** told in cuda/cuda_testing.h.
*/
static int device_ask(lua_State *L) {
  dn_device *device = bind_check_device(L, 1);
  const char *hook = luaL_checkstring(L, 2), *answer;
  if (dn_device_testing(device, hook, luaL_optinteger(L, 3, 0), &answer)) {
    lua_pushstring(L, answer ? answer : "");
    return 1;
  }
  lua_pushnil(L);
  if (answer)
    lua_pushstring(L, answer);
  else
    lua_pushfstring(L, "%s cannot be asked '%s'", device->name, hook);
  return 2;
}

enum { MOST_TILES = 8 };

/* tiles([name]) -> names of the tables of tiles, best first, and of the one in use */
static int tiles(lua_State *L) {
  dn_device *cpu = dn_device_cpu();
  const char *names[MOST_TILES + 1] = {NULL}, *in_use;
  int n = 0;
  while (n < MOST_TILES && dn_device_testing(cpu, "tiles name", n, &names[n])) n++;
  if (!lua_isnoneornil(L, 1))
    (void)dn_device_testing(cpu, "tiles", luaL_checkoption(L, 1, NULL, names), &in_use);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  (void)dn_device_testing(cpu, "tiles in use", 0, &in_use);
  lua_pushstring(L, in_use);
  return 2;
}

/* fork() -> the child's number, or 0 in the child */
static int fork_process(lua_State *L) {
  const pid_t child = fork();
  if (child < 0) return luaL_error(L, "cannot fork: %s", strerror(errno));
  lua_pushinteger(L, child);
  return 1;
}

/* fork_wait(child) -> its exit status, 128 and more for a signal */
static int fork_wait(lua_State *L) {
  int status = 0;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
    return luaL_error(L, "cannot wait: %s", strerror(errno));
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

void bind_register_testing(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"alloc_refuse", alloc_refuse},
      {"reference", reference},
      {"memory_trim", memory_trim},
      {"cuda_emulation", cuda_emulation},
      {"cuda_counts", cuda_counts},
      {"device_ask", device_ask},
      {"tiles", tiles},
      {"fork", fork_process},
      {"fork_wait", fork_wait},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  bind_register_signal_testing(L);
  lua_setfield(L, -2, "testing");
}
