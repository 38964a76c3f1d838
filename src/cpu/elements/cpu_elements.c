/*
** Arithmetic on elements: unary, binary with a tensor or a number, and y = a + scale b.
**
** Each kind is one loop in each of the three computing types (cpu_chunk.h). Tensors that hold such
** a type without gaps are read and written where they lie; other dtypes and strides pass through
** chunks. Integers wrap around, which C only allows for unsigned ones.
*/
#include <math.h>
#include <stdatomic.h>

#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_element.h"
#include "cpu_rows.h"
#include "../../dn_wide.h"

/* ---- one element, for the reference loops and the kinds that do not vectorise ---- */

/* A dn_unary_kind or dn_binary_kind, and the number of binary_scalar or add_scaled. */
typedef struct operation {
  int kind;
  double number;
  int64_t whole_number;
} operation;

static double unary_one(const operation *op, double x, double unused) {
  (void)unused;
  return dn_unary_double(op->kind, x);
}

static int64_t unary_one_long(const operation *op, int64_t x, int64_t unused) {
  (void)unused;
  return dn_unary_long(op->kind, x);
}

static double binary_one(const operation *op, double a, double b) {
  return dn_binary_double(op->kind, a, b);
}

static int64_t binary_one_long(const operation *op, int64_t a, int64_t b) {
  return dn_binary_long(op->kind, a, b);
}

static double add_scaled_one(const operation *op, double a, double b) { return a + op->number * b; }

static int64_t add_scaled_one_long(const operation *op, int64_t a, int64_t b) {
  return dn_add_long(a, dn_mul_long(op->whole_number, b));
}

/* ---- kernels: n numbers of one computing type, without gaps; y may be a or b ---- */

DN_WIDE static void unary_float(const operation *op, int64_t n, void *to, const void *from,
                                const void *unused) {
  float *y = to;
  const float *x = from;
  (void)unused;
  switch (op->kind) {
    case DN_UNARY_NEG:
      CPU_VECTOR_LOOP(i, n, y[i] = -x[i]);
      return;
    case DN_UNARY_ABS:
      CPU_VECTOR_LOOP(i, n, y[i] = fabsf(x[i]));
      return;
    case DN_UNARY_SIGN:
      CPU_VECTOR_LOOP(i, n, y[i] = x[i] > 0 ? 1.0f : x[i] < 0 ? -1.0f : x[i]);
      return;
    case DN_UNARY_SQUARE:
      CPU_VECTOR_LOOP(i, n, y[i] = x[i] * x[i]);
      return;
    case DN_UNARY_SQRT:
      for (int64_t i = 0; i < n; i++) y[i] = sqrtf(x[i]);
      return;
    case DN_UNARY_EXP:
      for (int64_t i = 0; i < n; i++) y[i] = expf(x[i]);
      return;
    case DN_UNARY_LOG:
      for (int64_t i = 0; i < n; i++) y[i] = logf(x[i]);
      return;
    case DN_UNARY_FLOOR:
      for (int64_t i = 0; i < n; i++) y[i] = floorf(x[i]);
      return;
    default:
      for (int64_t i = 0; i < n; i++) y[i] = dn_unary_float(op->kind, x[i]);
      return;
  }
}

DN_WIDE static void unary_double(const operation *op, int64_t n, void *to, const void *from,
                                 const void *unused) {
  double *y = to;
  const double *x = from;
  (void)unused;
  for (int64_t i = 0; i < n; i++) y[i] = unary_one(op, x[i], 0);
}

static void unary_long(const operation *op, int64_t n, void *to, const void *from,
                       const void *unused) {
  int64_t *y = to;
  const int64_t *x = from;
  (void)unused;
  for (int64_t i = 0; i < n; i++) y[i] = unary_one_long(op, x[i], 0);
}

DN_WIDE static void binary_float(const operation *op, int64_t n, void *to, const void *left,
                                 const void *right) {
  float *y = to;
  const float *a = left, *b = right;
  switch (op->kind) {
    case DN_BINARY_ADD:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] + b[i]);
      return;
    case DN_BINARY_SUB:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] - b[i]);
      return;
    case DN_BINARY_MUL:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] * b[i]);
      return;
    case DN_BINARY_DIV:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] / b[i]);
      return;
    case DN_BINARY_POW:
      for (int64_t i = 0; i < n; i++) y[i] = powf(a[i], b[i]);
      return;
    case DN_BINARY_MIN:
      CPU_VECTOR_LOOP(i, n, y[i] = ((a[i] != a[i]) | (a[i] < b[i])) ? a[i] : b[i]);
      return;
    default:
      CPU_VECTOR_LOOP(i, n, y[i] = ((a[i] != a[i]) | (a[i] > b[i])) ? a[i] : b[i]);
      return;
  }
}

