#include "bind_memory.h"

#include <limits.h>
#include <string.h>

#include "bind_base.h"
#include "bind_init.h"

#include "../dn_account.h"

enum { MOST_DEVICES = 40 };

static const int64_t ALWAYS_MAY_WAIT = (int64_t)64 << 20;

/* What may wait for the collector on a device: allocated since the last collection, less freed. */
typedef struct waiting {
  const dn_device *device;
  int64_t n_bytes;
} waiting;

/* A userdata of the registry, under the address of the key. Without an account nothing is counted. */
typedef struct state_memory {
  dn_account *account; /* NULL where there was no room for it, and after the state has closed it */
  bool is_closed;
  int n_waiting;
  waiting waiting[MOST_DEVICES];
} state_memory;

static const char memory_key;

static state_memory *memory_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &memory_key);
  state_memory *memory = lua_touserdata(L, -1); /* the registry keeps it */
  lua_pop(L, 1);
  if (!memory || memory->is_closed) return NULL;
  if (!memory->account && dn_account_new(&memory->account) != DN_OK) return NULL;
  return memory;
}

static int close_memory(lua_State *L) {
  state_memory *memory = lua_touserdata(L, 1);
  dn_account_release(memory->account);
  memory->account = NULL;
  memory->is_closed = true;
  return 0;
}

void bind_register_memory(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &memory_key) != LUA_TNIL) {
    lua_pop(L, 1); /* the module is opened once more */
    return;
  }
  lua_pop(L, 1);
  state_memory *memory = lua_newuserdatauv(L, sizeof *memory, 0);
  memset(memory, 0, sizeof *memory);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_memory);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &memory_key);
  (void)memory_of(L); /* makes the account now, where there is room */
}

static waiting *waiting_on(state_memory *memory, const dn_device *device) {
  for (int i = 0; i < memory->n_waiting; i++)
    if (memory->waiting[i].device == device) return &memory->waiting[i];
  if (memory->n_waiting == MOST_DEVICES) return NULL;
  waiting *added = &memory->waiting[memory->n_waiting++];
  *added = (waiting){.device = device};
  return added;
}

static bool is_too_much(const state_memory *memory, const waiting *on) {
  const int64_t in_use = dn_account_bytes(memory->account, on->device) - on->n_bytes;
  return on->n_bytes > ALWAYS_MAY_WAIT && on->n_bytes > in_use / 2;
}

/* A step of the collector as large as if Lua had allocated the bytes itself. */
static void step(lua_State *L, int64_t n_bytes) {
  /* Never 0, which would mean a whole basic step; far below INT_MAX, because it becomes a debt. */
  const int64_t n_kilobytes = n_bytes / 1024 + 1;
  const int most = INT_MAX / 1024;
  lua_gc(L, LUA_GCSTEP, n_kilobytes < most ? (int)n_kilobytes : most);
}

static void note(lua_State *L, state_memory *memory, const dn_storage *storage) {
  waiting *on = waiting_on(memory, storage->device);
  if (!on) return;
  on->n_bytes += storage->n_bytes;
  /* Also false inside a finalizer, where the collector may not be called. */
  if (lua_gc(L, LUA_GCISRUNNING) != 1) return;
  if (!is_too_much(memory, on)) {
    step(L, storage->n_bytes);
    return;
  }
  lua_gc(L, LUA_GCCOLLECT);
  for (int i = 0; i < memory->n_waiting; i++) memory->waiting[i].n_bytes = 0;
}

void bind_note_allocation(lua_State *L, const dn_tensor *tensor) {
  state_memory *memory = memory_of(L);
  dn_storage *storage = tensor->storage;
  if (!memory || !storage->device->has_values) return;
  dn_account_enter(memory->account, storage);
  note(L, memory, storage);
}

void bind_note_arrival(lua_State *L, const dn_tensor *tensor) {
  state_memory *memory = memory_of(L);
  if (memory && tensor->storage->device->has_values) note(L, memory, tensor->storage);
}

void bind_note_release(lua_State *L, const dn_tensor *tensor) {
  const dn_storage *storage = tensor->storage;
  if (!storage || !dn_storage_is_last(storage)) return;
  state_memory *memory = memory_of(L);
  waiting *on = memory ? waiting_on(memory, storage->device) : NULL;
  if (!on) return;
  on->n_bytes = on->n_bytes > storage->n_bytes ? on->n_bytes - storage->n_bytes : 0;
}

int64_t bind_memory_held(lua_State *L, const dn_device *device) {
  const state_memory *memory = memory_of(L);
  return memory ? dn_account_bytes(memory->account, device) : 0;
}
