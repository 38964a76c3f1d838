/*
** Operations of networks as Lua calls them: linear, convolution, normalization, activations,
** pooling, concatenation, losses, the step of SGD.
*/
#include "bind_ops.h"

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

/* ---- Linear ---- */

/* linear_forward(y, x, weight, bias | nil) */
int bind_linear_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *weight = bind_check_tensor(L, 3);
  const dn_tensor *bias = bind_optional_tensor(L, 4);
  BIND_TRY(L, dn_linear_forward(y, x, weight, bias));
  return 0;
}

/* linear_backward_data(dx, dy, weight) */
int bind_linear_backward_data(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2), *weight = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_linear_backward_data(dx, dy, weight));
  return 0;
}

/* linear_backward_weight(dweight, dbias | nil, dy, x, scale) */
int bind_linear_backward_weight(lua_State *L) {
  dn_tensor *dweight = bind_check_tensor(L, 1), *dbias = bind_optional_tensor(L, 2);
  const dn_tensor *dy = bind_check_tensor(L, 3), *x = bind_check_tensor(L, 4);
  const double scale = luaL_checknumber(L, 5);
  BIND_TRY(L, dn_linear_backward_weight(dweight, dbias, dy, x, scale));
  return 0;
}

/* ---- Convolution ---- */

/* conv2d_forward(y, x, weight, bias | nil, strideH, strideW, padH, padW, groups) */
int bind_conv2d_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *weight = bind_check_tensor(L, 3);
  const dn_tensor *bias = bind_optional_tensor(L, 4);
  const dn_conv2d options = check_conv2d(L, 5);
  BIND_TRY(L, dn_conv2d_forward(y, x, weight, bias, options));
  return 0;
}

/* conv2d_backward_data(dx, dy, weight, strideH, strideW, padH, padW, groups) */
int bind_conv2d_backward_data(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2), *weight = bind_check_tensor(L, 3);
  const dn_conv2d options = check_conv2d(L, 4);
  BIND_TRY(L, dn_conv2d_backward_data(dx, dy, weight, options));
  return 0;
}

/* conv2d_backward_weight(dweight, dbias | nil, dy, x, strideH, strideW, padH, padW, groups, scale)
 */
int bind_conv2d_backward_weight(lua_State *L) {
  dn_tensor *dweight = bind_check_tensor(L, 1), *dbias = bind_optional_tensor(L, 2);
  const dn_tensor *dy = bind_check_tensor(L, 3), *x = bind_check_tensor(L, 4);
  const dn_conv2d options = check_conv2d(L, 5);
  const double scale = luaL_checknumber(L, 10);
  BIND_TRY(L, dn_conv2d_backward_weight(dweight, dbias, dy, x, options, scale));
  return 0;
}

static int push_plane(lua_State *L, dn_status status, const int64_t output[2]) {
  if (status != DN_OK) return bind_raise(L, status);
  lua_pushinteger(L, output[0]);
  lua_pushinteger(L, output[1]);
  return 2;
}

int bind_conv2d_output_size(lua_State *L) {
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

int bind_pool2d_output_size(lua_State *L) {
  const int64_t input[2] = {luaL_checkinteger(L, 1), luaL_checkinteger(L, 2)};
  const dn_pool2d options = check_pool2d(L, 3);
  int64_t output[2];
  const dn_status status = dn_pool2d_output_size(input, options, output);
  return push_plane(L, status, output);
}

/* ---- Normalization ---- */

/*
** batchnorm_forward(y, mean, invStd, runningMean | nil, runningVar | nil, x, gamma | nil,
** beta | nil, momentum, epsilon)
*/
int bind_batchnorm_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  dn_tensor *mean = bind_check_tensor(L, 2), *inv_std = bind_check_tensor(L, 3);
  dn_tensor *running_mean = bind_optional_tensor(L, 4);
  dn_tensor *running_var = bind_optional_tensor(L, 5);
  const dn_tensor *x = bind_check_tensor(L, 6);
  const dn_tensor *gamma = bind_optional_tensor(L, 7), *beta = bind_optional_tensor(L, 8);
  const double momentum = luaL_checknumber(L, 9), epsilon = luaL_checknumber(L, 10);
  BIND_TRY(L, dn_batchnorm_forward(y, mean, inv_std, running_mean, running_var, x, gamma, beta,
                                   momentum, epsilon));
  return 0;
}

