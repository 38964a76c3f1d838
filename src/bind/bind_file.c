/*
** Files and directories for Lua. What the file system refuses comes back as nil, message, code; a
** wrong argument raises. Offsets and lengths are in bytes, the first byte of a file is byte 0.
**
**   file_open(path) -> file, open for reading until file_close(file), <close> or the collector
** Where these say file, a path will do, for one read: what reads a header and then what it tells of
** keeps the file open, because another one may take its name at any time.
**   file_size(file) -> n                       file_exists(path) -> boolean (directories too)
**   file_read(file [, offset [, length]]) -> string; to the end when length is left out
**   file_read_into(file, offset, tensor) -> true; contiguous, exactly as many bytes as it holds
**   file_gunzip(file [, limit]) -> byte vector; "format" when it unpacks to more than limit bytes
**   file_gunzip_start(file, n) -> string: the first n bytes it unpacks to, or all when there are fewer
**   file_write(path, header, {tensors}) -> true; replaces the file as dn_file.h says
**   file_target(path) -> path: what a link of one's own points to, for file_write to replace
**   file_remove(path) -> true                  file_rename(from, to) -> true
**   directory_make(path) -> true
**   directory_list(path) -> {names}, sorted by bytes
**   directory_real(path) -> path without symbolic links and dots
**   directory_lock(path) -> lock, a userdata with release(), also __gc and __close (dn_lock.h)
*/
#include <limits.h>
#include <string.h>

#include "../dn_directory.h"
#include "../dn_file.h"
#include "../dn_gzip.h"
#include "../dn_lock.h"
#include "bind_handle.h"
#include "bind_init.h"

/* 4 GiB: no data set's file, but some zip bomb's. */
#define GUNZIP_LIMIT (INT64_C(4) << 30)

#define DIRECTORY "densenet.directory"
#define LOCK "densenet.lock"
#define OPEN_FILE "densenet.file"

typedef struct open_file {
  dn_file file;
  bool is_open;
  bool is_for_one_read; /* made from a path */
} open_file;

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

static void close_open(open_file *file) {
  if (file->is_open) dn_file_close(&file->file);
  file->is_open = false;
}

static int file_close(lua_State *L) {
  close_open(luaL_checkudata(L, 1, OPEN_FILE));
  return 0;
}

/* [-> file] Opens the path at `arg`. */
static dn_status push_open(lua_State *L, int arg, open_file **file) {
  const char *path = bind_check_path(L, arg);
  *file = lua_newuserdatauv(L, sizeof **file, 1);
  (*file)->is_open = (*file)->is_for_one_read = false;
  if (luaL_newmetatable(L, OPEN_FILE)) {
    lua_pushcfunction(L, file_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, file_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_pushvalue(L, arg); /* the path, which messages show */
  lua_setiuservalue(L, -2, 1);
  const dn_status status = dn_file_open(path, &(*file)->file);
  (*file)->is_open = status == DN_OK;
  return status;
}

static int file_open(lua_State *L) {
  open_file *file;
  const dn_status status = push_open(L, 1, &file);
  return status == DN_OK ? 1 : fail(L, status);
}

/* The open file at `arg`; a path there is opened, and the file takes its place. */
static dn_status take_file(lua_State *L, int arg, open_file **file) {
  *file = luaL_testudata(L, arg, OPEN_FILE);
  if (*file) {
    luaL_argcheck(L, (*file)->is_open, arg, "the file has been closed");
    return DN_OK;
  }
  const dn_status status = push_open(L, arg, file);
  (*file)->is_for_one_read = true;
  lua_replace(L, arg);
  return status;
}

/* After a read. A failure in between leaves it to the collector. */
static void end_read(open_file *file) {
  if (file->is_for_one_read) close_open(file);
}

static int file_size(lua_State *L) {
  open_file *file;
  const dn_status status = take_file(L, 1, &file);
  if (status != DN_OK) return fail(L, status);
  lua_pushinteger(L, file->file.n_bytes);
  end_read(file);
  return 1;
}

static int file_exists(lua_State *L) {
  lua_pushboolean(L, dn_file_exists(bind_check_path(L, 1)));
  return 1;
}

static int file_read(lua_State *L) {
  int64_t offset = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, offset >= 0, 2, "an offset counts bytes from 0");
  const bool to_the_end = lua_isnoneornil(L, 3);
  int64_t n_bytes = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, n_bytes >= 0, 3, "a length counts bytes from 0");
  open_file *file;
  dn_status status = take_file(L, 1, &file);
  if (status != DN_OK) return fail(L, status);
  const int64_t whole = file->file.n_bytes;
  if (to_the_end) {
    if (offset > whole) offset = whole;
    n_bytes = whole - offset;
  }
  /* Before there is a buffer of that size: a lying length could ask for any amount. */
  status = dn_file_check_range(file->file.path, whole, offset, n_bytes);
  if (status == DN_OK) {
    luaL_Buffer content;
    char *into = luaL_buffinitsize(L, &content, (size_t)n_bytes);
    status = dn_file_read(&file->file, offset, n_bytes, into);
    luaL_pushresultsize(&content, status == DN_OK ? (size_t)n_bytes : 0);
  }
  end_read(file);
  return status == DN_OK ? 1 : fail(L, status);
}

