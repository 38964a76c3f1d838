/*
** The collector sees a tensor as a userdata of some hundred bytes, whatever memory it holds, so it is
** told here of every allocation. What it must keep, whether it works by steps or by generations:
** dropped tensors that wait to be collected hold at most the larger of 64 MB and half of what is in
** use, on each device. A full collection runs when the bytes allocated since the last one, less those
** freed, pass that.
**
** A collector that the host has stopped stays stopped: dropped tensors then wait until the host
** collects, or until memory (or a limit on it) would not suffice, which always collects first.
** Tensors of a device without values take no memory and count for nothing.
*/
#ifndef BIND_MEMORY_H
#define BIND_MEMORY_H

#include <lua.h>

#include "../dn.h"

/* Opens the state's account: [core -> core] */
void bind_register_memory(lua_State *L);

/*
** `tensor` has a storage just allocated. May collect, finalizers included, so the tensor is reachable
** from Lua already.
*/
void bind_note_allocation(lua_State *L, const dn_tensor *tensor);

/* `tensor` has come from another Lua state: its memory may wait for this one's collector. Likewise. */
void bind_note_arrival(lua_State *L, const dn_tensor *tensor);

/* `tensor`, which may be freed already, is about to be freed. */
void bind_note_release(lua_State *L, const dn_tensor *tensor);

/* Bytes on `device` of tensors that this state has made. */
int64_t bind_memory_held(lua_State *L, const dn_device *device);

#endif
