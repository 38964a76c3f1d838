/*
** A tensor in Lua is a userdata that holds the C value itself: one counted reference to a storage
** and a geometry. Views are userdata of their own; free, __gc and __close are one function, which
** may run any number of times. A freed tensor prints, says that it is freed, and refuses the rest.
*/
#include "bind_init.h"
#include "bind_tensor.h"

#include <string.h>

#include "../dn_backend.h"
#include "../dn_stamp.h"

/* ---- */

/* A position counted from 1, as C counts it. */
static int64_t check_position(lua_State *L, int arg) {
  const lua_Integer position = luaL_checkinteger(L, arg);
  luaL_argcheck(L, position >= 1, arg, "positions count from 1");
  return position - 1;
}

/* ---- Questions ---- */

/* One entry of n_dim integers, or all of them as a table: [-> integer | table] */
static int push_geometry(lua_State *L, const dn_tensor *tensor, const int64_t *values) {
  if (lua_isnoneornil(L, 2)) {
    lua_createtable(L, tensor->n_dim, 0);
    for (int d = 0; d < tensor->n_dim; d++) {
      lua_pushinteger(L, values[d]);
      lua_rawseti(L, -2, d + 1);
    }
    return 1;
  }
  const int dim = bind_check_dim(L, 2);
  if (dim >= tensor->n_dim) {
    char text[DN_SHAPE_TEXT];
    return luaL_argerror(
        L, 2,
        lua_pushfstring(L, "dimension %d of a tensor of %d dimensions (%s)", dim + 1, tensor->n_dim,
                        dn_tensor_shape_text(tensor, text)));
  }
  lua_pushinteger(L, values[dim]);
  return 1;
}

/* t:size() -> table; t:size(d) -> integer */
static int size(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  return push_geometry(L, tensor, tensor->size);
}

/* t:stride() -> table; t:stride(d) -> integer, in elements */
static int stride(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  return push_geometry(L, tensor, tensor->stride);
}

static int dim(lua_State *L) {
  lua_pushinteger(L, bind_check_tensor(L, 1)->n_dim);
  return 1;
}

static int n_element(lua_State *L) {
  lua_pushinteger(L, dn_tensor_count(bind_check_tensor(L, 1)));
  return 1;
}

/* t:elementSize() -> bytes of an element */
static int element_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dn_dtype_size(bind_check_tensor(L, 1)->dtype));
  return 1;
}

static int dtype(lua_State *L) {
  lua_pushstring(L, dn_dtype_name(bind_check_tensor(L, 1)->dtype));
  return 1;
}

static int device(lua_State *L) {
  lua_pushstring(L, bind_check_tensor(L, 1)->storage->device->name);
  return 1;
}

static int is_contiguous(lua_State *L) {
  lua_pushboolean(L, dn_tensor_is_contiguous(bind_check_tensor(L, 1)));
  return 1;
}

/* t:storageOffset() -> position of the first element in the storage, from 1 */
static int storage_offset(lua_State *L) {
  lua_pushinteger(L, bind_check_tensor(L, 1)->offset + 1);
  return 1;
}

/* t:isSameView(u) -> true when both read the same elements of one storage in the same order */
static int is_same_view(lua_State *L) {
  lua_pushboolean(L, dn_tensor_is_same_view(bind_check_tensor(L, 1), bind_check_tensor(L, 2)));
  return 1;
}

static int is_freed(lua_State *L) {
  const dn_tensor *tensor = luaL_checkudata(L, 1, BIND_TENSOR);
  lua_pushboolean(L, tensor->storage == NULL);
  return 1;
}

