/*
** The dense layer's operations as Lua calls them. Tables (stats, norm, dnorm, deferred) are 2-d
** tensors.
*/
#include "bind_ops.h"

/* channel_stats(stats, x) */
int bind_channel_stats(lua_State *L) {
  dn_tensor *stats = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_channel_stats(stats, x));
  return 0;
}

/*
** norm_table(norm, runningMean | nil, runningVar | nil, stats, gamma, beta, nValues, momentum,
** epsilon)
*/
int bind_norm_table(lua_State *L) {
  dn_tensor *norm = bind_check_tensor(L, 1);
  dn_tensor *running_mean = bind_optional_tensor(L, 2);
  dn_tensor *running_var = bind_optional_tensor(L, 3);
  const dn_tensor *stats = bind_check_tensor(L, 4);
  const dn_tensor *gamma = bind_check_tensor(L, 5), *beta = bind_check_tensor(L, 6);
  const int64_t n_values = luaL_checkinteger(L, 7);
  const double momentum = luaL_checknumber(L, 8), epsilon = luaL_checknumber(L, 9);
  BIND_TRY(L, dn_norm_table(norm, running_mean, running_var, stats, gamma, beta, n_values, momentum,
                            epsilon));
  return 0;
}

/* norm_relu_conv_forward(y, stats | nil, x, norm, weight) */
int bind_norm_relu_conv_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1), *stats = bind_optional_tensor(L, 2);
  const dn_tensor *x = bind_check_tensor(L, 3), *norm = bind_check_tensor(L, 4);
  const dn_tensor *weight = bind_check_tensor(L, 5);
  BIND_TRY(L, dn_norm_relu_conv_forward(y, stats, x, norm, weight));
  return 0;
}

/*
** norm_relu_conv_backward(dx, dnorm, dweight, dy, y | nil, deferred | nil, x, norm, weight,
** accumulate, scale)
*/
int bind_norm_relu_conv_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1), *dnorm = bind_check_tensor(L, 2);
  dn_tensor *dweight = bind_check_tensor(L, 3);
  const dn_tensor *dy = bind_check_tensor(L, 4), *y = bind_optional_tensor(L, 5);
  const dn_tensor *deferred = bind_optional_tensor(L, 6);
  const dn_tensor *x = bind_check_tensor(L, 7), *norm = bind_check_tensor(L, 8);
  const dn_tensor *weight = bind_check_tensor(L, 9);
  const bool accumulate = bind_check_boolean(L, 10);
  const double scale = luaL_checknumber(L, 11);
  BIND_TRY(L, dn_norm_relu_conv_backward(dx, dnorm, dweight, dy, y, deferred, x, norm, weight,
                                         accumulate, scale));
  return 0;
}

/* norm_relu_pool_forward(y, x, norm, windowH, windowW) */
int bind_norm_relu_pool_forward(lua_State *L) {
  dn_tensor *y = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *norm = bind_check_tensor(L, 3);
  const int64_t window_h = luaL_checkinteger(L, 4), window_w = luaL_checkinteger(L, 5);
  BIND_TRY(L, dn_norm_relu_pool_forward(y, x, norm, window_h, window_w));
  return 0;
}

/* norm_relu_pool_backward(dx, dnorm, dy, x, norm, windowH, windowW, accumulate) */
int bind_norm_relu_pool_backward(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1), *dnorm = bind_check_tensor(L, 2);
  const dn_tensor *dy = bind_check_tensor(L, 3), *x = bind_check_tensor(L, 4);
  const dn_tensor *norm = bind_check_tensor(L, 5);
  const int64_t window_h = luaL_checkinteger(L, 6), window_w = luaL_checkinteger(L, 7);
  const bool accumulate = bind_check_boolean(L, 8);
  BIND_TRY(L, dn_norm_relu_pool_backward(dx, dnorm, dy, x, norm, window_h, window_w, accumulate));
  return 0;
}

/* deferred_update(deferred, dnorm, norm, nValues, accumulate) */
int bind_deferred_update(lua_State *L) {
  dn_tensor *deferred = bind_check_tensor(L, 1);
  const dn_tensor *dnorm = bind_check_tensor(L, 2), *norm = bind_check_tensor(L, 3);
  const int64_t n_values = luaL_checkinteger(L, 4);
  const bool accumulate = bind_check_boolean(L, 5);
  BIND_TRY(L, dn_deferred_update(deferred, dnorm, norm, n_values, accumulate));
  return 0;
}

/* deferred_apply(dx, x, deferred) */
int bind_deferred_apply(lua_State *L) {
  dn_tensor *dx = bind_check_tensor(L, 1);
  const dn_tensor *x = bind_check_tensor(L, 2), *deferred = bind_check_tensor(L, 3);
  BIND_TRY(L, dn_deferred_apply(dx, x, deferred));
  return 0;
}
