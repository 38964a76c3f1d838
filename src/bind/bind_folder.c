/*
** Folders of folders of images, for Lua. What the file system refuses comes back as nil, message,
** code; a wrong argument raises.
**
**   folder_scan(root [, classes_only = false]) -> { names=, offsets=, bounds=, classes=, folders=, times= }, tensors as
**     dn_folder.h has them
**   folder_times(path) -> two whole numbers, nanoseconds
**   text_at(texts, offset) -> string: from byte `offset` (from 0) of a byte vector up to the next
**     zero byte, and the offset behind that; raises where there is none
*/
#include <string.h>

#include "../dn_folder.h"
#include "bind_handle.h"
#include "bind_init.h"

static int fail(lua_State *L, dn_status status) {
  return status == DN_ENOMEM ? bind_raise(L, status) : bind_fail(L, status);
}

static int folder_scan(lua_State *L) {
  static const char *const fields[] = {"names", "offsets", "bounds", "classes", "folders", "times"};
  enum { N_FIELDS = sizeof fields / sizeof *fields };
  const char *root = bind_check_path(L, 1);
  const bool classes_only = lua_toboolean(L, 2);
  dn_tensor *tensors[N_FIELDS];
  lua_createtable(L, 0, N_FIELDS);
  for (int i = 0; i < N_FIELDS; i++) {
    tensors[i] = bind_push_tensor(L);
    lua_setfield(L, -2, fields[i]);
  }
  dn_folder folder;
  const dn_status status = dn_folder_scan(root, classes_only, &folder);
  if (status != DN_OK) return fail(L, status);
  const dn_tensor parts[N_FIELDS] = {folder.names,   folder.offsets, folder.bounds,
                                     folder.classes, folder.folders, folder.times};
  for (int i = 0; i < N_FIELDS; i++) *tensors[i] = parts[i];
  for (int i = 0; i < N_FIELDS; i++) bind_note_allocation(L, tensors[i]);
  return 1;
}

static int folder_times(lua_State *L) {
  int64_t times[2];
  const dn_status status = dn_folder_times(bind_check_path(L, 1), times);
  if (status != DN_OK) return fail(L, status);
  lua_pushinteger(L, times[0]);
  lua_pushinteger(L, times[1]);
  return 2;
}

static int text_at(lua_State *L) {
  const dn_tensor *texts = bind_check_tensor(L, 1);
  const lua_Integer offset = luaL_checkinteger(L, 2);
  luaL_argcheck(L,
                texts->dtype == DN_BYTE && texts->n_dim == 1 && dn_tensor_is_contiguous(texts) &&
                    texts->storage->device == dn_device_cpu(),
                1, "must be a contiguous byte vector on cpu");
  luaL_argcheck(L, offset >= 0 && offset < texts->size[0], 2, "lies outside the texts");
  const char *text = (const char *)dn_tensor_data(texts) + offset;
  const char *end = memchr(text, 0, (size_t)(texts->size[0] - offset));
  luaL_argcheck(L, end, 2, "begins a text without an end");
  lua_pushlstring(L, text, (size_t)(end - text));
  lua_pushinteger(L, offset + (end - text) + 1);
  return 2;
}

void bind_register_folder(lua_State *L) {
  static const luaL_Reg functions[] = {{"folder_scan", folder_scan},
                                       {"folder_times", folder_times},
                                       {"text_at", text_at},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
