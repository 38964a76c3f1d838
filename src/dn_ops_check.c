#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The row that first used a letter, and along which of its dimensions. */
typedef struct binding {
  const dn_arg *arg;
  int dim;
} binding;

enum { N_LETTERS = 26, WHOLE_SHAPE = N_LETTERS, N_BINDINGS };

static const char *text_of(const dn_arg *arg, char *text) {
  return dn_tensor_shape_text(arg->tensor, text);
}

static dn_status check_present(const dn_arg *arg) {
  if (!arg->tensor) return dn_error_argument(arg->number, "%s is missing", arg->name);
  if (!arg->tensor->storage) return dn_error_argument(arg->number, "%s has been freed", arg->name);
  return DN_OK;
}

static dn_status check_device(const dn_arg *arg, const dn_arg *leader) {
  const dn_device *here = arg->tensor->storage->device;
  const dn_device *there = leader->tensor->storage->device;
  if (here == there || (arg->traits & DN_ANY_DEVICE)) return DN_OK;
  return dn_error_argument(arg->number, "%s is on %s; expected %s, where %s is", arg->name,
                           here->name, there->name, leader->name);
}

static dn_status check_dtype_class(const dn_arg *arg, dn_dtype_class dtypes) {
  const dn_dtype dtype = arg->tensor->dtype;
  const bool computes = dtype == DN_FLOAT || dtype == DN_DOUBLE;
  if (dtypes == DN_CLASS_ANY || computes) return DN_OK;
  if (dtypes == DN_CLASS_REAL && dn_dtype_is_real(dtype)) return DN_OK;
  return dn_error_argument(
      arg->number, "%s is %s; expected %s", arg->name, dn_dtype_name(dtype),
      dtypes == DN_CLASS_REAL ? "float, double, half or bfloat16" : "float or double");
}

static dn_status check_parameter_dtype(const dn_arg *arg, const dn_arg *leader) {
  const dn_dtype given = leader->tensor->dtype, dtype = arg->tensor->dtype;
  const dn_dtype expected = given == DN_DOUBLE ? DN_DOUBLE : DN_FLOAT;
  if (dtype == expected) return DN_OK;
  if (given == expected)
    return dn_error_argument(arg->number, "%s is %s; expected %s, as %s is", arg->name,
                             dn_dtype_name(dtype), dn_dtype_name(expected), leader->name);
  return dn_error_argument(arg->number, "%s is %s; expected %s, which goes with %s in %s",
                           arg->name, dn_dtype_name(dtype), dn_dtype_name(expected), leader->name,
                           dn_dtype_name(given));
}

/* *leader: the row whose dtype the others share, NULL until there is one. */
static dn_status check_dtype(const dn_arg *arg, dn_dtype_class dtypes, const dn_arg **leader) {
  const dn_dtype dtype = arg->tensor->dtype;
  if (arg->traits & DN_ANY_DTYPE) return DN_OK;
  if (arg->traits & (DN_IS_LONG | DN_IS_BYTE)) {
    const dn_dtype expected = arg->traits & DN_IS_LONG ? DN_LONG : DN_BYTE;
    if (dtype == expected) return DN_OK;
    return dn_error_argument(arg->number, "%s is %s; expected %s", arg->name, dn_dtype_name(dtype),
                             dn_dtype_name(expected));
  }
  if (!*leader) {
    *leader = arg;
    return check_dtype_class(arg, dtypes);
  }
  if (arg->traits & DN_PARAMETER) return check_parameter_dtype(arg, *leader);
  const dn_dtype expected = (*leader)->tensor->dtype;
  if (dtype == expected) return DN_OK;
  return dn_error_argument(arg->number, "%s is %s; expected %s, as %s is", arg->name,
                           dn_dtype_name(dtype), dn_dtype_name(expected), (*leader)->name);
}

/* "NCHW" -> "N,C,H,W". */
static const char *with_commas(const char *letters, char *text) {
  char *end = text;
  for (const char *letter = letters; *letter; letter++) {
    if (letter > letters) *end++ = ',';
    *end++ = *letter;
  }
  *end = '\0';
  return text;
}

static dn_status check_whole_shape(const dn_arg *arg, binding *bound) {
  if (!bound->arg) bound->arg = arg;
  if (dn_tensor_same_shape(arg->tensor, bound->arg->tensor)) return DN_OK;
  char got[DN_SHAPE_TEXT], expected[DN_SHAPE_TEXT];
  return dn_error_argument(arg->number, "%s is %s; expected %s, as %s is", arg->name,
                           text_of(arg, got), text_of(bound->arg, expected), bound->arg->name);
}

static bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

static dn_status check_shape(const dn_arg *arg, binding bound[N_BINDINGS]) {
  if (!arg->shape) return DN_OK;
  if (strcmp(arg->shape, "*") == 0) return check_whole_shape(arg, &bound[WHOLE_SHAPE]);
  char got[DN_SHAPE_TEXT], letters[2 * DN_MAX_DIM], expected[DN_SHAPE_TEXT];
  const int n_dim = (int)strlen(arg->shape);
  if (arg->tensor->n_dim != n_dim)
    return dn_error_argument(arg->number, "%s is %s; expected %d dimension%s, %s", arg->name,
                             text_of(arg, got), n_dim, n_dim == 1 ? "" : "s",
                             with_commas(arg->shape, letters));
  for (int d = 0; d < n_dim; d++) {
    if (is_digit(arg->shape[d])) {
      if (arg->tensor->size[d] == arg->shape[d] - '0') continue;
      return dn_error_argument(arg->number, "%s is %s; expected %s", arg->name, text_of(arg, got),
                               with_commas(arg->shape, letters));
    }
    binding *first = &bound[arg->shape[d] - 'A'];
    if (!first->arg) *first = (binding){arg, d};
    const int64_t size = first->arg->tensor->size[first->dim];
    if (arg->tensor->size[d] != size)
      return dn_error_argument(
          arg->number, "%s is %s; expected %s with %c = %" PRId64 ", as in %s %s", arg->name,
          text_of(arg, got), with_commas(arg->shape, letters), arg->shape[d], size,
          first->arg->name, text_of(first->arg, expected));
  }
  return DN_OK;
}

static bool has_contiguous_planes(const dn_tensor *tensor) {
  const int h = tensor->n_dim - 2, w = tensor->n_dim - 1;
  return (tensor->size[w] <= 1 || tensor->stride[w] == 1) &&
         (tensor->size[h] <= 1 || tensor->stride[h] == tensor->size[w]);
}

static bool has_contiguous_rows(const dn_tensor *tensor) {
  const int last = tensor->n_dim - 1;
  return tensor->size[last] <= 1 || tensor->stride[last] == 1;
}

static dn_status check_layout(const dn_arg *arg) {
  char got[DN_SHAPE_TEXT];
  if ((arg->traits & DN_FILLED) && dn_tensor_count(arg->tensor) == 0)
    return dn_error_argument(arg->number, "%s is %s; expected at least one element", arg->name,
                             text_of(arg, got));
  if ((arg->traits & DN_CONTIGUOUS) && !dn_tensor_is_contiguous(arg->tensor))
    return dn_error_argument(arg->number,
                             "%s is a view of %s with gaps or in another order; expected a "
                             "contiguous tensor",
                             arg->name, text_of(arg, got));
  if ((arg->traits & DN_PLANES) && !has_contiguous_planes(arg->tensor))
    return dn_error_argument(arg->number,
                             "%s is a view of %s with gaps within its planes; expected each "
                             "%" PRId64 "x%" PRId64 " plane to be contiguous",
                             arg->name, text_of(arg, got),
                             arg->tensor->size[arg->tensor->n_dim - 2],
                             arg->tensor->size[arg->tensor->n_dim - 1]);
  if ((arg->traits & DN_ROWS) && !has_contiguous_rows(arg->tensor))
    return dn_error_argument(arg->number,
                             "%s is a view of %s with gaps within its rows; expected each row of "
                             "%" PRId64 " to be contiguous",
                             arg->name, text_of(arg, got),
                             arg->tensor->size[arg->tensor->n_dim - 1]);
  return DN_OK;
}

static dn_status check_elements_apart(const dn_arg *output) {
  const dn_tensor *tensor = output->tensor;
  if (dn_tensor_count(tensor) == 0) return DN_OK;
  for (int d = 0; d < tensor->n_dim; d++) {
    char got[DN_SHAPE_TEXT];
    if (tensor->size[d] > 1 && tensor->stride[d] == 0)
      return dn_error_argument(output->number,
                               "%s is expanded along dimension %d of %s; expected an output whose "
                               "elements lie apart",
                               output->name, d + 1, text_of(output, got));
  }
  return DN_OK;
}