/* "float tensor of size 2x3", "freed float tensor of size 2x3", "float scalar" */
static int to_string(lua_State *L) {
  const dn_tensor *tensor = luaL_checkudata(L, 1, BIND_TENSOR);
  const char *state = tensor->storage ? "" : "freed ", *name = dn_dtype_name(tensor->dtype);
  char text[DN_SHAPE_TEXT];
  if (tensor->n_dim == 0)
    lua_pushfstring(L, "%s%s scalar", state, name);
  else
    lua_pushfstring(L, "%s%s tensor of size %s", state, name, dn_tensor_shape_text(tensor, text));
  return 1;
}

/* ---- Views: each returns a new userdata on the same storage ---- */

static int finish_view(lua_State *L, dn_status status) {
  return status == DN_OK ? 1 : bind_raise(L, status);
}

/* t:narrow(d, first, length) */
static int narrow(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  const int along = bind_check_dim(L, 2);
  const int64_t first = check_position(L, 3), length = luaL_checkinteger(L, 4);
  return finish_view(L, dn_tensor_narrow(tensor, along, first, length, bind_push_tensor(L)));
}

/* t:select(d, i): dimension d disappears */
static int select_index(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  const int along = bind_check_dim(L, 2);
  const int64_t index = check_position(L, 3);
  return finish_view(L, dn_tensor_select(tensor, along, index, bind_push_tensor(L)));
}

/* t:view(sizes...) or t:view{sizes}: one size may be -1; t is contiguous */
static int view(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 2, sizes);
  return finish_view(L, dn_tensor_view(tensor, n_dim, sizes, bind_push_tensor(L)));
}

/* t:transpose(a, b) */
static int transpose(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  const int dim_a = bind_check_dim(L, 2), dim_b = bind_check_dim(L, 3);
  return finish_view(L, dn_tensor_transpose(tensor, dim_a, dim_b, bind_push_tensor(L)));
}

/* t:t(): the transpose of a matrix */
static int matrix_transpose(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  if (tensor->n_dim != 2)
    return luaL_argerror(L, 1,
                         lua_pushfstring(L, "a matrix expected, got %d dimensions", tensor->n_dim));
  return finish_view(L, dn_tensor_transpose(tensor, 0, 1, bind_push_tensor(L)));
}

/* t:expand(sizes...) or t:expand{sizes} */
static int expand(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 2, sizes);
  return finish_view(L, dn_tensor_expand(tensor, n_dim, sizes, bind_push_tensor(L)));
}

/* t[key] for a key that is no position and no method: tensor_indexing.lua has the rest. */
static int index_other(lua_State *L) {
  if (luaL_getmetafield(L, 1, "index_other") == LUA_TNIL) return luaL_error(L, "no such index");
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

/*
** t[key]: a method, or for an integer what t:select(1, key) gives, a number where t is a vector;
** negative ones count from the end; nil behind the last, where ipairs stops
*/
static int index_tensor(lua_State *L) {
  lua_settop(L, 2);
  int is_integer = 0;
  const lua_Integer key = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &is_integer) : 0;
  if (!is_integer) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1; /* methods */
    lua_pop(L, 1);
    return index_other(L);
  }
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  if (key < 0 && tensor->n_dim > 0) {
    lua_pushinteger(L, tensor->size[0] + 1 + key);
    if (tensor->size[0] + key >= 0) lua_replace(L, 2);
    lua_settop(L, 2);
  }
  if (tensor->n_dim > 0 && key == tensor->size[0] + 1) {
    lua_pushnil(L);
    return 1;
  }
  if (tensor->n_dim == 1) return bind_tensor_at(L);
  const int64_t index = check_position(L, 2);
  return finish_view(L, dn_tensor_select(tensor, 0, index, bind_push_tensor(L)));
}

/* ---- Changes in place ---- */

/* t:resize(sizes...) or t:resize{sizes} -> t, row-major, content undefined */
static int resize(lua_State *L) {
  dn_tensor *tensor = bind_check_tensor(L, 1);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 2, sizes);
  const dn_storage *before = tensor->storage;
  BIND_TRY(L, dn_tensor_resize(tensor, n_dim, sizes));
  lua_settop(L, 1);
  if (tensor->storage != before) bind_note_allocation(L, tensor);
  return 1;
}

