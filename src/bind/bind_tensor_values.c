/*
** Elements cross between Lua and a tensor by way of dn_copy, which knows every dtype, stride and
** rounding rule, so that none of that is repeated here. Lua's side of the crossing is a dense
** tensor of long (for long tensors, where a double would lose digits) or double (for all others):
** a block of its own for many elements, a variable on the C stack for one.
*/
#include <math.h>

#include "bind_tensor.h"

#include "../dn_graph.h"

static dn_dtype crossing_dtype(dn_dtype dtype) { return dtype == DN_LONG ? DN_LONG : DN_DOUBLE; }

/* Long and byte elements are integers to Lua. [-> number] */
static void push_element(lua_State *L, dn_dtype dtype, const void *crossing, int64_t i) {
  if (dtype == DN_LONG)
    lua_pushinteger(L, ((const int64_t *)crossing)[i]);
  else if (dtype == DN_BYTE)
    lua_pushinteger(L, (lua_Integer)((const double *)crossing)[i]);
  else
    lua_pushnumber(L, ((const double *)crossing)[i]);
}

/* A tensor that has values to read or write, and may be waited for by the function of this name. */
static const dn_tensor *check_values(lua_State *L, int arg, const char *name) {
  const dn_tensor *tensor = bind_check_tensor(L, arg);
  const dn_device *device = tensor->storage->device;
  if (!device->has_values)
    luaL_argerror(
        L, arg,
        lua_pushfstring(L, "the tensor is on '%s', where tensors have no values", device->name));
  const dn_status status = dn_graph_refuse(device, name);
  if (status != DN_OK) bind_raise(L, status);
  return tensor;
}

/* ---- One element ---- */

typedef union cell {
  double real;
  int64_t integer;
} cell;

/* A scalar tensor over a variable of the caller, who keeps `storage` as long. */
static dn_tensor scalar_over(cell *variable, dn_dtype dtype, dn_storage *storage) {
  storage->serial = 0;
  storage->device = dn_device_cpu();
  storage->data = variable;
  storage->n_bytes = sizeof *variable;
  storage->pinned_by = NULL;
  storage->account = NULL;
  atomic_init(&storage->n_references, 1);
  atomic_init(&storage->n_writes, 0);
  const dn_tensor scalar = {.storage = storage, .dtype = dtype};
  return scalar;
}

/* [-> number] The element of a scalar tensor. */
static int push_scalar(lua_State *L, const dn_tensor *element) {
  cell variable;
  dn_storage storage;
  dn_tensor crossing = scalar_over(&variable, crossing_dtype(element->dtype), &storage);
  BIND_TRY(L, dn_copy(&crossing, element));
  push_element(L, element->dtype, &variable, 0);
  return 1;
}

/* The element at the indices from `arg` on, as a scalar view that holds no reference. */
static dn_tensor check_element(lua_State *L, const dn_tensor *tensor, int arg) {
  const int n = lua_gettop(L) - arg + 1;
  if (n != tensor->n_dim)
    luaL_error(L, "%d indices for a tensor of %d dimensions", n < 0 ? 0 : n, tensor->n_dim);
  dn_tensor element = {
      .storage = tensor->storage, .dtype = tensor->dtype, .offset = tensor->offset};
  for (int d = 0; d < tensor->n_dim; d++) {
    const lua_Integer index = luaL_checkinteger(L, arg + d);
    if (index < 1 || index > tensor->size[d])
      luaL_argerror(L, arg + d,
                    lua_pushfstring(L, "index %I of dimension %d, which has %I", (LUAI_UACINT)index,
                                    d + 1, (LUAI_UACINT)tensor->size[d]));
    element.offset += (index - 1) * tensor->stride[d];
  }
  return element;
}

int bind_tensor_item(lua_State *L) {
  const dn_tensor *tensor = check_values(L, 1, "item");
  if (dn_tensor_count(tensor) != 1) {
    char text[DN_SHAPE_TEXT];
    return luaL_argerror(
        L, 1,
        lua_pushfstring(L, "one element expected, got %s", dn_tensor_shape_text(tensor, text)));
  }
  const dn_tensor element = {
      .storage = tensor->storage, .dtype = tensor->dtype, .offset = tensor->offset};
  return push_scalar(L, &element);
}

int bind_tensor_at(lua_State *L) {
  const dn_tensor element = check_element(L, check_values(L, 1, "at"), 2);
  return push_scalar(L, &element);
}

int bind_tensor_put(lua_State *L) {
  const dn_tensor *tensor = check_values(L, 1, "put");
  cell variable;
  dn_storage storage;
  dn_dtype dtype = DN_DOUBLE;
  if (lua_isinteger(L, 2) && tensor->dtype == DN_LONG) {
    variable.integer = lua_tointeger(L, 2);
    dtype = DN_LONG;
  } else {
    variable.real = luaL_checknumber(L, 2);
  }
  dn_tensor element = check_element(L, tensor, 3);
  const dn_tensor crossing = scalar_over(&variable, dtype, &storage);
  BIND_TRY(L, dn_copy(&element, &crossing));
  return 0;
}

/* ---- All elements, outwards ---- */

