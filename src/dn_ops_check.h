/*
** Private to the front door: what an operation asks of its tensors, written as a table.
**
** One row an argument, in the order in which the expectations arise: the rows above say what the
** rows below must look like. Letters stand for sizes; the first row that uses a letter gives it its
** value and every later one must agree, so
**     {2, "x", x, "NC", 0}, {3, "weight", weight, "KC", 0}, {1, "y", y, "NK", DN_OUT}
** is the whole shape rule of a matrix product, and a wrong y is y's fault, not x's. A digit stands
** for itself: "4C" is a table of four rows.
*/
#ifndef DN_OPS_CHECK_H
#define DN_OPS_CHECK_H

#include "dn_backend.h"
#include "dn_written.h"

/* What a row allows or demands beyond its shape. */
enum {
  DN_OUT = 1 << 0,        /* written: its elements lie apart, and no other row overlaps it */
  DN_IN_PLACE = 1 << 1,   /* read, and may be the very same view as an output */
  DN_OPTIONAL = 1 << 2,   /* may be NULL */
  DN_CONTIGUOUS = 1 << 3, /* row-major without gaps */
  DN_PLANES = 1 << 4,     /* each plane of the last two dimensions is contiguous */
  DN_FILLED = 1 << 5,     /* has at least one element */
  DN_IS_LONG = 1 << 6,    /* has this dtype instead of the one that the others share */
  DN_IS_BYTE = 1 << 7,
  DN_ANY_DTYPE = 1 << 8, /* may differ from the others */
  DN_ROWS = 1 << 9,      /* each row of the last dimension is contiguous */
  /* goes with the first row, an activation: double where that is double, else float */
  DN_PARAMETER = 1 << 10,
  DN_ANY_DEVICE = 1 << 11, /* may be elsewhere than the others */
  DN_AFTERWARDS = 1 << 12  /* read when the outputs are there, and may hold some of them */
};

/* Which dtype the rows without a dtype of their own may share. */
typedef enum dn_dtype_class {
  DN_CLASS_ANY,
  DN_CLASS_REAL,   /* float, double, half, bfloat16 */
  DN_CLASS_COMPUTE /* float, double */
} dn_dtype_class;

typedef struct dn_arg {
  int number; /* from 1, as the operation declares it */
  const char *name;
  const dn_tensor *tensor;
  /* a letter or digit a dimension; "*": any, but the same in every such row; NULL: any */
  const char *shape;
  unsigned traits;
} dn_arg;

/* Refuses the first row that is missing, freed, elsewhere, or of another dtype, shape or layout. */
dn_status dn_check(dn_dtype_class dtypes, int n_args, const dn_arg *args);

#define DN_CHECK(dtypes, ...)                                                     \
  dn_check(dtypes, (int)(sizeof((const dn_arg[]){__VA_ARGS__}) / sizeof(dn_arg)), \
           (const dn_arg[]){__VA_ARGS__})

/* For rows that only turn out later: may `output` be written while `other` is part of the call? */
dn_status dn_check_overlap(const dn_arg *output, const dn_arg *other);

/* a broadcasts to y's shape, as dn_tensor_expand would make it. */
dn_status dn_check_broadcast(const dn_arg *a, const dn_tensor *y);

/* Both or neither of two optional rows. */
dn_status dn_check_together(const dn_arg *a, const dn_arg *b);

/* A finite number, `least` (which may be -INFINITY) or more. */
dn_status dn_check_finite(int number, const char *name, double value, double least);

/*
** `number` of an operation whose first tensor is `with`: what it has in memory has to be one double on that device,
** and is read here where memory is the host's, so that backends of the CPU find `value`. Real dtypes only.
*/
dn_status dn_check_number(int number, const char *name, dn_number *given, const dn_tensor *with);

/*
** dn_conv2d_output_size and dn_pool2d_output_size for a caller whose options begin elsewhere in its
** list of arguments; a struct counts as its fields, one after the other, as Lua passes them.
*/
dn_status dn_check_conv2d_size(const int64_t input[2], const int64_t kernel[2], dn_conv2d options,
                               const int kernel_number[2], int options_number, int64_t output[2]);
dn_status dn_check_pool2d_size(const int64_t input[2], dn_pool2d options, int options_number,
                               int64_t output[2]);

static inline const dn_backend *dn_backend_of(const dn_tensor *tensor) {
  return tensor->storage->device->backend;
}

/* Says that `tensor`'s backend has no such operation; returns DN_EDEVICE. */
dn_status dn_error_missing(dn_op op, const dn_tensor *tensor);

/* The operation of dn_ops.def on its first argument's device; all arguments have been checked. */
#define DN_RUN(op, first, ...)                                                                 \
  (dn_written_##op((first), __VA_ARGS__), dn_backend_of(first)->op                             \
                                              ? dn_backend_of(first)->op((first), __VA_ARGS__) \
                                              : dn_error_missing(DN_OP_##op, first))

#endif
