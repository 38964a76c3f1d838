/*
** Selections: the best element along a dimension, the k best along the last, rows by number.
** "Best" is decided on keys (dn_order.h).
*/
#include <inttypes.h>
#include <string.h>

#include "../../dn_order.h"
#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_copy.h"
#include "cpu_element.h"
#include "../cpu_parallel.h"
#include "cpu_rows.h"
#include "../cpu_scratch.h"

/* Which elements are compared, and how. */
typedef struct ordering {
  dn_dtype dtype;
  bool largest;
} ordering;

/* Keys of n elements from x on. */
static void load_keys(ordering order, const void *x, int64_t stride, int64_t n, int64_t *keys) {
  const int64_t inverted = dn_order_inverted(order.largest);
  if (!dn_dtype_is_real(order.dtype)) {
    cpu_chunk_load(DN_LONG, keys, order.dtype, x, stride, n);
    CPU_VECTOR_LOOP(i, n, keys[i] = dn_order_key_long(keys[i], inverted));
    return;
  }
  cpu_chunk chunk;
  const double *values = cpu_chunk_read(DN_DOUBLE, order.dtype, x, stride, n, &chunk);
  CPU_VECTOR_LOOP(i, n, keys[i] = dn_order_key(values[i], inverted));
}

/* ---- along a dimension ---- */

typedef struct candidate {
  int64_t key;
  int64_t place; /* along the dimension, from 0 */
} candidate;

/* One call of arg_reduce or topk. Operands of the walk: 0 values, 1 indices, 2 x. */
typedef struct task {
  ordering order;
  int64_t element_size;
  int64_t length, k;                            /* along the dimension: of x, of the results */
  int64_t x_stride, value_stride, index_stride; /* likewise, in elements */
  candidate *heap;                              /* room for k */
} task;

/* Element `place` of x goes to rank `rank` of the results. */
static void write_result(const task *job, const cpu_row *row, int64_t i, int64_t rank,
                         int64_t place) {
  const int64_t value_at = i * row->stride[0] + rank * job->value_stride;
  const int64_t x_at = i * row->stride[2] + place * job->x_stride;
  memcpy(row->data[0] + value_at * job->element_size, row->data[2] + x_at * job->element_size,
         (size_t)job->element_size);
  cpu_store_long(row->data[1], DN_LONG, i * row->stride[1] + rank * job->index_stride, place + 1);
}

/* Is a the worse of two? Among equals the later one is. */
static inline bool is_worse(candidate a, candidate b) {
  return a.key < b.key || (a.key == b.key && a.place > b.place);
}

/* Puts `fresh` into the heap of n whose root has been taken; the worst comes to the root. */
static void sift(candidate *heap, int64_t n, candidate fresh) {
  int64_t hole = 0;
  for (;;) {
    int64_t child = 2 * hole + 1;
    if (child >= n) break;
    if (child + 1 < n && is_worse(heap[child + 1], heap[child])) child++;
    if (!is_worse(heap[child], fresh)) break;
    heap[hole] = heap[child];
    hole = child;
  }
  heap[hole] = fresh;
}

/* The heap keeps the k best so far; its root, the worst, refuses nearly all later elements. */
static void select_best(const task *job, const char *x) {
  candidate *heap = job->heap;
  const int64_t k = job->k;
  for (int64_t i = 0; i < k; i++) heap[i] = (candidate){INT64_MIN, INT64_MAX};
  for (int64_t done = 0; done < job->length; done += CPU_CHUNK) {
    const int64_t n = job->length - done < CPU_CHUNK ? job->length - done : CPU_CHUNK;
    int64_t keys[CPU_CHUNK];
    load_keys(job->order, x + done * job->x_stride * job->element_size, job->x_stride, n, keys);
    for (int64_t j = 0; j < n; j++) {
      const candidate fresh = {keys[j], done + j};
      if (is_worse(heap[0], fresh)) sift(heap, k, fresh);
    }
  }
}

static void select_row(const cpu_row *row, void *context) {
  const task *job = context;
  for (int64_t i = 0; i < row->length; i++) {
    select_best(job, row->data[2] + i * row->stride[2] * job->element_size);
    for (int64_t left = job->k; left > 0; left--) {
      write_result(job, row, i, left - 1, job->heap[0].place);
      sift(job->heap, left - 1, job->heap[left - 1]);
    }
  }
}

/* The reference: for every rank, a search for the best element behind the one ranked before. */
static bool ranks_before(ordering order, const char *x, int64_t stride, int64_t a, int64_t b) {
  bool is_first, is_second;
  if (dn_dtype_is_real(order.dtype)) {
    const double first = cpu_load(x, order.dtype, a * stride);
    const double second = cpu_load(x, order.dtype, b * stride);
    const bool is_nan = first != first, other_is_nan = second != second;
    is_first = (is_nan && !other_is_nan) || (order.largest ? first > second : first < second);
    is_second = (other_is_nan && !is_nan) || (order.largest ? second > first : second < first);
  } else {
    const int64_t first = cpu_load_long(x, order.dtype, a * stride);
    const int64_t second = cpu_load_long(x, order.dtype, b * stride);
    is_first = order.largest ? first > second : first < second;
    is_second = order.largest ? second > first : second < first;
  }
  return is_first || (!is_second && a < b);
}