/* batchnorm_backward(dx, dgamma | nil, dbeta | nil, dy, x, mean, invStd, gamma | nil, scale) */
int bind_batchnorm_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  dn_tensor *dgamma = bind_optional_tensor(L, 2), *dbeta = bind_optional_tensor(L, 3);
  const dn_tensor *dy = bind_check_tensor(L, 4), *x = bind_check_tensor(L, 5);
  const dn_tensor *mean = bind_check_tensor(L, 6), *inv_std = bind_check_tensor(L, 7);
  const dn_tensor *gamma = bind_optional_tensor(L, 8);
  const double scale = luaL_checknumber(L, 9);
  BIND_TRY(L, dn_batchnorm_backward(dx, dgamma, dbeta, dy, x, mean, inv_std, gamma, scale));
  return 0;
}

/* batchnorm_inference_forward(y, x, runningMean, runningVar, gamma | nil, beta | nil, epsilon) */
int bind_batchnorm_inference_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  const dn_tensor *running_mean = bind_check_tensor(L, 3), *running_var = bind_check_tensor(L, 4);
  const dn_tensor *gamma = bind_optional_tensor(L, 5), *beta = bind_optional_tensor(L, 6);
  const double epsilon = luaL_checknumber(L, 7);
  BIND_TRY(L,
           dn_batchnorm_inference_forward(y, x, running_mean, running_var, gamma, beta, epsilon));
  return 0;
}

/*
** batchnorm_inference_backward(dx, dgamma | nil, dbeta | nil, dy, x, runningMean, runningVar,
** gamma | nil, epsilon, scale)
*/
int bind_batchnorm_inference_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  dn_tensor *dgamma = bind_optional_tensor(L, 2), *dbeta = bind_optional_tensor(L, 3);
  const dn_tensor *dy = bind_check_tensor(L, 4), *x = bind_check_tensor(L, 5);
  const dn_tensor *running_mean = bind_check_tensor(L, 6), *running_var = bind_check_tensor(L, 7);
  const dn_tensor *gamma = bind_optional_tensor(L, 8);
  const double epsilon = luaL_checknumber(L, 9), scale = luaL_checknumber(L, 10);
  BIND_TRY(L, dn_batchnorm_inference_backward(dx, dgamma, dbeta, dy, x, running_mean, running_var,
                                              gamma, epsilon, scale));
  return 0;
}

/* ---- Activations ---- */

/* relu_forward(y, x) */
int bind_relu_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_relu_forward(y, x));
  return 0;
}

/* relu_backward(dx, dy, y) */
int bind_relu_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2), *y = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_relu_backward(dx, dy, y));
  return 0;
}

/* dropout_forward(y, x, probability, seed, stream, position) */
int bind_dropout_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  const double probability = luaL_checknumber(L, 3);
  const dn_rng rng = bind_check_rng(L, 4);
  BIND_TRY(L, dn_dropout_forward(y, x, probability, rng));
  return 0;
}

/* dropout_backward(dx, dy, probability, seed, stream, position) */
int bind_dropout_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2);
  const double probability = luaL_checknumber(L, 3);
  const dn_rng rng = bind_check_rng(L, 4);
  BIND_TRY(L, dn_dropout_backward(dx, dy, probability, rng));
  return 0;
}

/* ---- Pooling ---- */

/* max_pool2d_forward(y, indices, x, kH, kW, sH, sW, pH, pW, ceilMode, countPadding) */
int bind_max_pool2d_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1), *indices = bind_check_tensor(L, 2);
  const dn_tensor *x = bind_check_tensor(L, 3);
  const dn_pool2d options = check_pool2d(L, 4);
  BIND_TRY(L, dn_max_pool2d_forward(y, indices, x, options));
  return 0;
}

/* max_pool2d_backward(dx, dy, indices) */
int bind_max_pool2d_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2), *indices = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_max_pool2d_backward(dx, dy, indices));
  return 0;
}

/* avg_pool2d_forward(y, x, kH, kW, sH, sW, pH, pW, ceilMode, countPadding) */
int bind_avg_pool2d_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  const dn_pool2d options = check_pool2d(L, 3);
  BIND_TRY(L, dn_avg_pool2d_forward(y, x, options));
  return 0;
}

/* avg_pool2d_backward(dx, dy, kH, kW, sH, sW, pH, pW, ceilMode, countPadding) */
int bind_avg_pool2d_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2);
  const dn_pool2d options = check_pool2d(L, 3);
  BIND_TRY(L, dn_avg_pool2d_backward(dx, dy, options));
  return 0;
}

/* global_avg_pool_forward(y, x) */
int bind_global_avg_pool_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_global_avg_pool_forward(y, x));
  return 0;
}

