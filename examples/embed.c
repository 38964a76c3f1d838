/*
** densenet inside a C program: a Lua state of its own trains a network in process, and C reads a number.
**
**   cc examples/embed.c -o embed $(pkg-config --cflags --libs lua5.4)
**   eval $(make env); ./embed
*/
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static const char script[] =
    "local dn = require 'densenet'\n"
    "dn.manualSeed(2)\n"
    "local net = dn.nn.Sequential():add(dn.nn.Linear(2, 16)):add(dn.nn.ReLU()):add(dn.nn.Linear(16, 1))\n"
    "local criterion = dn.nn.MSECriterion()\n"
    "local sgd = dn.optim.SGD(net, { learningRate = 0.1 })\n"
    "local x = dn.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }\n"
    "local y = dn.tensor { { 0 }, { 1 }, { 1 }, { 0 } }\n"
    "function train(steps)\n"
    "  local loss\n"
    "  for _ = 1, steps do\n"
    "    net:zeroGradParameters()\n"
    "    loss = criterion:forward(net:forward(x), y)\n"
    "    net:backward(x, criterion:backward(net.output, y))\n"
    "    sgd:step()\n"
    "  end\n"
    "  return loss\n"
    "end\n";

static int fail(lua_State *L) {
  fprintf(stderr, "embed: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  if (luaL_dostring(L, script) != LUA_OK) return fail(L);
  lua_getglobal(L, "train");
  lua_pushinteger(L, 500);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return fail(L);
  printf("loss of exclusive-or after 500 steps: %.6f\n", lua_tonumber(L, -1));
  lua_close(L);
  return 0;
}