static void select_row_plainly(const cpu_row *row, void *context) {
  const task *job = context;
  for (int64_t i = 0; i < row->length; i++) {
    const char *x = row->data[2] + i * row->stride[2] * job->element_size;
    int64_t previous = -1;
    for (int64_t rank = 0; rank < job->k; rank++) {
      int64_t best = -1;
      for (int64_t j = 0; j < job->length; j++)
        if ((previous < 0 || ranks_before(job->order, x, job->x_stride, previous, j)) &&
            (best < 0 || ranks_before(job->order, x, job->x_stride, j, best)))
          best = j;
      write_result(job, row, i, rank, best);
      previous = best;
    }
  }
}

/* The k best along dim; values and indices have k there. */
static dn_status select_along(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, int dim,
                              bool largest) {
  const task shared = {.order = {x->dtype, largest},
                       .element_size = (int64_t)dn_dtype_size(x->dtype),
                       .length = x->size[dim],
                       .k = values->size[dim],
                       .x_stride = x->stride[dim],
                       .value_stride = values->stride[dim],
                       .index_stride = indices->stride[dim]};
  dn_tensor firsts[] = {*values, *indices, *x};
  for (int t = 0; t < 3; t++) firsts[t].size[dim] = 1;
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ANY_ORDER, 3,
                      (const dn_tensor *const[]){&firsts[0], &firsts[1], &firsts[2]});
  cpu_row_work *const work = dn_reference() ? select_row_plainly : select_row;
  const int n_threads = cpu_team(rows.n_elements * shared.length);
  void *heaps;
  DN_TRY(cpu_scratch(n_threads * shared.k * (int64_t)sizeof(candidate), &heaps));
#pragma omp parallel for schedule(static) num_threads(n_threads) if (n_threads > 1)
  for (int t = 0; t < n_threads; t++) {
    task job = shared;
    job.heap = (candidate *)heaps + t * shared.k;
    int64_t begin, end;
    cpu_share(rows.n_elements, n_threads, t, &begin, &end);
    cpu_rows_walk(&rows, rows.data, begin, end, work, &job);
  }
  return DN_OK;
}

dn_status cpu_arg_reduce(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, int dim,
                         bool largest) {
  return select_along(values, indices, x, dim, largest);
}

dn_status cpu_topk(dn_tensor *values, dn_tensor *indices, const dn_tensor *x, bool largest) {
  return select_along(values, indices, x, x->n_dim - 1, largest);
}

/* ---- rows by number ---- */

static dn_status check_index(const dn_tensor *index, int64_t n_rows) {
  const int64_t *numbers = dn_tensor_data(index);
  const int64_t stride = index->stride[0];
  for (int64_t i = 0; i < index->size[0]; i++)
    if (numbers[i * stride] < 1 || numbers[i * stride] > n_rows)
      return dn_error_argument(3,
                               "index holds %" PRId64 " at place %" PRId64
                               "; expected 1 to %" PRId64 ", the size of x's first dimension",
                               numbers[i * stride], i + 1, n_rows);
  return DN_OK;
}

/* The walk over one row of y and of x: their dimensions but the first. */
static void walk_of_row(cpu_rows *rows, const dn_tensor *y, const dn_tensor *x) {
  dn_tensor rests[] = {*y, *x};
  for (int t = 0; t < 2; t++) rests[t].size[0] = 1;
  cpu_rows_of_tensors(rows, CPU_ROWS_ANY_ORDER, 2,
                      (const dn_tensor *const[]){&rests[0], &rests[1]});
}

dn_status cpu_index_select(dn_tensor *y, const dn_tensor *x, const dn_tensor *index) {
  DN_TRY(check_index(index, x->size[0]));
  const int64_t *numbers = dn_tensor_data(index);
  cpu_rows rows;
  walk_of_row(&rows, y, x);
  cpu_row_work *const copy_row = cpu_copy_row(y->dtype);
  const int64_t y_step = y->stride[0] * rows.element_size[0];
  const int64_t x_step = x->stride[0] * rows.element_size[1];
  const int64_t count = y->size[0] * rows.n_elements;
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads) if (n_threads > 1)
  for (int t = 0; t < n_threads; t++) {
    int64_t begin, end;
    cpu_share(count, n_threads, t, &begin, &end);
    while (begin < end) {
      const int64_t i = begin / rows.n_elements, from = begin % rows.n_elements;
      const int64_t left = rows.n_elements - from, n = left < end - begin ? left : end - begin;
      char *const data[] = {rows.data[0] + i * y_step,
                            rows.data[1] + (numbers[i * index->stride[0]] - 1) * x_step};
      cpu_rows_walk(&rows, data, from, from + n, copy_row, NULL);
      begin += n;
    }
  }
  return DN_OK;
}