static int file_read_into(lua_State *L) {
  const int64_t offset = luaL_checkinteger(L, 2);
  luaL_argcheck(L, offset >= 0, 2, "an offset counts bytes from 0");
  dn_tensor *tensor = bind_check_tensor(L, 3);
  open_file *file;
  dn_status status = take_file(L, 1, &file);
  if (status != DN_OK) return fail(L, status);
  status = dn_file_read_tensor(&file->file, offset, tensor);
  end_read(file);
  return done(L, status);
}

static int file_gunzip(lua_State *L) {
  const int64_t limit = luaL_optinteger(L, 2, GUNZIP_LIMIT);
  luaL_argcheck(L, limit >= 0, 2, "a limit counts bytes from 0");
  open_file *file;
  dn_status status = take_file(L, 1, &file);
  if (status != DN_OK) return fail(L, status);
  dn_tensor *content = bind_push_tensor(L);
  status = dn_gzip_read(&file->file, limit, content);
  if (status == DN_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = dn_gzip_read(&file->file, limit, content);
  }
  end_read(file);
  if (status != DN_OK) return fail(L, status);
  bind_note_allocation(L, content);
  return 1;
}

static int file_gunzip_start(lua_State *L) {
  const int64_t n_bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n_bytes >= 0 && n_bytes <= 1 << 16, 2, "a start has 0 to 65536 bytes");
  open_file *file;
  dn_status status = take_file(L, 1, &file);
  if (status != DN_OK) return fail(L, status);
  luaL_Buffer content;
  char *into = luaL_buffinitsize(L, &content, (size_t)n_bytes);
  int64_t n_filled = 0;
  status = dn_gzip_peek(&file->file, n_bytes, into, &n_filled);
  luaL_pushresultsize(&content, (size_t)n_filled);
  end_read(file);
  return status == DN_OK ? 1 : fail(L, status);
}

static int file_target(lua_State *L) {
  char target[PATH_MAX];
  const dn_status status = dn_file_target(bind_check_path(L, 1), target);
  if (status != DN_OK) return fail(L, status);
  lua_pushstring(L, target);
  return 1;
}

static int file_write(lua_State *L) {
  const char *path = bind_check_path(L, 1);
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

static int file_remove(lua_State *L) { return done(L, dn_file_remove(bind_check_path(L, 1))); }

static int file_rename(lua_State *L) {
  const char *from = bind_check_path(L, 1), *to = bind_check_path(L, 2);
  return done(L, dn_file_rename(from, to));
}

static int directory_make(lua_State *L) {
  return done(L, dn_directory_make(bind_check_path(L, 1)));
}

static int directory_free(lua_State *L) {
  dn_directory_free(luaL_checkudata(L, 1, DIRECTORY));
  return 0;
}

/* The entries belong to a userdata, because pushing their names may raise. */
static int directory_list(lua_State *L) {
  const char *path = bind_check_path(L, 1);
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

static int directory_real(lua_State *L) {
  char real[PATH_MAX];
  const dn_status status = dn_directory_real(bind_check_path(L, 1), real);
  if (status != DN_OK) return fail(L, status);
  lua_pushstring(L, real);
  return 1;
}

static int lock_release(lua_State *L) {
  dn_lock_release(luaL_checkudata(L, 1, LOCK));
  return 0;
}

static int directory_lock(lua_State *L) {
  const char *path = bind_check_path(L, 1);
  dn_lock *lock = lua_newuserdatauv(L, sizeof *lock, 0);
  lock->directory = lock->file = -1;
  luaL_setmetatable(L, LOCK);
  const dn_status status = dn_lock_take(path, lock);
  return status == DN_OK ? 1 : fail(L, status);
}

static void register_lock(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__gc", lock_release}, {"__close", lock_release}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"release", lock_release}, {NULL, NULL}};
  luaL_newmetatable(L, LOCK);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void bind_register_file(lua_State *L) {
  static const luaL_Reg functions[] = {{"file_open", file_open},
                                       {"file_close", file_close},
                                       {"file_size", file_size},
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
                                       {"directory_real", directory_real},
                                       {"directory_lock", directory_lock},
                                       {NULL, NULL}};
  register_lock(L);
  luaL_setfuncs(L, functions, 0);
}