/* [-> table] The elements of dimensions d.. from position *next of `crossing` on. */
static void push_nested(lua_State *L, const dn_tensor *tensor, int d, const void *crossing,
                        int64_t *next) {
  if (d == tensor->n_dim) {
    push_element(L, tensor->dtype, crossing, (*next)++);
    return;
  }
  const int64_t n = tensor->size[d];
  luaL_checkstack(L, 2, "nested tables");
  lua_createtable(L, n < 1 << 30 ? (int)n : 1 << 30, 0);
  for (int64_t i = 0; i < n; i++) {
    push_nested(L, tensor, d + 1, crossing, next);
    lua_rawseti(L, -2, i + 1);
  }
}

int bind_tensor_to_table(lua_State *L) {
  const dn_tensor *tensor = check_values(L, 1, "totable");
  if (tensor->n_dim == 0) return push_scalar(L, tensor);
  dn_tensor *dense = bind_push_new_tensor(L, dn_device_cpu(), crossing_dtype(tensor->dtype),
                                          tensor->n_dim, tensor->size);
  BIND_TRY(L, dn_copy(dense, tensor));
  int64_t next = 0;
  push_nested(L, tensor, 0, dn_tensor_data(dense), &next);
  dn_tensor_free(dense);
  return 1;
}

/* ---- All elements, inwards ---- */

/* [-> text] Where in the nested table: "[2][1]"; "the table" for the outermost. */
static const char *push_place(lua_State *L, int n, const int64_t *index) {
  if (n == 0) return lua_pushliteral(L, "the table");
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int d = 0; d < n; d++) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)index[d]);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  return lua_tostring(L, -1);
}

/* The shape that the first elements have, all the way down, of the value on top. */
static int read_shape(lua_State *L, int64_t *shape) {
  int n_dim = 0;
  lua_pushvalue(L, -1);
  while (lua_istable(L, -1)) {
    if (n_dim == DN_MAX_DIM)
      luaL_error(L, "tables nested deeper than the %d dimensions of a tensor", DN_MAX_DIM);
    shape[n_dim++] = (int64_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    /* An empty table ends the descent: there is nothing below it to have a shape. */
    if (shape[n_dim - 1] == 0) break;
  }
  lua_pop(L, 1);
  return n_dim;
}

/* As dn_copy turns a real number into a long one: towards zero, saturating, NaN to 0. */
static int64_t truncate_number(double x) {
  if (isnan(x)) return 0;
  if (x >= 0x1p63) return INT64_MAX;
  if (x < -0x1p63) return INT64_MIN;
  return (int64_t)x;
}

/* Where read_nested is: the shape it must find, the block it fills, the place it has reached. */
typedef struct reading {
  int n_dim;
  int64_t shape[DN_MAX_DIM];
  int64_t index[DN_MAX_DIM];
  dn_dtype dtype; /* DN_LONG or DN_DOUBLE */
  void *block;
  int64_t next;
} reading;

static void read_number(lua_State *L, reading *at) {
  if (lua_type(L, -1) != LUA_TNUMBER) {
    const char *type = luaL_typename(L, -1);
    luaL_error(L, "%s is a %s, a number expected", push_place(L, at->n_dim, at->index), type);
  }
  if (at->dtype == DN_DOUBLE)
    ((double *)at->block)[at->next++] = lua_tonumber(L, -1);
  else
    ((int64_t *)at->block)[at->next++] =
        lua_isinteger(L, -1) ? lua_tointeger(L, -1) : truncate_number(lua_tonumber(L, -1));
}

/* Appends the elements of the value on top, which stands d tables deep. */
static void read_nested(lua_State *L, reading *at, int d) {
  if (d == at->n_dim) {
    read_number(L, at);
    return;
  }
  if (!lua_istable(L, -1)) {
    const char *type = luaL_typename(L, -1);
    luaL_error(L, "ragged: %s is a %s where its neighbours are tables", push_place(L, d, at->index),
               type);
  }
  const int64_t n = (int64_t)lua_rawlen(L, -1);
  if (n != at->shape[d])
    luaL_error(L, "ragged: %s has %I element(s) where the first table beside it has %I",
               push_place(L, d, at->index), (LUAI_UACINT)n, (LUAI_UACINT)at->shape[d]);
  luaL_checkstack(L, 4, "nested tables");
  for (int64_t i = 1; i <= n; i++) {
    at->index[d] = i;
    lua_rawgeti(L, -1, i);
    read_nested(L, at, d + 1);
    lua_pop(L, 1);
  }
}

int bind_tensor_from(lua_State *L) {
  dn_device *device = bind_check_place(L, 1);
  if (!device->has_values && !dn_override_device())
    return luaL_argerror(
        L, 1,
        lua_pushfstring(L, "tensors on '%s' have no values; make an empty one", device->name));
  const dn_dtype dtype = bind_check_dtype(L, 2);
  if (!lua_istable(L, 3) && lua_type(L, 3) != LUA_TNUMBER)
    return luaL_typeerror(L, 3, "table or number");
  lua_settop(L, 3);
  reading at = {.dtype = crossing_dtype(dtype)};
  at.n_dim = read_shape(L, at.shape);
  dn_tensor *dense = bind_push_new_tensor(L, dn_device_cpu(), at.dtype, at.n_dim, at.shape);
  at.block = dn_tensor_data(dense);
  lua_pushvalue(L, 3);
  read_nested(L, &at, 0);
  lua_pop(L, 1);
  if (dtype == at.dtype && device == dn_device_cpu()) return 1;
  dn_tensor *made = bind_push_new_tensor(L, device, dtype, at.n_dim, at.shape);
  if (device->has_values) BIND_TRY(L, dn_copy(made, dense));
  dn_tensor_free(dense);
  return 1;
}
