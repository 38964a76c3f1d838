/*
** One image from its file into a batch, for Lua, in one call.
**
**   image_steps(description) -> steps, checked once and used for every image. The description is a table:
**     cut        "middle" or "randomSized"
**     scale      pixels, 0 for none (middle only)
**     crop       pixels, 0 for none (middle only)
**     smallestArea  (randomSized only) share of the image that a rectangle has at least
**     rounding   "up" or "even"
**     filter     "bilinear" or "bicubic"
**     fastDecode true for JPEGs made smaller while they are decoded, where the cut allows it
**     1, 2, ...  what happens to colours and sides, in order: tables with `kind`,
**                "brightness", "contrast", "saturation"   range
**                "jitter"      brightness, contrast, saturation: ranges, 0 for none
**                "lighting"    deviation, eigenvalues {3}, eigenvectors {{3}, {3}, {3}}
**                "normalize"   mean {C}, std {C}
**                "flip"        probability
**                "erase"       probability; the last one
**   image_load(out, index, source, steps, seed, stream) -> true; or nil, message, code for a file that is
**     bad. Image `index` of the batch out N,C,h,w (float or double) becomes the image of the file `source`, or
**     the byte tensor C,H,W, by the steps, with the random numbers of (seed, stream). Misuse raises, as does an
**     image that is smaller than the crop.
*/
#include <math.h>
#include <string.h>

#include "../dn_image_read.h"
#include "../dn_image_steps.h"
#include "bind_handle.h"
#include "bind_init.h"

#define BIND_IMAGE_STEPS "densenet.image_steps"

enum { MOST_STEPS = 64, MOST_CHANNELS = 1 << 16, LARGEST_SIDE = 1 << 24 };

/* Each raises and names the field of the table at `index`. */
static double check_number(lua_State *L, int index, const char *field) {
  lua_getfield(L, index, field);
  int is_number;
  const double number = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !isfinite(number)) luaL_error(L, "image_steps: %s: a number expected", field);
  lua_pop(L, 1);
  return number;
}

static int64_t check_pixels(lua_State *L, const char *field, int64_t least) {
  lua_getfield(L, 1, field);
  int is_integer;
  const lua_Integer pixels = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || pixels < least || pixels > LARGEST_SIDE)
    luaL_error(L, "image_steps: %s: %d to 2^24 pixels expected", field, (int)least);
  lua_pop(L, 1);
  return pixels;
}

static int check_word(lua_State *L, int index, const char *field, const char *const words[]) {
  lua_getfield(L, index, field);
  const char *word = lua_tostring(L, -1);
  for (int i = 0; word && words[i]; i++)
    if (strcmp(word, words[i]) == 0) {
      lua_pop(L, 1);
      return i;
    }
  return luaL_error(L, "image_steps: %s: no such %s", field, field);
}

/* [-> list] How many numbers the list `field` of the table at `index` has: `wanted`, or any for 0. */
static int push_list(lua_State *L, int index, const char *field, int wanted) {
  lua_getfield(L, index, field);
  const lua_Unsigned n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  if (n < 1 || n > MOST_CHANNELS || (wanted && n != (lua_Unsigned)wanted))
    luaL_error(L, "image_steps: %s: a list of numbers expected", field);
  return (int)n;
}