DN_WIDE static void binary_double(const operation *op, int64_t n, void *to, const void *left,
                                  const void *right) {
  double *y = to;
  const double *a = left, *b = right;
  switch (op->kind) {
    case DN_BINARY_ADD:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] + b[i]);
      return;
    case DN_BINARY_SUB:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] - b[i]);
      return;
    case DN_BINARY_MUL:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] * b[i]);
      return;
    case DN_BINARY_DIV:
      CPU_VECTOR_LOOP(i, n, y[i] = a[i] / b[i]);
      return;
    default:
      for (int64_t i = 0; i < n; i++) y[i] = binary_one(op, a[i], b[i]);
      return;
  }
}

static void binary_long(const operation *op, int64_t n, void *to, const void *left,
                        const void *right) {
  int64_t *y = to;
  const int64_t *a = left, *b = right;
  switch (op->kind) {
    case DN_BINARY_ADD:
      CPU_VECTOR_LOOP(i, n, y[i] = dn_add_long(a[i], b[i]));
      return;
    case DN_BINARY_SUB:
      CPU_VECTOR_LOOP(i, n, y[i] = dn_sub_long(a[i], b[i]));
      return;
    case DN_BINARY_MUL:
      CPU_VECTOR_LOOP(i, n, y[i] = dn_mul_long(a[i], b[i]));
      return;
    default:
      for (int64_t i = 0; i < n; i++) y[i] = binary_one_long(op, a[i], b[i]);
      return;
  }
}

DN_WIDE static void add_scaled_float(const operation *op, int64_t n, void *to, const void *left,
                                     const void *right) {
  float *y = to;
  const float *a = left, *b = right;
  const float scale = (float)op->number;
  CPU_VECTOR_LOOP(i, n, y[i] = a[i] + scale * b[i]);
}

DN_WIDE static void add_scaled_double(const operation *op, int64_t n, void *to, const void *left,
                                      const void *right) {
  double *y = to;
  const double *a = left, *b = right;
  const double scale = op->number;
  CPU_VECTOR_LOOP(i, n, y[i] = a[i] + scale * b[i]);
}

static void add_scaled_long(const operation *op, int64_t n, void *to, const void *left,
                            const void *right) {
  int64_t *y = to;
  const int64_t *a = left, *b = right;
  const int64_t scale = op->whole_number;
  CPU_VECTOR_LOOP(i, n, y[i] = dn_add_long(a[i], dn_mul_long(scale, b[i])));
}

/* ---- an operation in all its types ---- */

typedef void kernel(const operation *op, int64_t n, void *y, const void *a, const void *b);

typedef struct family {
  kernel *in_float, *in_double, *in_long;
  double (*one)(const operation *op, double a, double b);
  int64_t (*one_long)(const operation *op, int64_t a, int64_t b);
} family;

static const family unary_family = {unary_float, unary_double, unary_long, unary_one,
                                    unary_one_long};
static const family binary_family = {binary_float, binary_double, binary_long, binary_one,
                                     binary_one_long};
static const family add_scaled_family = {add_scaled_float, add_scaled_double, add_scaled_long,
                                         add_scaled_one, add_scaled_one_long};

/* What the threads of one call share. Operands: 0 is y, 1 is a, 2 is b unless b is a number. */
typedef struct task {
  operation op;
  kernel *kernel;
  dn_dtype dtype, computing;
  bool b_is_number;
  cpu_chunk number; /* b, repeated */
} task;

/* n numbers of operand k from element `done` of the row on: where they lie, or loaded. */
static const void *numbers(const task *job, const cpu_row *row, int k, int64_t done, int64_t n,
                           cpu_chunk *chunk) {
  const int64_t step = row->stride[k] * (int64_t)dn_dtype_size(job->dtype);
  return cpu_chunk_read(job->computing, job->dtype, row->data[k] + done * step, row->stride[k], n,
                        chunk);
}

/* Byte arithmetic is modulo 256; storing a chunk would hold it at 0 and 255 instead. */
static void wrap_to_byte(int64_t n, int64_t *chunk) { CPU_VECTOR_LOOP(i, n, chunk[i] &= 255); }

static void run_row(const cpu_row *row, void *context) {
  const task *job = context;
  const bool y_is_plain = job->dtype == job->computing && row->stride[0] == 1;
  const bool is_plain =
      y_is_plain && row->stride[1] == 1 && !job->b_is_number && row->stride[2] == 1;
  const int64_t step = is_plain ? row->length : CPU_CHUNK;
  const int64_t y_step = row->stride[0] * (int64_t)dn_dtype_size(job->dtype);
  for (int64_t done = 0; done < row->length; done += step) {
    const int64_t n = row->length - done < step ? row->length - done : step;
    cpu_chunk a_chunk, b_chunk, y_chunk;
    const void *a = numbers(job, row, 1, done, n, &a_chunk);
    const void *b = job->b_is_number ? &job->number : numbers(job, row, 2, done, n, &b_chunk);
    char *y = row->data[0] + done * y_step;
    job->kernel(&job->op, n, y_is_plain ? (void *)y : &y_chunk, a, b);
    if (y_is_plain) continue;
    if (job->dtype == DN_BYTE) wrap_to_byte(n, y_chunk.in_long);
    cpu_chunk_store(job->dtype, y, row->stride[0], job->computing, &y_chunk, n);
  }
}

