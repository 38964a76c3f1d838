/*
** Comparisons, of tensors and with a number: 0 or 1 in a byte. NaN is unequal to everything.
*/
#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_element.h"
#include "cpu_rows.h"

typedef struct task {
  dn_compare_kind kind;
  dn_dtype dtype, computing; /* of a and b */
  bool b_is_number;
  double number;
  int64_t whole_number;
  cpu_chunk numbers; /* b, repeated */
} task;

/* n numbers without gaps against n others; one loop a kind. */
#define COMPARE(kind, n, type, left, right, y)      \
  do {                                              \
    const type *a = left, *b = right;               \
    switch (kind) {                                 \
      case DN_COMPARE_EQ:                           \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] == b[i]); \
        break;                                      \
      case DN_COMPARE_NE:                           \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] != b[i]); \
        break;                                      \
      case DN_COMPARE_LT:                           \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] < b[i]);  \
        break;                                      \
      case DN_COMPARE_LE:                           \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] <= b[i]); \
        break;                                      \
      case DN_COMPARE_GT:                           \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] > b[i]);  \
        break;                                      \
      default:                                      \
        CPU_VECTOR_LOOP(i, n, y[i] = a[i] >= b[i]); \
        break;                                      \
    }                                               \
  } while (0)

static void compare_chunk(const task *job, int64_t n, uint8_t *y, const void *left,
                          const void *right) {
  switch (job->computing) {
    case DN_FLOAT:
      COMPARE(job->kind, n, float, left, right, y);
      return;
    case DN_DOUBLE:
      COMPARE(job->kind, n, double, left, right, y);
      return;
    default:
      COMPARE(job->kind, n, int64_t, left, right, y);
      return;
  }
}

static const void *numbers(const task *job, const cpu_row *row, int k, int64_t done, int64_t n,
                           cpu_chunk *chunk) {
  const int64_t step = row->stride[k] * (int64_t)dn_dtype_size(job->dtype);
  return cpu_chunk_read(job->computing, job->dtype, row->data[k] + done * step, row->stride[k], n,
                        chunk);
}

static void compare_row(const cpu_row *row, void *context) {
  const task *job = context;
  for (int64_t done = 0; done < row->length; done += CPU_CHUNK) {
    const int64_t n = row->length - done < CPU_CHUNK ? row->length - done : CPU_CHUNK;
    cpu_chunk a_chunk, b_chunk;
    uint8_t results[CPU_CHUNK];
    const void *a = numbers(job, row, 1, done, n, &a_chunk);
    const void *b = job->b_is_number ? &job->numbers : numbers(job, row, 2, done, n, &b_chunk);
    uint8_t *y = (uint8_t *)row->data[0] + done * row->stride[0];
    const bool is_plain = row->stride[0] == 1;
    compare_chunk(job, n, is_plain ? y : results, a, b);
    if (is_plain) continue;
    for (int64_t i = 0; i < n; i++) y[i * row->stride[0]] = results[i];
  }
}

static void compare_plainly(const task *job, dn_tensor *y, const dn_tensor *a, const dn_tensor *b) {
  uint8_t *results = dn_tensor_data(y);
  const int64_t count = dn_tensor_count(y);
  const int kind = (int)job->kind;
  for (int64_t i = 0; i < count; i++) {
    const int64_t left = cpu_offset(a, y, i), right = b ? cpu_offset(b, y, i) : 0;
    int result;
    if (dn_dtype_is_real(job->dtype))
      result = dn_compare_double(kind, cpu_load(dn_tensor_data(a), job->dtype, left),
                                 b ? cpu_load(dn_tensor_data(b), job->dtype, right) : job->number);
    else
      result = dn_compare_long(
          kind, cpu_load_long(dn_tensor_data(a), job->dtype, left),
          b ? cpu_load_long(dn_tensor_data(b), job->dtype, right) : job->whole_number);
    results[cpu_offset(y, y, i)] = (uint8_t)result;
  }
}

static void run(task *job, dn_tensor *y, const dn_tensor *a, const dn_tensor *b) {
  if (dn_reference()) {
    compare_plainly(job, y, a, b);
    return;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, b ? 3 : 2, (const dn_tensor *const[]){y, a, b});
  cpu_rows_run(&rows, 1, compare_row, job);
}

dn_status cpu_compare(dn_tensor *y, const dn_tensor *a, const dn_tensor *b, dn_compare_kind kind) {
  task job = {.kind = kind, .dtype = a->dtype, .computing = cpu_computing_dtype(a->dtype)};
  run(&job, y, a, b);
  return DN_OK;
}

dn_status cpu_compare_scalar(dn_tensor *y, const dn_tensor *a, double b, dn_compare_kind kind) {
  task job = {.kind = kind,
              .dtype = a->dtype,
              .computing = cpu_computing_dtype(a->dtype),
              .b_is_number = true};
  if (dn_dtype_is_real(a->dtype))
    job.number = cpu_rounded(a->dtype, b);
  else
    dn_compare_whole(&job.kind, b, &job.whole_number);
  cpu_chunk_repeat(job.computing, &job.numbers, job.number, job.whole_number);
  run(&job, y, a, NULL);
  return DN_OK;
}
