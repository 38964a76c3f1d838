/*
** Seconds for measuring: Lua's os.clock adds up the processor time of all threads and os.time
** counts whole seconds, so neither says how long a batch took.
*/
#include <time.h>

#include "bind_handle.h"
#include "bind_init.h"

/* core.clock() -> seconds since some fixed moment; never goes back. */
static int clock_read(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + 1e-9 * (lua_Number)now.tv_nsec);
  return 1;
}

void bind_register_clock(lua_State *L) {
  lua_pushcfunction(L, clock_read);
  lua_setfield(L, -2, "clock");
}