/* Element by element, in double or int64. */
static void run_plainly(const family *types, const operation *op, dn_tensor *y, const dn_tensor *a,
                        const dn_tensor *b) {
  const int64_t count = dn_tensor_count(y);
  const dn_dtype dtype = y->dtype;
  for (int64_t i = 0; i < count; i++) {
    const int64_t to = cpu_offset(y, y, i), left = cpu_offset(a, y, i);
    const int64_t right = b ? cpu_offset(b, y, i) : 0;
    if (dn_dtype_is_real(dtype)) {
      const double first = cpu_load(dn_tensor_data(a), dtype, left);
      const double second = b ? cpu_load(dn_tensor_data(b), dtype, right) : op->number;
      cpu_store(dn_tensor_data(y), dtype, to, types->one(op, first, second));
    } else {
      const int64_t first = cpu_load_long(dn_tensor_data(a), dtype, left);
      const int64_t second = b ? cpu_load_long(dn_tensor_data(b), dtype, right) : op->whole_number;
      cpu_store_long(dn_tensor_data(y), dtype, to, types->one_long(op, first, second));
    }
  }
}

/* b NULL: the number takes its place (a unary kernel looks at neither). */
static void run(const family *types, int kind, double number, dn_tensor *y, const dn_tensor *a,
                const dn_tensor *b) {
  /* A number joins a float, half or bfloat16 tensor as a float, a long or byte one as an int64. */
  const operation op = {kind, y->dtype == DN_DOUBLE ? number : (double)(float)number,
                        dn_long_from_double(number)};
  if (dn_reference()) {
    run_plainly(types, &op, y, a, b);
    return;
  }
  task job = {.op = op,
              .dtype = y->dtype,
              .computing = cpu_computing_dtype(y->dtype),
              .b_is_number = b == NULL};
  job.kernel = job.computing == DN_FLOAT    ? types->in_float
               : job.computing == DN_DOUBLE ? types->in_double
                                            : types->in_long;
  if (job.b_is_number) cpu_chunk_repeat(job.computing, &job.number, op.number, op.whole_number);
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, b ? 3 : 2, (const dn_tensor *const[]){y, a, b});
  cpu_rows_run(&rows, 1, run_row, &job);
}

/* ---- division of integers by zero ---- */

typedef struct zero_search {
  dn_dtype dtype;
  atomic_bool is_found;
} zero_search;

static void search_row(const cpu_row *row, void *context) {
  zero_search *search = context;
  bool is_found = false;
  for (int64_t i = 0; i < row->length; i++)
    is_found |= cpu_load_long(row->data[0], search->dtype, i * row->stride[0]) == 0;
  if (is_found) atomic_store_explicit(&search->is_found, true, memory_order_relaxed);
}

static bool has_zero(const dn_tensor *b) {
  zero_search search = {.dtype = b->dtype};
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 1, (const dn_tensor *const[]){b});
  cpu_rows_run(&rows, 1, search_row, &search);
  return atomic_load(&search.is_found);
}

/* ---- operations ---- */

dn_status cpu_unary(dn_tensor *y, const dn_tensor *x, dn_unary_kind kind) {
  run(&unary_family, (int)kind, 0, y, x, NULL);
  return DN_OK;
}

dn_status cpu_binary(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_binary_kind kind) {
  if (kind == DN_BINARY_DIV && !dn_dtype_is_real(b->dtype) && has_zero(b))
    return dn_error_argument(3, "b holds a 0; %s division has no result for it",
                             dn_dtype_name(b->dtype));
  run(&binary_family, (int)kind, 0, y, a, b);
  return DN_OK;
}

dn_status cpu_binary_scalar(dn_tensor *y, const dn_tensor *a, dn_number given,
                            dn_binary_kind kind) {
  const double b = given.value;
  if (kind == DN_BINARY_DIV && !dn_dtype_is_real(a->dtype) && dn_long_from_double(b) == 0)
    return dn_error_argument(3, "b is %g; %s division has no result for 0", b,
                             dn_dtype_name(a->dtype));
  run(&binary_family, (int)kind, b, y, a, NULL);
  return DN_OK;
}

dn_status cpu_add_scaled(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_number scale) {
  run(&add_scaled_family, 0, scale.value, y, a, b);
  return DN_OK;
}
