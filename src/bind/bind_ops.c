/*
** The operations as Lua calls them: one function per line of dn_ops.def, made from its roles. Arguments
** come in the C order: tensors as userdata (nil where they may be left out), kinds as words, structs
** field by field. Each returns nothing, raises misuse, and collects and tries again before it raises out
** of memory.
*/
#include "bind_handle.h"
#include "bind_init.h"

/* ---- Kinds, as words in the order of their enums; the NULL ends the list for Lua ---- */

static dn_unary_kind check_unary(lua_State *L, int arg) {
  static const char *const words[DN_UNARY_COUNT + 1] = {
      "neg",   "abs",  "sign",  "square", "sqrt",    "exp",  "log",
      "floor", "ceil", "round", "tanh",   "sigmoid", "log1p"};
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

/* strideH, strideW, padH, padW, groups at arg.. */
static dn_conv2d check_conv2d(lua_State *L, int arg) {
  const dn_conv2d options = {.stride_h = luaL_checkinteger(L, arg),
                             .stride_w = luaL_checkinteger(L, arg + 1),
                             .pad_h = luaL_checkinteger(L, arg + 2),
                             .pad_w = luaL_checkinteger(L, arg + 3),
                             .groups = luaL_checkinteger(L, arg + 4)};
  return options;
}

/* kH, kW, strideH, strideW, padH, padW, ceilMode, countPadding at arg.. */
static dn_pool2d check_pool2d(lua_State *L, int arg) {
  const dn_pool2d options = {.kernel_h = luaL_checkinteger(L, arg),
                             .kernel_w = luaL_checkinteger(L, arg + 1),
                             .stride_h = luaL_checkinteger(L, arg + 2),
                             .stride_w = luaL_checkinteger(L, arg + 3),
                             .pad_h = luaL_checkinteger(L, arg + 4),
                             .pad_w = luaL_checkinteger(L, arg + 5),
                             .ceil_mode = bind_check_boolean(L, arg + 6),
                             .count_padding = bind_check_boolean(L, arg + 7)};
  return options;
}

/* A number, or a tensor that has it in memory. */
static dn_number check_number(lua_State *L, int arg) {
  dn_number number = {.value = 0};
  if (bind_test_tensor(L, arg))
    number.at = bind_check_tensor(L, arg);
  else
    number.value = luaL_checknumber(L, arg);
  return number;
}

static dn_number optional_number(lua_State *L, int arg) {
  const dn_number nothing = {.value = 0};
  return lua_isnoneornil(L, arg) ? nothing : check_number(L, arg);
}

static dn_sgd check_sgd(lua_State *L, int arg) {
  const dn_sgd options = {.learning_rate = check_number(L, arg),
                          .momentum = luaL_checknumber(L, arg + 1),
                          .dampening = luaL_checknumber(L, arg + 2),
                          .weight_decay = luaL_checknumber(L, arg + 3),
                          .nesterov = bind_check_boolean(L, arg + 4),
                          .is_first = bind_check_boolean(L, arg + 5)};
  return options;
}

/* What each role reads, from argument `arg` on. */
#define TAKE(type, name, n_arguments, value) \
  type name = value;                         \
  arg += n_arguments;
#define WRITTEN(name) TAKE(dn_tensor *, name, 1, bind_check_tensor(L, arg))
#define WRITTEN_IF(name) TAKE(dn_tensor *, name, 1, bind_optional_tensor(L, arg))
#define ADDED(name) WRITTEN(name)
#define ADDED_IF(name) WRITTEN_IF(name)
#define READ(name) TAKE(const dn_tensor *, name, 1, bind_check_tensor(L, arg))
#define READ_IF(name) TAKE(const dn_tensor *, name, 1, bind_optional_tensor(L, arg))
#define NUMBER(name) TAKE(const double, name, 1, luaL_checknumber(L, arg))
#define NUMBER_IF(name) TAKE(const double, name, 1, luaL_optnumber(L, arg, 0))
#define SLOT(name) TAKE(const dn_number, name, 1, check_number(L, arg))
#define SLOT_IF(name) TAKE(const dn_number, name, 1, optional_number(L, arg))
#define FLAG(name) TAKE(const bool, name, 1, bind_check_boolean(L, arg))
#define SIZE(name) TAKE(const int64_t, name, 1, luaL_checkinteger(L, arg))
#define DIM(name) TAKE(const int, name, 1, bind_check_dim(L, arg))
#define KIND(kind, name) TAKE(const dn_##kind##_kind, name, 1, check_##kind(L, arg))
#define RNG(name) TAKE(const dn_rng, name, DN_RNG_FIELDS, bind_check_rng(L, arg))
#define CONV2D(name) TAKE(const dn_conv2d, name, DN_CONV2D_FIELDS, check_conv2d(L, arg))
#define POOL2D(name) TAKE(const dn_pool2d, name, DN_POOL2D_FIELDS, check_pool2d(L, arg))
#define SGD(name) TAKE(const dn_sgd, name, DN_SGD_FIELDS, check_sgd(L, arg))
#define DN_OP(name, parameters, arguments, roles, traits) \
  static int bind_##name(lua_State *L) {                  \
    int arg = 1;                                          \
    roles(void) arg;                                      \
    BIND_TRY(L, dn_##name arguments);                     \
    return 0;                                             \
  }
#include "../dn_ops.def"

static int push_plane(lua_State *L, dn_status status, const int64_t output[2]) {
  if (status != DN_OK) return bind_raise(L, status);
  lua_pushinteger(L, output[0]);
  lua_pushinteger(L, output[1]);
  return 2;
}

static int conv2d_output_size(lua_State *L) {
  const int64_t input[2] = {luaL_checkinteger(L, 1), luaL_checkinteger(L, 2)};
  const int64_t kernel[2] = {luaL_checkinteger(L, 3), luaL_checkinteger(L, 4)};
  const dn_conv2d options = {.stride_h = luaL_checkinteger(L, 5),
                             .stride_w = luaL_checkinteger(L, 6),
                             .pad_h = luaL_checkinteger(L, 7),
                             .pad_w = luaL_checkinteger(L, 8),
                             .groups = 1};
  int64_t output[2];
  const dn_status status = dn_conv2d_output_size(input, kernel, options, output);
  return push_plane(L, status, output);
}

static int pool2d_output_size(lua_State *L) {
  const int64_t input[2] = {luaL_checkinteger(L, 1), luaL_checkinteger(L, 2)};
  const dn_pool2d options = check_pool2d(L, 3);
  int64_t output[2];
  const dn_status status = dn_pool2d_output_size(input, options, output);
  return push_plane(L, status, output);
}

/* takes_transition(x, weight): are transition_forward and _backward one pass each, and the fast way? */
static int takes_transition(lua_State *L) {
  lua_pushboolean(L, dn_takes_transition(bind_check_tensor(L, 1), bind_check_tensor(L, 2)));
  return 1;
}

/* folded_conv_count({K,C,R,S}, strideH, strideW, padH, padW, groups) -> values that folded_conv_pack writes */
static int folded_conv_count(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int64_t sizes[DN_MAX_DIM];
  luaL_argcheck(L, bind_check_sizes(L, 1, sizes) == 4, 1, "four sizes expected: K,C,R,S");
  lua_pushinteger(L, dn_folded_conv_count(sizes, check_conv2d(L, 2)));
  return 1;
}

static void set_flag(lua_State *L, const char *name, bool value) {
  if (!value) return;
  lua_pushboolean(L, true);
  lua_setfield(L, -2, name);
}

/* [-> description] */
static void push_description(lua_State *L, const dn_op_description *op) {
  lua_createtable(L, 0, 4);
  set_flag(L, "widened", op->is_widened);
  set_flag(L, "cpuScratch", op->has_cpu_scratch);
  set_flag(L, "cudaScratch", op->has_cuda_scratch);
  lua_newtable(L);
  int number = 1;
  for (int i = 0; op->arguments[i].name; i++) {
    const dn_op_argument *argument = &op->arguments[i];
    lua_createtable(L, 0, 5);
    lua_pushstring(L, argument->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, argument->role);
    lua_setfield(L, -2, "role");
    lua_pushinteger(L, number);
    lua_setfield(L, -2, "number");
    set_flag(L, "optional", argument->is_optional);
    set_flag(L, "parameter", argument->is_parameter);
    lua_rawseti(L, -2, i + 1);
    number += argument->n_values;
  }
  lua_setfield(L, -2, "arguments");
}

/*
** operations([device]) -> names of the operations that the device has (all of dn_ops.def without one),
** and by name what dn_ops.def says of them: {arguments = list of {name=, role=, number=, optional=,
** parameter=}, widened=, cpuScratch=, cudaScratch=}; what is false is left out
*/
static int operations(lua_State *L) {
  const dn_device *device = lua_isnoneornil(L, 1) ? NULL : bind_check_device(L, 1);
  lua_createtable(L, DN_OP_COUNT, 0);
  lua_createtable(L, 0, DN_OP_COUNT);
  for (int op = 0; op < DN_OP_COUNT; op++) {
    if (device && !dn_op_is_on((dn_op)op, device)) continue;
    lua_pushstring(L, dn_op_name((dn_op)op));
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
    push_description(L, dn_op_describe((dn_op)op));
    lua_setfield(L, -2, dn_op_name((dn_op)op));
  }
  return 2;
}

void bind_register_ops(lua_State *L) {
  static const luaL_Reg functions[] = {
#define DN_OP(name, parameters, arguments, roles, traits) {#name, bind_##name},
#include "../dn_ops.def"
      {"operations", operations},
      {"conv2d_output_size", conv2d_output_size},
      {"folded_conv_count", folded_conv_count},
      {"takes_transition", takes_transition},
      {"pool2d_output_size", pool2d_output_size},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
