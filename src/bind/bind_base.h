/*
** What every part of the binding stands on: failures as Lua errors, and arguments that are no tensors.
**
** A Lua error is a longjmp, so at every call that may raise, whatever C owns has to belong to a
** userdata already. The order is: read all arguments; push the userdata, empty and with its
** metatable; then let C fill it. Nothing here is kept in C variables between calls: several Lua
** states may run in several threads of the system.
** Stack effects stand as [popped..., -> pushed...], as in Lua's own manual, where there are any.
*/
#ifndef BIND_BASE_H
#define BIND_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "../dn.h"
#include "bind_error.h"
#include "bind_memory.h"

/* ---- Failures ---- */

/*
** Raises the failure that this thread's last dn_* call left: "bad argument #3 to 'name' (...)" when
** it named an argument, its sentence otherwise. Never returns; an int so that `return
** bind_raise(...)` reads as one step.
*/
int bind_raise(lua_State *L, dn_status status);

/* [-> nil, message, code]: a failure of the outside world, returned. Returns 3. */
int bind_fail(lua_State *L, dn_status status);

/*
** Runs `call`, a dn_* call that may be repeated after DN_ENOMEM. Without room the collector runs
** fully, because dropped tensors hold memory until then, and the call runs once more; a failure
** that is left is raised.
*/
#define BIND_TRY(L, call)                                         \
  do {                                                            \
    dn_status status_of_call = (call);                            \
    if (status_of_call == DN_ENOMEM) {                            \
      lua_gc((L), LUA_GCCOLLECT);                                 \
      status_of_call = (call);                                    \
    }                                                             \
    if (status_of_call != DN_OK) bind_raise((L), status_of_call); \
  } while (0)

/* ---- Arguments; each raises and names the argument ---- */

/* "cpu"; raises also when the device is known but not there. */
dn_device *bind_check_device(lua_State *L, int arg);

/*
** The device on which a tensor asked for on the one at `arg` is made: that one, or where an override
** is active (dn_plan.h) and that one has values, the override's.
*/
dn_device *bind_check_place(lua_State *L, int arg);

/* "float", "double", "half", "bfloat16", "long", "byte". */
dn_dtype bind_check_dtype(lua_State *L, int arg);

/* A dimension: 1..DN_MAX_DIM in Lua, from 0 in C. Whether the tensor has it is for C to say. */
int bind_check_dim(lua_State *L, int arg);

/* true or false; nil or nothing is false. Other values are refused, "no" and 0 included. */
bool bind_check_boolean(lua_State *L, int arg);

/* The path of a file or directory: a string without a zero byte. */
const char *bind_check_path(lua_State *L, int arg);

/* seed, stream, position at arg, arg + 1, arg + 2. */
dn_rng bind_check_rng(lua_State *L, int arg);

/*
** Sizes, either a table of integers at `arg` or all arguments from `arg` on. Writes size[0..n),
** DN_MAX_DIM at most, and returns n. The values themselves are for C to judge.
*/
int bind_check_sizes(lua_State *L, int arg, int64_t *size);

#endif