/* [list ->] */
static void pop_numbers(lua_State *L, const char *field, int n, double *numbers) {
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    int is_number;
    numbers[i] = lua_tonumberx(L, -1, &is_number);
    if (!is_number || !isfinite(numbers[i]))
      luaL_error(L, "image_steps: %s: numbers expected", field);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/*
** The numbers of a normalisation belong to a userdata that the steps' user value `slot` holds on to. The
** steps are at stack index 2.
*/
static void read_normalization(lua_State *L, int index, int slot, dn_image_step *step) {
  const int n = push_list(L, index, "mean", 0);
  lua_pop(L, 1);
  double *numbers = lua_newuserdatauv(L, 2 * (size_t)n * sizeof *numbers, 0);
  lua_setiuservalue(L, 2, slot);
  push_list(L, index, "mean", n);
  pop_numbers(L, "mean", n, numbers);
  push_list(L, index, "std", n);
  pop_numbers(L, "std", n, numbers + n);
  for (int c = 0; c < n; c++)
    if (!(numbers[n + c] > 0)) luaL_error(L, "image_steps: std: numbers above 0 expected");
  step->n_channels = n;
  step->mean = numbers;
  step->spread = numbers + n;
}

static void read_lighting(lua_State *L, int index, dn_image_step *step) {
  step->deviation = check_number(L, index, "deviation");
  push_list(L, index, "eigenvalues", 3);
  pop_numbers(L, "eigenvalues", 3, step->eigenvalues);
  lua_getfield(L, index, "eigenvectors");
  luaL_checktype(L, -1, LUA_TTABLE);
  for (int c = 0; c < 3; c++) {
    lua_rawgeti(L, -1, c + 1);
    if (!lua_istable(L, -1) || lua_rawlen(L, -1) != 3)
      luaL_error(L, "image_steps: eigenvectors: three lists of three numbers expected");
    pop_numbers(L, "eigenvectors", 3, step->eigenvectors[c]);
  }
  lua_pop(L, 1);
}

/* The step that the table at `index` describes. */
static void read_step(lua_State *L, int index, int slot, dn_image_step *step) {
  static const char *const kinds[] = {"brightness", "contrast", "saturation", "jitter", "lighting",
                                      "normalize",  "flip",     "erase",      NULL};
  static const char *const blends[] = {"brightness", "contrast", "saturation"};
  step->kind = (dn_image_step_kind)check_word(L, index, "kind", kinds);
  switch (step->kind) {
    case DN_IMAGE_JITTER:
      for (int i = 0; i < 3; i++) step->range[i] = check_number(L, index, blends[i]);
      break;
    case DN_IMAGE_LIGHTING:
      read_lighting(L, index, step);
      break;
    case DN_IMAGE_NORMALIZE:
      read_normalization(L, index, slot, step);
      break;
    case DN_IMAGE_FLIP:
    case DN_IMAGE_ERASE:
      step->probability = check_number(L, index, "probability");
      break;
    default:
      step->range[step->kind] = check_number(L, index, "range");
  }
}

static int image_steps(lua_State *L) {
  static const char *const cuts[] = {"middle", "randomSized", NULL};
  static const char *const roundings[] = {"up", "even", NULL};
  static const char *const filters[] = {"bilinear", "bicubic", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const lua_Unsigned n_steps = lua_rawlen(L, 1);
  luaL_argcheck(L, n_steps <= MOST_STEPS, 1, "too many steps");
  dn_image_steps *steps =
      lua_newuserdatauv(L, sizeof *steps + (size_t)n_steps * sizeof(dn_image_step), (int)n_steps);
  luaL_setmetatable(L, BIND_IMAGE_STEPS);
  dn_image_step *step = (dn_image_step *)(void *)(steps + 1);
  memset(steps, 0, sizeof *steps);
  if (n_steps > 0) memset(step, 0, (size_t)n_steps * sizeof *step);
  steps->cut = (dn_image_cut)check_word(L, 1, "cut", cuts);
  const bool is_random = steps->cut == DN_IMAGE_CUT_RANDOM_SIZED;
  steps->scale = is_random ? 0 : check_pixels(L, "scale", 0);
  steps->crop = check_pixels(L, "crop", is_random ? 1 : 0);
  steps->smallest_area = is_random ? check_number(L, 1, "smallestArea") : 1;
  if (!(steps->smallest_area > 0 && steps->smallest_area <= 1))
    luaL_error(L, "image_steps: smallestArea: a number above 0 and up to 1 expected");
  steps->rounds_even = check_word(L, 1, "rounding", roundings) == 1;
  steps->filter = (dn_image_filter)check_word(L, 1, "filter", filters);
  lua_getfield(L, 1, "fastDecode");
  steps->decodes_reduced = lua_toboolean(L, -1);
  lua_pop(L, 1);
  steps->n_steps = (int)n_steps;
  steps->step = step;
  for (int i = 0; i < (int)n_steps; i++) {
    lua_rawgeti(L, 1, i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_step(L, lua_gettop(L), i + 1, &step[i]);
    lua_pop(L, 1);
  }
  return 1;
}

/* What is decided while a file is read. */
typedef struct deciding {
  const dn_image_steps *steps;
  dn_rng rng;
  dn_image_window window;
} deciding;

static dn_status decide(void *context, int64_t height, int64_t width, int *eighths) {
  deciding *d = context;
  DN_TRY(dn_image_draw_window(d->steps, height, width, &d->rng, &d->window));
  *eighths = dn_image_reduction(d->steps, d->window);
  return DN_OK;
}

/* As one attempt, which may be repeated. The image is the userdata's to drop if this fails. */
static dn_status load(dn_tensor *out, const char *path, const dn_tensor *given,
                      const dn_image_steps *steps, dn_rng rng, dn_tensor *image) {
  deciding d = {.steps = steps, .rng = rng};
  const dn_image_request request = {decide, &d};
  int64_t height, width;
  int eighths;
  if (path) {
    DN_TRY(
        dn_image_read_reduced(path, NULL, 0, (int)out->size[0], &request, &height, &width, image));
    given = image;
  } else {
    height = given->size[1];
    width = given->size[2];
    DN_TRY(decide(&d, height, width, &eighths));
  }
  const dn_status status = dn_image_take_steps(out, given, steps, d.window, height, width, d.rng);
  dn_tensor_free(image);
  return status;
}

static int image_load(lua_State *L) {
  enum { OUT = 1, INDEX, SOURCE, STEPS, SEED, STREAM };
  const dn_tensor *batch = bind_check_tensor(L, OUT);
  const lua_Integer index = luaL_checkinteger(L, INDEX);
  const dn_tensor *given = bind_test_tensor(L, SOURCE);
  const char *path = NULL;
  if (given) {
    bind_check_tensor(L, SOURCE);
    luaL_argcheck(L, given->n_dim == 3, SOURCE, "an image is C,H,W");
  } else {
    size_t length;
    path = luaL_checklstring(L, SOURCE, &length);
    luaL_argcheck(L, strlen(path) == length, SOURCE, "a path cannot hold a zero byte");
  }
  const dn_image_steps *steps = luaL_checkudata(L, STEPS, BIND_IMAGE_STEPS);
  const dn_rng rng = {.seed = (uint64_t)luaL_checkinteger(L, SEED),
                      .stream = (uint64_t)luaL_checkinteger(L, STREAM)};
  luaL_argcheck(L, batch->n_dim == 4, OUT, "a batch of images is N,C,H,W");
  luaL_argcheck(L, index >= 1 && index <= batch->size[0], INDEX, "no such image in the batch");
  luaL_argcheck(L, given || batch->size[1] == 1 || batch->size[1] == 3, OUT,
                "a file is read in 1 or 3 channels");
  dn_tensor *image = bind_push_tensor(L);
  dn_tensor *slot = bind_push_tensor(L);
  BIND_TRY(L, dn_tensor_select(batch, 0, index - 1, slot));
  dn_status status = load(slot, path, given, steps, rng, image);
  if (status == DN_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = load(slot, path, given, steps, rng, image);
  }
  dn_tensor_free(slot);
  if (status == DN_EARG && dn_error_argument_index() > 0) {
    /* Where what C counts as out, image and steps stands in this function's list. */
    static const int argument[] = {0, OUT, SOURCE, STEPS};
    const int at = dn_error_argument_index();
    return luaL_argerror(L, at <= 3 ? argument[at] : STEPS, dn_error_message());
  }
  if (status == DN_EARG || status == DN_ENOMEM) return bind_raise(L, status);
  if (status != DN_OK) return bind_fail(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

void bind_register_image_steps(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"image_steps", image_steps}, {"image_load", image_load}, {NULL, NULL}};
  luaL_newmetatable(L, BIND_IMAGE_STEPS);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
