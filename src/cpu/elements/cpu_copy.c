/*
** fill and copy. Between two dtypes a copy goes through one computing type, which is the source's
** or the target's own wherever there is one, so that most conversions are a single pass.
*/
#include "cpu_copy.h"

#include <string.h>

#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_element.h"

/* ---- one element repeated, or moved as it is: only its size matters ---- */

#define REPEAT(type, row, element)                                        \
  do {                                                                    \
    type *to = (type *)(void *)(row)->data[0];                            \
    const int64_t stride = (row)->stride[0];                              \
    type value;                                                           \
    memcpy(&value, element, sizeof value);                                \
    if (stride == 1)                                                      \
      CPU_VECTOR_LOOP(i, (row)->length, to[i] = value);                   \
    else                                                                  \
      for (int64_t i = 0; i < (row)->length; i++) to[i * stride] = value; \
  } while (0)

static void repeat_1(const cpu_row *row, void *element) { REPEAT(uint8_t, row, element); }
static void repeat_2(const cpu_row *row, void *element) { REPEAT(uint16_t, row, element); }
static void repeat_4(const cpu_row *row, void *element) { REPEAT(uint32_t, row, element); }
static void repeat_8(const cpu_row *row, void *element) { REPEAT(uint64_t, row, element); }

#define MOVE(type, row)                                                                      \
  do {                                                                                       \
    type *to = (type *)(void *)(row)->data[0];                                               \
    const type *from = (const type *)(const void *)(row)->data[1];                           \
    const int64_t to_stride = (row)->stride[0], from_stride = (row)->stride[1];              \
    if (to_stride == 1 && from_stride == 1)                                                  \
      memcpy(to, from, (size_t)(row)->length * sizeof(type));                                \
    else                                                                                     \
      for (int64_t i = 0; i < (row)->length; i++) to[i * to_stride] = from[i * from_stride]; \
  } while (0)

static void move_1(const cpu_row *row, void *context) {
  (void)context;
  MOVE(uint8_t, row);
}

static void move_2(const cpu_row *row, void *context) {
  (void)context;
  MOVE(uint16_t, row);
}

static void move_4(const cpu_row *row, void *context) {
  (void)context;
  MOVE(uint32_t, row);
}

static void move_8(const cpu_row *row, void *context) {
  (void)context;
  MOVE(uint64_t, row);
}

/* By element size: 1, 2, 4, 8 bytes. */
static int size_class(dn_dtype dtype) {
  const size_t size = dn_dtype_size(dtype);
  return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

cpu_row_work *cpu_copy_row(dn_dtype dtype) {
  static cpu_row_work *const moves[] = {move_1, move_2, move_4, move_8};
  return moves[size_class(dtype)];
}

/* ---- conversions ---- */

typedef struct conversion {
  dn_dtype to, from, through;
} conversion;

/* The type in which every value of `from` that matters to `to` is exact. */
static dn_dtype middle(dn_dtype to, dn_dtype from) {
  if (from == DN_LONG) return DN_LONG;
  if (from == DN_DOUBLE || to == DN_DOUBLE || to == DN_LONG) return DN_DOUBLE;
  return DN_FLOAT;
}

static void convert(const cpu_row *row, void *context) {
  const conversion *kind = context;
  const int64_t to_stride = row->stride[0], from_stride = row->stride[1];
  if (kind->to == kind->through && to_stride == 1) {
    cpu_chunk_load(kind->through, row->data[0], kind->from, row->data[1], from_stride, row->length);
    return;
  }
  if (kind->from == kind->through && from_stride == 1) {
    cpu_chunk_store(kind->to, row->data[0], to_stride, kind->through, row->data[1], row->length);
    return;
  }
  const int64_t to_size = (int64_t)dn_dtype_size(kind->to) * to_stride;
  const int64_t from_size = (int64_t)dn_dtype_size(kind->from) * from_stride;
  for (int64_t done = 0; done < row->length; done += CPU_CHUNK) {
    const int64_t n = row->length - done < CPU_CHUNK ? row->length - done : CPU_CHUNK;
    cpu_chunk chunk;
    cpu_chunk_load(kind->through, &chunk, kind->from, row->data[1] + done * from_size, from_stride,
                   n);
    cpu_chunk_store(kind->to, row->data[0] + done * to_size, to_stride, kind->through, &chunk, n);
  }
}

/* ---- operations ---- */

dn_status cpu_fill(dn_tensor *y, dn_number given) {
  const double value = given.value;
  static cpu_row_work *const repeats[] = {repeat_1, repeat_2, repeat_4, repeat_8};
  double element;
  cpu_store(&element, y->dtype, 0, value);
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 1, (const dn_tensor *const[]){y});
  cpu_rows_run(&rows, 1, repeats[size_class(y->dtype)], &element);
  return DN_OK;
}

/* Element by element through a double, or exactly where both sides are integers. */
static void copy_plainly(dn_tensor *y, const dn_tensor *x) {
  void *to = dn_tensor_data(y);
  const void *from = dn_tensor_data(x);
  const int64_t count = dn_tensor_count(y);
  for (int64_t i = 0; i < count; i++) {
    const int64_t at = cpu_offset(y, y, i), source = cpu_offset(x, y, i);
    if (x->dtype == DN_LONG && y->dtype == DN_LONG)
      cpu_store_long(to, DN_LONG, at, cpu_load_long(from, DN_LONG, source));
    else
      cpu_store(to, y->dtype, at, cpu_load(from, x->dtype, source));
  }
}

dn_status cpu_copy(dn_tensor *y, const dn_tensor *x) {
  if (dn_tensor_is_same_view(y, x)) return DN_OK;
  if (dn_reference()) {
    copy_plainly(y, x);
    return DN_OK;
  }
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 2, (const dn_tensor *const[]){y, x});
  if (y->dtype == x->dtype) {
    cpu_rows_run(&rows, 1, cpu_copy_row(y->dtype), NULL);
  } else {
    conversion kind = {y->dtype, x->dtype, middle(y->dtype, x->dtype)};
    cpu_rows_run(&rows, 1, convert, &kind);
  }
  return DN_OK;
}