static int release(lua_State *L) {
  dn_tensor *tensor = luaL_checkudata(L, 1, BIND_TENSOR);
  bind_note_release(L, tensor);
  dn_tensor_free(tensor);
  return 0;
}

/* tensor_new(device, dtype, {sizes}) -> tensor, content undefined */
static int tensor_new(lua_State *L) {
  dn_device *on = bind_check_place(L, 1);
  const dn_dtype type = bind_check_dtype(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 3, sizes);
  bind_push_new_tensor(L, on, type, n_dim, sizes);
  return 1;
}

/*
** tensor_new_pinned(device, dtype, {sizes}) -> tensor on the CPU from which `device` can copy while
** the host goes on (copy_async); under an override (bind_plan.c) as tensor_new
*/
static int tensor_new_pinned(lua_State *L) {
  if (dn_override_device()) return tensor_new(L);
  dn_device *by = bind_check_device(L, 1);
  const dn_dtype type = bind_check_dtype(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 3, sizes);
  dn_tensor *tensor = bind_push_tensor(L);
  BIND_TRY(L, dn_tensor_new_pinned(by, type, n_dim, sizes, tensor));
  bind_note_allocation(L, tensor);
  return 1;
}

/*
** copy_async(y, x): x pinned by y's device, both contiguous, of one dtype and shape. Starts when what
** was called before is done, beside what is called later; operations may read y after
** copy_join(device), and the host may write x (or free either) after copy_wait(device).
*/
static int copy_async(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_copy_async(y, x));
  return 0;
}

/* weights_narrow(weights[, narrow]): keeps 16-bit weights beside a vector of float ones (dn_ops.h) */
static int weights_narrow(lua_State *L) {
  dn_tensor *weights = bind_check_tensor(L, 1);
  BIND_TRY(L, dn_weights_narrow(weights, lua_isnoneornil(L, 2) ? NULL : bind_check_tensor(L, 2)));
  return 0;
}

/* copy_join(device): operations called from here on wait for the copies that were started */
static int copy_join(lua_State *L) {
  dn_device *on = bind_check_device(L, 1);
  BIND_TRY(L, dn_copy_join(on));
  return 0;
}

/* copy_wait(device): waits itself for the copies that were started */
static int copy_wait(lua_State *L) {
  dn_device *on = bind_check_device(L, 1);
  BIND_TRY(L, dn_copy_wait(on));
  return 0;
}

/* t:isPinned() -> whether it is host memory that a device copies from on its own */
static int is_pinned(lua_State *L) {
  lua_pushboolean(L, bind_check_tensor(L, 1)->storage->pinned_by != NULL);
  return 1;
}

/*
** tensor_at(bytes, offset, dtype, {sizes}) -> a row-major view into the byte tensor's storage,
** `offset` bytes (from 0) behind its first byte
*/
static int tensor_at(lua_State *L) {
  const dn_tensor *bytes = bind_check_tensor(L, 1);
  const int64_t n_before = luaL_checkinteger(L, 2);
  const dn_dtype type = bind_check_dtype(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  int64_t sizes[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 4, sizes);
  return finish_view(L, dn_tensor_at(bytes, n_before, type, n_dim, sizes, bind_push_tensor(L)));
}

/*
** storage_key(tensor) -> an integer that tensors share if and only if they share their storage; no later
** storage gets it again
*/
static int storage_key(lua_State *L) {
  lua_pushinteger(L, bind_check_tensor(L, 1)->storage->serial);
  return 1;
}

/*
** stamp(tensor or nil, ...) -> a text that is another one as soon as somebody may have written to the storage of
** one of the tensors, or one is another view than it was (dn_stamp.h)
*/
static int stamp(lua_State *L) {
  const int n = lua_gettop(L);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int i = 1; i <= n; i++) {
    const dn_stamp one = dn_stamp_of(lua_isnil(L, i) ? NULL : luaL_checkudata(L, i, BIND_TENSOR));
    luaL_addlstring(&text, (const char *)&one, dn_stamp_bytes(&one));
  }
  luaL_pushresult(&text);
  return 1;
}

