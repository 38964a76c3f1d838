/*
** A byte tensor that says which elements are meant, or a list of places to write to, as positions: what
** index_select takes.
*/
#include <string.h>

#include "bind_handle.h"
#include "bind_init.h"

/* The count of ones; raises for elements that are neither 0 nor 1. */
static int64_t count_ones(lua_State *L, const uint8_t *mask, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (mask[i] > 1)
      luaL_error(L, "element %I of the mask is %d, 0 or 1 expected", (LUAI_UACINT)(i + 1),
                 (int)mask[i]);
    count += mask[i];
  }
  return count;
}

/*
** mask_index(mask, kind) -> long vector, of a contiguous byte tensor of N elements on "cpu":
**   "selected"  the positions of its ones
**   "copied"    N positions: i where element i is 0, and N + r where it is the r-th one
**   "filled"    N positions: i where element i is 0, and N + 1 where it is 1
*/
static int mask_index(lua_State *L) {
  static const char *const kinds[] = {"selected", "copied", "filled", NULL};
  enum { SELECTED, COPIED, FILLED };
  const dn_tensor *mask = bind_check_tensor(L, 1);
  const int kind = luaL_checkoption(L, 2, NULL, kinds);
  luaL_argcheck(L, mask->dtype == DN_BYTE && mask->storage->device == dn_device_cpu(), 1,
                "a byte tensor on cpu expected");
  luaL_argcheck(L, dn_tensor_is_contiguous(mask), 1, "a contiguous tensor expected");
  const int64_t n = dn_tensor_count(mask);
  const uint8_t *bytes = n > 0 ? dn_tensor_data(mask) : NULL;
  const int64_t n_ones = count_ones(L, bytes, n);
  const int64_t n_positions = kind == SELECTED ? n_ones : n;
  const dn_tensor *result =
      bind_push_new_tensor(L, dn_device_cpu(), DN_LONG, 1, (const int64_t[]){n_positions});
  int64_t *positions = dn_tensor_data(result), rank = 0;
  for (int64_t i = 0; i < n; i++) {
    rank += bytes[i];
    if (kind != SELECTED)
      positions[i] = bytes[i] ? n + (kind == FILLED ? 1 : rank) : i + 1;
    else if (bytes[i])
      positions[rank - 1] = i + 1;
  }
  return 1;
}

/*
** scatter_index(places, n) -> long vector of n positions, of a contiguous long vector on "cpu" with
** places from 1 to n: i where none of them is i, and n + k where the k-th is the last that is.
*/
static int scatter_index(lua_State *L) {
  const dn_tensor *places = bind_check_tensor(L, 1);
  const lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, places->dtype == DN_LONG && places->storage->device == dn_device_cpu(), 1,
                "a long tensor on cpu expected");
  luaL_argcheck(L, dn_tensor_is_contiguous(places), 1, "a contiguous tensor expected");
  luaL_argcheck(L, n >= 0, 2, "0 or more expected");
  const int64_t count = dn_tensor_count(places);
  const int64_t *numbers = count > 0 ? dn_tensor_data(places) : NULL;
  const dn_tensor *result =
      bind_push_new_tensor(L, dn_device_cpu(), DN_LONG, 1, (const int64_t[]){n});
  int64_t *positions = n > 0 ? dn_tensor_data(result) : NULL;
  for (int64_t i = 0; i < n; i++) positions[i] = i + 1;
  for (int64_t k = 0; k < count; k++) {
    if (numbers[k] < 1 || numbers[k] > n)
      return luaL_error(L, "place %I is %I, 1 to %I expected", (LUAI_UACINT)(k + 1),
                        (LUAI_UACINT)numbers[k], (LUAI_UACINT)n);
    positions[numbers[k] - 1] = n + k + 1;
  }
  return 1;
}

void bind_register_mask(lua_State *L) {
  lua_pushcfunction(L, scatter_index);
  lua_setfield(L, -2, "scatter_index");
  lua_pushcfunction(L, mask_index);
  lua_setfield(L, -2, "mask_index");
}
