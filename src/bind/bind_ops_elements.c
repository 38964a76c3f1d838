/*
** Operations on elements as Lua calls them: arithmetic, comparisons, reductions, selections,
** random numbers, the matrix product.
*/
#include "bind_ops.h"

/* ---- Kinds, as words in the order of their enums; the NULL ends the list for Lua ---- */

static dn_unary_kind check_unary(lua_State *L, int arg) {
  static const char *const words[DN_UNARY_COUNT + 1] = {"neg",  "abs", "sign", "square",
                                                        "sqrt", "exp", "log",  "floor"};
  return (dn_unary_kind)luaL_checkoption(L, arg, NULL, words);
}

static dn_binary_kind check_binary(lua_State *L, int arg) {
  static const char *const words[DN_BINARY_COUNT + 1] = {"add", "sub", "mul", "div",
                                                         "pow", "min", "max"};
  return (dn_binary_kind)luaL_checkoption(L, arg, NULL, words);
}

static dn_compare_kind check_compare(lua_State *L, int arg) {
  static const char *const words[DN_COMPARE_COUNT + 1] = {"eq", "ne", "lt", "le", "gt", "ge"};
  return (dn_compare_kind)luaL_checkoption(L, arg, NULL, words);
}

static dn_reduce_kind check_reduce(lua_State *L, int arg) {
  static const char *const words[DN_REDUCE_COUNT + 1] = {"sum", "mean", "var",
                                                         "max", "min",  "norm"};
  return (dn_reduce_kind)luaL_checkoption(L, arg, NULL, words);
}

/* ---- Elements ---- */

/* fill(y, value) */
int bind_fill(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const double value = luaL_checknumber(L, 2);
  BIND_TRY(L, dn_fill(y, value));
  return 0;
}

/* copy(y, x) */
int bind_copy(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_copy(y, x));
  return 0;
}

/* unary(y, x, kind) */
int bind_unary(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  const dn_unary_kind kind = check_unary(L, 3);
  BIND_TRY(L, dn_unary(y, x, kind));
  return 0;
}

/* binary(y, a, b, kind) */
int bind_binary(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2), *b = bind_check_tensor(L, 3);
  const dn_binary_kind kind = check_binary(L, 4);
  BIND_TRY(L, dn_binary(y, a, b, kind));
  return 0;
}

/* binary_scalar(y, a, number, kind) */
int bind_binary_scalar(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2);
  const double b = luaL_checknumber(L, 3);
  const dn_binary_kind kind = check_binary(L, 4);
  BIND_TRY(L, dn_binary_scalar(y, a, b, kind));
  return 0;
}

/* add_scaled(y, a, b, scale) */
int bind_add_scaled(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2), *b = bind_check_tensor(L, 3);
  const double scale = luaL_checknumber(L, 4);
  BIND_TRY(L, dn_add_scaled(y, a, b, scale));
  return 0;
}

/* compare(y, a, b, kind) */
int bind_compare(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2), *b = bind_check_tensor(L, 3);
  const dn_compare_kind kind = check_compare(L, 4);
  BIND_TRY(L, dn_compare(y, a, b, kind));
  return 0;
}

/* compare_scalar(y, a, number, kind) */
int bind_compare_scalar(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2);
  const double b = luaL_checknumber(L, 3);
  const dn_compare_kind kind = check_compare(L, 4);
  BIND_TRY(L, dn_compare_scalar(y, a, b, kind));
  return 0;
}

/* ---- Reductions and selections ---- */

/* reduce(y, x, kind [, parameter]): the parameter of var and norm */
int bind_reduce(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  const dn_reduce_kind kind = check_reduce(L, 3);
  const double parameter = luaL_optnumber(L, 4, 0);
  BIND_TRY(L, dn_reduce(y, x, kind, parameter));
  return 0;
}

/* arg_reduce(values, indices, x, dim, largest) */
int bind_arg_reduce(lua_State *L) {
  dn_tensor *values = bind_check_tensor(L, 1), *indices = bind_check_tensor(L, 2);
  const dn_tensor *x = bind_check_tensor(L, 3);
  const int dim = bind_check_dim(L, 4);
  const bool largest = bind_check_boolean(L, 5);
  BIND_TRY(L, dn_arg_reduce(values, indices, x, dim, largest));
  return 0;
}

/* topk(values, indices, x, largest) */
int bind_topk(lua_State *L) {
  dn_tensor *values = bind_check_tensor(L, 1), *indices = bind_check_tensor(L, 2);
  const dn_tensor *x = bind_check_tensor(L, 3);
  const bool largest = bind_check_boolean(L, 4);
  BIND_TRY(L, dn_topk(values, indices, x, largest));
  return 0;
}

/* index_select(y, x, index) */
int bind_index_select(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *index = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_index_select(y, x, index));
  return 0;
}

/* ---- Random numbers; rng is seed, stream, position ---- */

/* random_uniform(y, low, high, seed, stream, position) */
int bind_random_uniform(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const double low = luaL_checknumber(L, 2), high = luaL_checknumber(L, 3);
  const dn_rng rng = bind_check_rng(L, 4);
  BIND_TRY(L, dn_random_uniform(y, low, high, rng));
  return 0;
}

/* random_normal(y, mean, deviation, seed, stream, position) */
int bind_random_normal(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const double mean = luaL_checknumber(L, 2), deviation = luaL_checknumber(L, 3);
  const dn_rng rng = bind_check_rng(L, 4);
  BIND_TRY(L, dn_random_normal(y, mean, deviation, rng));
  return 0;
}

/* random_permutation(y, seed, stream, position) */
int bind_random_permutation(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_rng rng = bind_check_rng(L, 2);
  BIND_TRY(L, dn_random_permutation(y, rng));
  return 0;
}

/* ---- Products ---- */

/* gemm(c, a, b, alpha, beta) */
int bind_gemm(lua_State *L) {
  dn_tensor *c = bind_check_tensor(L, 1);
  const dn_tensor *a = bind_check_tensor(L, 2), *b = bind_check_tensor(L, 3);
  const double alpha = luaL_checknumber(L, 4), beta = luaL_checknumber(L, 5);
  BIND_TRY(L, dn_gemm(c, a, b, alpha, beta));
  return 0;
}