/* storage_count(tensor) -> how many elements of its type its storage has room for */
static int storage_count(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  lua_pushinteger(L, tensor->storage->n_bytes / (lua_Integer)dn_dtype_size(tensor->dtype));
  return 1;
}

/* storage_view(tensor, first, {sizes}, {strides}) -> a view of its storage from element `first` (1 is the first) */
static int storage_view(lua_State *L) {
  const dn_tensor *tensor = bind_check_tensor(L, 1);
  const int64_t first = check_position(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  int64_t sizes[DN_MAX_DIM], strides[DN_MAX_DIM];
  const int n_dim = bind_check_sizes(L, 3, sizes);
  luaL_argcheck(L, bind_check_sizes(L, 4, strides) == n_dim, 4, "a stride for each size expected");
  return finish_view(L,
                     dn_tensor_strided(tensor, first, n_dim, sizes, strides, bind_push_tensor(L)));
}

/* tensor_set(tensor, other) -> tensor, which becomes the view that `other` is, of other's storage */
static int tensor_set(lua_State *L) {
  dn_tensor *tensor = bind_check_tensor(L, 1);
  const dn_tensor *other = bind_check_tensor(L, 2);
  dn_tensor made;
  BIND_TRY(L, dn_tensor_share(other, &made));
  bind_note_release(L, tensor);
  dn_tensor_free(tensor);
  *tensor = made;
  lua_settop(L, 1);
  return 1;
}

/* is_tensor(value) -> boolean; a freed tensor is one */
static int is_tensor(lua_State *L) {
  lua_pushboolean(L, bind_test_tensor(L, 1) != NULL);
  return 1;
}

void bind_register_tensor(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"size", size},
      {"stride", stride},
      {"dim", dim},
      {"nElement", n_element},
      {"elementSize", element_size},
      {"dtype", dtype},
      {"device", device},
      {"isContiguous", is_contiguous},
      {"storageOffset", storage_offset},
      {"isSameView", is_same_view},
      {"isFreed", is_freed},
      {"isPinned", is_pinned},
      {"narrow", narrow},
      {"select", select_index},
      {"view", view},
      {"transpose", transpose},
      {"t", matrix_transpose},
      {"expand", expand},
      {"resize", resize},
      {"free", release},
      {"totable", bind_tensor_to_table},
      {"item", bind_tensor_item},
      {"at", bind_tensor_at},
      {"put", bind_tensor_put},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__gc", release}, {"__close", release}, {"__tostring", to_string}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"tensor_new", tensor_new},
      {"tensor_from", bind_tensor_from},
      {"tensor_new_pinned", tensor_new_pinned},
      {"copy_async", copy_async},
      {"weights_narrow", weights_narrow},
      {"copy_join", copy_join},
      {"copy_wait", copy_wait},
      {"tensor_at", tensor_at},
      {"storage_key", storage_key},
      {"storage_count", storage_count},
      {"stamp", stamp},
      {"storage_view", storage_view},
      {"tensor_set", tensor_set},
      {"is_tensor", is_tensor},
      {"tensor_describe", to_string},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
  if (luaL_newmetatable(L, BIND_TENSOR)) { /* core, metatable */
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods); /* core, metatable, methods */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "methods");
    lua_pushcclosure(L, index_tensor, 1); /* core, metatable, index */
    lua_setfield(L, -2, "__index");
  }
  /* tensor.lua adds to these two; a core opened once more finds what was added. */
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -3, "tensor_methods");
  lua_setfield(L, -2, "tensor_metatable");
}
