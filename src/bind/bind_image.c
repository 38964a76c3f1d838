/*
** core.image_*: transforms of single host images and the one pass that fills a training batch.
** All write into their first argument and return nothing; misuse raises.
*/
#include "../dn_image.h"
#include "../dn_image_moments.h"
#include "bind_handle.h"
#include "bind_init.h"

/* core.image_flip(out, image) */
static int image_flip(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  BIND_TRY(L, dn_image_flip(out, in));
  return 0;
}

/* core.image_crop(out, image, top, left): offsets in pixels from 0, outside is filled with 0 */
static int image_crop(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  const lua_Integer top = luaL_checkinteger(L, 3), left = luaL_checkinteger(L, 4);
  BIND_TRY(L, dn_image_crop(out, in, top, left));
  return 0;
}

static const char *const filter_names[] = {"bilinear", "bicubic", "torch", NULL};

/* core.image_resize(out, image, filter): to out's size; byte from byte as PIL does */
static int image_resize(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  const dn_image_filter filter = (dn_image_filter)luaL_checkoption(L, 3, NULL, filter_names);
  BIND_TRY(L, dn_image_resize(out, in, filter));
  return 0;
}

/*
** core.image_resample(out, image, filter, scaled height, scaled width, first row, first column
**                     [, top, left, height, width]): the rectangle, by default the whole image, is
** scaled, and out is what begins at (first row, first column) of that. Places count from 0.
*/
static int image_resample(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  const dn_image_filter filter = (dn_image_filter)luaL_checkoption(L, 3, NULL, filter_names);
  const bool is_image = in->n_dim == 3;
  const dn_image_window window = {
      .scaled_height = luaL_checkinteger(L, 4),
      .scaled_width = luaL_checkinteger(L, 5),
      .first_row = luaL_checkinteger(L, 6),
      .first_column = luaL_checkinteger(L, 7),
      .top = luaL_optinteger(L, 8, 0),
      .left = luaL_optinteger(L, 9, 0),
      .height = luaL_optinteger(L, 10, is_image ? in->size[1] : 0),
      .width = luaL_optinteger(L, 11, is_image ? in->size[2] : 0),
  };
  BIND_TRY(L, dn_image_resample(out, in, window, filter));
  return 0;
}

/* core.image_rotate(out, image, radians) */
static int image_rotate(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  const lua_Number angle = luaL_checknumber(L, 3);
  BIND_TRY(L, dn_image_rotate(out, in, angle));
  return 0;
}

/* [-> userdata that owns the array] The numbers of the list at `arg`; *n_numbers: how many. */
static double *check_numbers(lua_State *L, int arg, int *n_numbers) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const lua_Unsigned length = lua_rawlen(L, arg);
  luaL_argcheck(L, length <= 1 << 16, arg, "too many numbers");
  double *numbers = lua_newuserdatauv(L, (size_t)length * sizeof *numbers, 0);
  for (lua_Unsigned i = 0; i < length; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    int is_number;
    numbers[i] = lua_tonumberx(L, -1, &is_number);
    luaL_argcheck(L, is_number, arg, "must be a list of numbers");
    lua_pop(L, 1);
  }
  *n_numbers = (int)length;
  return numbers;
}

static void check_same_count(lua_State *L, int arg, int n_mean, int n_deviation) {
  luaL_argcheck(L, n_mean == n_deviation, arg,
                "as many standard deviations as means are needed, one a channel");
}

/* core.image_normalize(out, image, {mean, ...}, {deviation, ...}) */
static int image_normalize(lua_State *L) {
  dn_tensor *out = bind_check_tensor(L, 1), *in = bind_check_tensor(L, 2);
  int n_mean, n_deviation;
  const double *mean = check_numbers(L, 3, &n_mean);
  const double *deviation = check_numbers(L, 4, &n_deviation);
  check_same_count(L, 4, n_mean, n_deviation);
  BIND_TRY(L, dn_image_normalize(out, in, n_mean, mean, deviation));
  return 0;
}

/* A probability at FLIP, pixels of padding at PADDING; nil: no flips, no crops. */
static dn_image_recipe check_recipe(lua_State *L, int flip, int padding) {
  const dn_image_recipe recipe = {
      .flips = !lua_isnoneornil(L, flip),
      .flip_probability = luaL_optnumber(L, flip, 0),
      .crops = !lua_isnoneornil(L, padding),
      .padding = luaL_optinteger(L, padding, 0),
  };
  luaL_argcheck(L, recipe.padding >= 0 && recipe.padding <= 1 << 24, padding,
                "padding must be 0 to 2^24 pixels");
  return recipe;
}