dn_status dn_check_overlap(const dn_arg *output, const dn_arg *other) {
  if (!dn_tensor_overlaps(output->tensor, other->tensor)) return DN_OK;
  if (!(other->traits & DN_IN_PLACE))
    return dn_error_argument(output->number, "%s overlaps %s; expected memory of its own",
                             output->name, other->name);
  if (dn_tensor_is_same_view(output->tensor, other->tensor)) return DN_OK;
  return dn_error_argument(output->number,
                           "%s overlaps %s; expected the very same view or memory of its own",
                           output->name, other->name);
}

static dn_status check_output(const dn_arg *output, int n_args, const dn_arg *args) {
  DN_TRY(check_elements_apart(output));
  for (int i = 0; i < n_args; i++)
    if (&args[i] != output && args[i].tensor && !(args[i].traits & DN_AFTERWARDS))
      DN_TRY(dn_check_overlap(output, &args[i]));
  return DN_OK;
}

dn_status dn_check(dn_dtype_class dtypes, int n_args, const dn_arg *args) {
  binding bound[N_BINDINGS] = {{NULL, 0}};
  const dn_arg *place = NULL, *type = NULL;
  for (int i = 0; i < n_args; i++) {
    const dn_arg *arg = &args[i];
    if (!arg->tensor && (arg->traits & DN_OPTIONAL)) continue;
    DN_TRY(check_present(arg));
    if (!place) place = arg;
    DN_TRY(check_device(arg, place));
    DN_TRY(check_dtype(arg, dtypes, &type));
    DN_TRY(check_shape(arg, bound));
    DN_TRY(check_layout(arg));
  }
  for (int i = 0; i < n_args; i++)
    if (args[i].tensor && (args[i].traits & DN_OUT)) DN_TRY(check_output(&args[i], n_args, args));
  return DN_OK;
}

dn_status dn_check_broadcast(const dn_arg *a, const dn_tensor *y) {
  const int added = y->n_dim - a->tensor->n_dim;
  bool fits = added >= 0;
  for (int d = 0; fits && d < a->tensor->n_dim; d++)
    fits = a->tensor->size[d] == 1 || a->tensor->size[d] == y->size[d + added];
  if (fits) return DN_OK;
  char got[DN_SHAPE_TEXT], expected[DN_SHAPE_TEXT];
  return dn_error_argument(a->number, "%s is %s; expected a shape that broadcasts to y's %s",
                           a->name, text_of(a, got), dn_tensor_shape_text(y, expected));
}

dn_status dn_check_together(const dn_arg *a, const dn_arg *b) {
  if (!a->tensor == !b->tensor) return DN_OK;
  const dn_arg *given = a->tensor ? a : b, *missing = a->tensor ? b : a;
  return dn_error_argument(missing->number, "%s is missing; expected it together with %s",
                           missing->name, given->name);
}

dn_status dn_check_finite(int number, const char *name, double value, double least) {
  if (isfinite(value) && value >= least) return DN_OK;
  if (least > -INFINITY)
    return dn_error_argument(number, "%s is %g; expected a finite number, %g or more", name, value,
                             least);
  return dn_error_argument(number, "%s is %g; expected a finite number", name, value);
}

dn_status dn_check_number(int number, const char *name, dn_number *given, const dn_tensor *with) {
  const dn_tensor *at = given->at;
  const dn_device *device = with->storage->device;
  if (!at) return DN_OK;
  if (!dn_dtype_is_real(with->dtype))
    return dn_error_argument(number, "%s is in memory; expected a number, as for all %s tensors",
                             name, dn_dtype_name(with->dtype));
  if (at->dtype != DN_DOUBLE || dn_tensor_count(at) != 1 || at->storage->device != device) {
    char text[DN_SHAPE_TEXT];
    return dn_error_argument(number, "%s is %s %s on %s; expected a number, or one double on %s",
                             name, dn_dtype_name(at->dtype), dn_tensor_shape_text(at, text),
                             at->storage->device->name, device->name);
  }
  if (device != device->host) return DN_OK;
  given->value = *(const double *)dn_tensor_data(at);
  given->at = NULL;
  return DN_OK;
}

dn_status dn_error_missing(dn_op op, const dn_tensor *tensor) {
  return dn_error(DN_EDEVICE, "%s has no '%s' yet (cpu has)", dn_backend_of(tensor)->name,
                  dn_op_name(op));
}
