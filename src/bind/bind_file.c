/*
** Files and directories for Lua. What the file system refuses comes back as nil, message, code; a
** wrong argument raises. Offsets and lengths are in bytes, the first byte of a file is byte 0.
**
**   file_size(path) -> n                       file_exists(path) -> boolean (directories too)
**   file_read(path [, offset [, length]]) -> string; to the end when length is left out
**   file_read_into(path, offset, tensor) -> true; contiguous, exactly as many bytes as it holds
**   file_gunzip(path [, limit]) -> byte vector; "format" when it unpacks to more than limit bytes
**   file_gunzip_start(path, n) -> string: the first n bytes it unpacks to, or all when there are fewer
**   file_write(path, header, {tensors}) -> true; replaces the file as dn_file.h says
**   file_target(path) -> path: what a link of one's own points to, for file_write to replace
**   file_remove(path) -> true                  file_rename(from, to) -> true
**   directory_make(path) -> true               directory_list(path) -> {names}, sorted by bytes
*/
#include <limits.h>
#include <string.h>

#include "../dn_directory.h"
#include "../dn_file.h"
#include "../dn_gzip.h"
#include "bind.h"

/* 4 GiB: no data set's file, but some zip bomb's. */
#define GUNZIP_LIMIT (INT64_C(4) << 30)

#define DIRECTORY "densenet.directory"

static const char *check_path(lua_State *L, int arg) {
  size_t length;
  const char *path = luaL_checklstring(L, arg, &length);
  luaL_argcheck(L, strlen(path) == length, arg, "a path cannot hold a zero byte");
  return path;
}

/* [-> ...]: a failure of the outside world is returned, any other raised. */
static int fail(lua_State *L, dn_status status) {
  return status == DN_EIO || status == DN_EFORMAT ? bind_fail(L, status) : bind_raise(L, status);
}

/* [-> true], or what fail leaves. */
static int done(lua_State *L, dn_status status) {
  if (status != DN_OK) return fail(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int file_size(lua_State *L) {
  int64_t n_bytes;
  const dn_status status = dn_file_size(check_path(L, 1), &n_bytes);
  if (status != DN_OK) return fail(L, status);
  lua_pushinteger(L, n_bytes);
  return 1;
}

static int file_exists(lua_State *L) {
  lua_pushboolean(L, dn_file_exists(check_path(L, 1)));
  return 1;
}

static dn_status read_part(const char *path, int64_t offset, int64_t n_bytes, void *into) {
  dn_file file;
  DN_TRY(dn_file_open(path, &file));
  const dn_status status = dn_file_read(&file, offset, n_bytes, into);
  dn_file_close(&file);
  return status;
}

static int file_read(lua_State *L) {
  const char *path = check_path(L, 1);
  int64_t offset = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, offset >= 0, 2, "an offset counts bytes from 0");
  const bool to_the_end = lua_isnoneornil(L, 3);
  int64_t n_bytes = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, n_bytes >= 0, 3, "a length counts bytes from 0");
  int64_t whole;
  dn_status status = dn_file_size(path, &whole);
  if (status != DN_OK) return fail(L, status);
  if (to_the_end) {
    if (offset > whole) offset = whole;
    n_bytes = whole - offset;
  }
  /* Before there is a buffer of that size: a lying length could ask for any amount. */
  status = dn_file_check_range(path, whole, offset, n_bytes);
  if (status != DN_OK) return fail(L, status);
  luaL_Buffer content;
  char *into = luaL_buffinitsize(L, &content, (size_t)n_bytes);
  status = read_part(path, offset, n_bytes, into);
  if (status != DN_OK) return fail(L, status);
  luaL_pushresultsize(&content, (size_t)n_bytes);
  return 1;
}

static int file_read_into(lua_State *L) {
  const char *path = check_path(L, 1);
  const int64_t offset = luaL_checkinteger(L, 2);
  luaL_argcheck(L, offset >= 0, 2, "an offset counts bytes from 0");
  dn_tensor *tensor = bind_check_tensor(L, 3);
  return done(L, dn_file_read_tensor(path, offset, tensor));
}