/* global_avg_pool_backward(dx, dy) */
int bind_global_avg_pool_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_global_avg_pool_backward(dx, dy));
  return 0;
}

/* ---- Concatenation ---- */

/*
** [-> block] The tensors of the table at `arg` as an array that Lua owns; their userdata stay
** alive because the table holds them.
*/
static dn_tensor **check_tensor_list(lua_State *L, int arg, int *n) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const lua_Unsigned length = lua_rawlen(L, arg);
  luaL_argcheck(L, length <= 1 << 20, arg, "too many tensors");
  *n = (int)length;
  dn_tensor **list = lua_newuserdatauv(L, sizeof *list * (size_t)(length + 1), 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, arg, i + 1);
    list[i] = bind_test_tensor(L, -1);
    if (!list[i] || !list[i]->storage)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "entry %d is a %s, a tensor expected", i + 1,
                                    list[i] ? "freed tensor" : luaL_typename(L, -1)));
    lua_pop(L, 1);
  }
  return list;
}

/* concat_forward(y, {x1, x2, ...}, dim) */
int bind_concat_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const int dim = bind_check_dim(L, 3);
  int n;
  dn_tensor **list = check_tensor_list(L, 2, &n);
  BIND_TRY(L, dn_concat_forward(y, n, (const dn_tensor *const *)list, dim));
  return 0;
}

/* concat_backward({dx1, dx2, ...}, dy, dim) */
int bind_concat_backward(lua_State *L) {
  const dn_tensor *dy = bind_check_tensor(L, 2);
  const int dim = bind_check_dim(L, 3);
  int n;
  dn_tensor **list = check_tensor_list(L, 1, &n);
  BIND_TRY(L, dn_concat_backward(n, list, dy, dim));
  return 0;
}

/* ---- Losses ---- */

/* log_softmax_forward(y, x) */
int bind_log_softmax_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_log_softmax_forward(y, x));
  return 0;
}

/* log_softmax_backward(dx, dy, y) */
int bind_log_softmax_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *dy = bind_check_tensor(L, 2), *y = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_log_softmax_backward(dx, dy, y));
  return 0;
}

/* nll_forward(loss, logProbabilities, target, classWeight | nil, average) */
int bind_nll_forward(lua_State *L) {
  dn_tensor *loss = bind_check_tensor(L, 1);
  const dn_tensor *log_probabilities = bind_check_tensor(L, 2), *target = bind_check_tensor(L, 3);
  const dn_tensor *class_weight = bind_optional_tensor(L, 4);
  const bool average = bind_check_boolean(L, 5);
  BIND_TRY(L, dn_nll_forward(loss, log_probabilities, target, class_weight, average));
  return 0;
}

/* nll_backward(dx, target, classWeight | nil, average) */
int bind_nll_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *target = bind_check_tensor(L, 2), *class_weight = bind_optional_tensor(L, 3);
  const bool average = bind_check_boolean(L, 4);
  BIND_TRY(L, dn_nll_backward(dx, target, class_weight, average));
  return 0;
}

/* mse_forward(loss, x, target, average) */
int bind_mse_forward(lua_State *L) {
  dn_tensor *loss = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *target = bind_check_tensor(L, 3);
  const bool average = bind_check_boolean(L, 4);
  BIND_TRY(L, dn_mse_forward(loss, x, target, average));
  return 0;
}

/* mse_backward(dx, x, target, average) */
int bind_mse_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *target = bind_check_tensor(L, 3);
  const bool average = bind_check_boolean(L, 4);
  BIND_TRY(L, dn_mse_backward(dx, x, target, average));
  return 0;
}

/* ---- Parameters ---- */

/*
** sgd_step(parameter, velocity | nil, gradient, learningRate, momentum, dampening, weightDecay,
** nesterov, isFirst)
*/
int bind_sgd_step(lua_State *L) {
  dn_tensor *parameter = bind_check_tensor(L, 1), *velocity = bind_optional_tensor(L, 2);
  const dn_tensor *gradient = bind_check_tensor(L, 3);
  const dn_sgd options = {.learning_rate = luaL_checknumber(L, 4),
                          .momentum = luaL_checknumber(L, 5),
                          .dampening = luaL_checknumber(L, 6),
                          .weight_decay = luaL_checknumber(L, 7),
                          .nesterov = bind_check_boolean(L, 8),
                          .is_first = bind_check_boolean(L, 9)};
  BIND_TRY(L, dn_sgd_step(parameter, velocity, gradient, options));
  return 0;
}
