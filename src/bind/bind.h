/*
** What the binding's files share: the way a Lua argument becomes a C value, the way a status
** becomes a Lua error, and the tensor userdata.
**
** A Lua error is a longjmp, so at every call that may raise, whatever C owns has to belong to a
** userdata already. The order is: read all arguments; push the userdata, empty and with its
** metatable; then let C fill it. Nothing here is kept in C variables between calls: several Lua
** states may run in several threads of the system.
** Stack effects stand as [popped..., -> pushed...], as in Lua's own manual, where there are any.
*/
#ifndef BIND_H
#define BIND_H

#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "../dn.h"
#include "bind_error.h"
#include "bind_memory.h"

/* ---- The module's parts; each adds its functions to the table on top: [core -> core] ---- */

void bind_register_tensor(lua_State *L);
void bind_register_mask(lua_State *L);
void bind_register_ops(lua_State *L);
void bind_register_file(lua_State *L);
void bind_register_image(lua_State *L);
void bind_register_worker(lua_State *L);
void bind_register_signal(lua_State *L);
void bind_register_clock(lua_State *L);

/* [-> core] Opens the module; a worker thread opens it in its own state. */
__attribute__((visibility("default"))) int luaopen_densenet_core(lua_State *L);

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

/* ---- Tensors ---- */

#define BIND_TENSOR "densenet.tensor" /* the metatable's name in the registry */

/* The tensor at `arg`; raises for anything else, and for a freed one. */
dn_tensor *bind_check_tensor(lua_State *L, int arg);

/* The same, NULL for nil or nothing. */
dn_tensor *bind_optional_tensor(lua_State *L, int arg);

/* The tensor at stack index `index`, freed or not; NULL for any other value. Raises nothing. */
dn_tensor *bind_test_tensor(lua_State *L, int index);

/*
** [-> tensor] An empty tensor (storage NULL: freed) with its metatable, for a dn_tensor_* call to
** fill. Raises only Lua's own out of memory.
*/
dn_tensor *bind_push_tensor(lua_State *L);

/*
** [-> tensor] A new row-major tensor, content undefined, of which the collector has been told.
** Raises misuse and out of memory.
*/
dn_tensor *bind_push_new_tensor(lua_State *L, dn_device *device, dn_dtype dtype, int n_dim,
                                const int64_t *size);

/* ---- Other arguments; each raises and names the argument ---- */

/* "cpu"; raises also when the device is known but not there. */
dn_device *bind_check_device(lua_State *L, int arg);

/* "float", "double", "half", "bfloat16", "long", "byte". */
dn_dtype bind_check_dtype(lua_State *L, int arg);

/* A dimension: 1..DN_MAX_DIM in Lua, from 0 in C. Whether the tensor has it is for C to say. */
int bind_check_dim(lua_State *L, int arg);

/* true or false; nil or nothing is false. Other values are refused, "no" and 0 included. */
bool bind_check_boolean(lua_State *L, int arg);

/* seed, stream, position at arg, arg + 1, arg + 2. */
dn_rng bind_check_rng(lua_State *L, int arg);

/*
** Sizes, either a table of integers at `arg` or all arguments from `arg` on. Writes size[0..n),
** DN_MAX_DIM at most, and returns n. The values themselves are for C to judge.
*/
int bind_check_sizes(lua_State *L, int arg, int64_t *size);

#endif