static int file_gunzip(lua_State *L) {
  const char *path = check_path(L, 1);
  const int64_t limit = luaL_optinteger(L, 2, GUNZIP_LIMIT);
  luaL_argcheck(L, limit >= 0, 2, "a limit counts bytes from 0");
  dn_tensor *content = bind_push_tensor(L);
  dn_status status = dn_gzip_read(path, limit, content);
  if (status == DN_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = dn_gzip_read(path, limit, content);
  }
  if (status != DN_OK) return fail(L, status);
  bind_note_allocation(L, content->storage->n_bytes);
  return 1;
}

static int file_gunzip_start(lua_State *L) {
  const char *path = check_path(L, 1);
  const int64_t n_bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n_bytes >= 0 && n_bytes <= 1 << 16, 2, "a start has 0 to 65536 bytes");
  luaL_Buffer content;
  char *into = luaL_buffinitsize(L, &content, (size_t)n_bytes);
  int64_t n_filled;
  const dn_status status = dn_gzip_peek(path, n_bytes, into, &n_filled);
  if (status != DN_OK) return fail(L, status);
  luaL_pushresultsize(&content, (size_t)n_filled);
  return 1;
}

static int file_target(lua_State *L) {
  char target[PATH_MAX];
  const dn_status status = dn_file_target(check_path(L, 1), target);
  if (status != DN_OK) return fail(L, status);
  lua_pushstring(L, target);
  return 1;
}

static int file_write(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t n_header_bytes;
  const char *header = luaL_checklstring(L, 2, &n_header_bytes);
  luaL_checktype(L, 3, LUA_TTABLE);
  const int n_tensors = (int)lua_rawlen(L, 3);
  const dn_tensor **tensors = lua_newuserdatauv(L, (size_t)n_tensors * sizeof *tensors, 0);
  for (int i = 0; i < n_tensors; i++) {
    lua_rawgeti(L, 3, i + 1);
    tensors[i] = bind_test_tensor(L, -1);
    if (!tensors[i])
      return luaL_argerror(
          L, 3, lua_pushfstring(L, "tensor expected at %d, got %s", i + 1, luaL_typename(L, -1)));
    lua_pop(L, 1); /* the table keeps it */
  }
  return done(L, dn_file_write(path, header, (int64_t)n_header_bytes, n_tensors, tensors));
}

static int file_remove(lua_State *L) { return done(L, dn_file_remove(check_path(L, 1))); }

static int file_rename(lua_State *L) {
  const char *from = check_path(L, 1), *to = check_path(L, 2);
  return done(L, dn_file_rename(from, to));
}

static int directory_make(lua_State *L) { return done(L, dn_directory_make(check_path(L, 1))); }

static int directory_free(lua_State *L) {
  dn_directory_free(luaL_checkudata(L, 1, DIRECTORY));
  return 0;
}

/* The entries belong to a userdata, because pushing their names may raise. */
static int directory_list(lua_State *L) {
  const char *path = check_path(L, 1);
  dn_directory *directory = lua_newuserdatauv(L, sizeof *directory, 0);
  memset(directory, 0, sizeof *directory);
  if (luaL_newmetatable(L, DIRECTORY)) {
    lua_pushcfunction(L, directory_free);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  const dn_status status = dn_directory_list(path, directory);
  if (status != DN_OK) return fail(L, status);
  lua_createtable(L, directory->n_entries, 0);
  for (int i = 0; i < directory->n_entries; i++) {
    lua_pushstring(L, dn_directory_name(directory, i));
    lua_rawseti(L, -2, i + 1);
  }
  dn_directory_free(directory);
  return 1;
}

void bind_register_file(lua_State *L) {
  static const luaL_Reg functions[] = {{"file_size", file_size},
                                       {"file_exists", file_exists},
                                       {"file_read", file_read},
                                       {"file_read_into", file_read_into},
                                       {"file_gunzip", file_gunzip},
                                       {"file_gunzip_start", file_gunzip_start},
                                       {"file_target", file_target},
                                       {"file_write", file_write},
                                       {"file_remove", file_remove},
                                       {"file_rename", file_rename},
                                       {"directory_make", directory_make},
                                       {"directory_list", directory_list},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