/*
** core.image_augment_batch(out, images, order, first, {mean, ...}, {deviation, ...}, seed, stream
**                          [, flip, padding])
** Image i of out N,C,h,w (float or double) is made from image k = order[first + i - 1] of images
** M,C,H,W (byte): normalised; mirrored with probability `flip`; cropped from a random place after
** `padding` zeros were added on each side. Its random numbers are those of (seed, stream + k).
*/
static int image_augment_batch(lua_State *L) {
  enum { OUT = 1, IMAGES, ORDER, FIRST, MEAN, DEVIATION, SEED, STREAM, FLIP, PADDING };
  dn_tensor *out = bind_check_tensor(L, OUT), *images = bind_check_tensor(L, IMAGES);
  const dn_tensor *order = bind_check_tensor(L, ORDER);
  const lua_Integer first = luaL_checkinteger(L, FIRST);
  const uint64_t seed = (uint64_t)luaL_checkinteger(L, SEED);
  const uint64_t stream = (uint64_t)luaL_checkinteger(L, STREAM);
  const dn_image_recipe recipe = check_recipe(L, FLIP, PADDING);
  int n_mean, n_deviation;
  const double *mean = check_numbers(L, MEAN, &n_mean);
  const double *deviation = check_numbers(L, DEVIATION, &n_deviation);
  check_same_count(L, DEVIATION, n_mean, n_deviation);
  luaL_argcheck(L, out->n_dim == 4, OUT, "a batch of images is N,C,H,W");
  luaL_argcheck(L, images->n_dim == 4, IMAGES, "images are M,C,H,W");
  luaL_argcheck(L, !dn_tensor_overlaps(out, images), OUT,
                "shares memory with the images it is made from");
  luaL_argcheck(
      L, order->dtype == DN_LONG && order->n_dim == 1 && order->storage->device == dn_device_cpu(),
      ORDER, "must be a vector of long on cpu");
  luaL_argcheck(L, first >= 1 && first - 1 <= order->size[0] - out->size[0], FIRST,
                "the order has fewer images left than the batch takes");

  const int64_t *order_data = dn_tensor_data(order);
  for (int64_t i = 0; i < out->size[0]; i++) {
    const int64_t k = order_data[(first - 1 + i) * order->stride[0]];
    luaL_argcheck(L, k >= 1, ORDER, "images count from 1");
    const dn_rng rng = {.seed = seed, .stream = stream + (uint64_t)k};
    dn_image_augmentation how;
    dn_status status = dn_image_draw(recipe, rng, images->size + 2, out->size + 2, &how);
    if (status != DN_OK) return bind_raise(L, status);
    status = dn_image_augment(out, i, images, k - 1, how, n_mean, mean, deviation);
    if (status == DN_OK) continue;
    /* Where the argument that C counts stands in this function's list. */
    static const int argument[] = {OUT, OUT, OUT, IMAGES, ORDER, PADDING, MEAN, DEVIATION};
    return luaL_argerror(L, argument[dn_error_argument_index()], dn_error_message());
  }
  return 0;
}

/* core.image_moments(images) -> {sum}, {sum of squares}: whole numbers, one a channel */
static int image_moments(lua_State *L) {
  const dn_tensor *images = bind_check_tensor(L, 1);
  const int64_t n_channels = images->n_dim > 1 ? images->size[1] : 0;
  luaL_argcheck(L, n_channels <= 1 << 16, 1, "too many channels");
  int64_t *sums = lua_newuserdatauv(L, 2 * (size_t)n_channels * sizeof *sums, 0);
  BIND_TRY(L, dn_image_moments(images, sums, sums + n_channels));
  for (int moment = 0; moment < 2; moment++) {
    lua_createtable(L, (int)n_channels, 0);
    for (int64_t c = 0; c < n_channels; c++) {
      lua_pushinteger(L, sums[moment * n_channels + c]);
      lua_rawseti(L, -2, c + 1);
    }
  }
  return 2;
}

void bind_register_image(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"image_flip", image_flip},
      {"image_crop", image_crop},
      {"image_resize", image_resize},
      {"image_resample", image_resample},
      {"image_rotate", image_rotate},
      {"image_normalize", image_normalize},
      {"image_augment_batch", image_augment_batch},
      {"image_moments", image_moments},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
