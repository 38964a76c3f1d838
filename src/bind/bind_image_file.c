/*
** Images in files, for Lua. What a file or the file system refuses comes back as nil, message, code;
** a wrong argument raises.
**
**   image_read(path [, n_channels = 3]) -> byte tensor n_channels,H,W; 0 channels stand for as
**     many as the picture has, of grey one
**   image_decode(content, name [, n_channels = 3]) -> the same of a file's content, a string;
**     messages call it `name`
**   image_format(start) -> "JPEG", "PNG", "BMP" or "PPM", which is what content is that begins so, or nil
**   image_write(path, image, "PNG" | "PPM") -> true; a byte tensor C,H,W of 1 or 3 channels
*/

#include "../dn_image_read.h"
#include "../dn_image_write.h"
#include "bind_handle.h"
#include "bind_init.h"

static int check_channels(lua_State *L, int arg) {
  const lua_Integer n_channels = luaL_optinteger(L, arg, 3);
  luaL_argcheck(L, n_channels == 0 || n_channels == 1 || n_channels == 3, arg,
                "an image is read in 1 or 3 channels, or in its own, 0");
  return (int)n_channels;
}

/* [-> ...]: misuse and missing memory are raised, anything else is returned. */
static int fail(lua_State *L, dn_status status) {
  return status == DN_EARG || status == DN_ENOMEM ? bind_raise(L, status) : bind_fail(L, status);
}

/* [-> tensor], or what fail leaves */
static int finish(lua_State *L, dn_status status, dn_tensor *image) {
  if (status != DN_OK) return fail(L, status);
  bind_note_allocation(L, image);
  return 1;
}

static int image_read(lua_State *L) {
  const char *path = bind_check_path(L, 1);
  const int n_channels = check_channels(L, 2);
  dn_tensor *image = bind_push_tensor(L);
  dn_status status = dn_image_read(path, n_channels, image);
  if (status == DN_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = dn_image_read(path, n_channels, image);
  }
  return finish(L, status, image);
}

static int image_decode(lua_State *L) {
  size_t n_bytes;
  const char *content = luaL_checklstring(L, 1, &n_bytes);
  const char *name = bind_check_path(L, 2);
  const int n_channels = check_channels(L, 3);
  dn_tensor *image = bind_push_tensor(L);
  dn_status status = dn_image_decode(name, content, (int64_t)n_bytes, n_channels, image);
  if (status == DN_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = dn_image_decode(name, content, (int64_t)n_bytes, n_channels, image);
  }
  return finish(L, status, image);
}

static int image_format(lua_State *L) {
  size_t n_bytes;
  const char *start = luaL_checklstring(L, 1, &n_bytes);
  lua_pushstring(L, dn_image_format_name(dn_image_recognize((const uint8_t *)(const void *)start,
                                                            (int64_t)n_bytes)));
  return 1;
}

static int image_write(lua_State *L) {
  static const char *const words[] = {"PNG", "PPM", NULL};
  static const dn_image_format formats[] = {DN_IMAGE_PNG, DN_IMAGE_PNM};
  const char *path = bind_check_path(L, 1);
  const dn_tensor *image = bind_check_tensor(L, 2);
  const int format = luaL_checkoption(L, 3, NULL, words);
  const dn_status status = dn_image_write(path, image, formats[format]);
  if (status != DN_OK) return fail(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

void bind_register_image_file(lua_State *L) {
  static const luaL_Reg functions[] = {{"image_read", image_read},
                                       {"image_decode", image_decode},
                                       {"image_format", image_format},
                                       {"image_write", image_write},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
