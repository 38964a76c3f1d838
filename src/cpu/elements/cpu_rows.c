#include "cpu_rows.h"

#include "../cpu_parallel.h"

void cpu_rows_append(cpu_rows *rows, int64_t size, const int64_t *stride) {
  rows->size[rows->n_dim] = size;
  for (int k = 0; k < rows->n_operands; k++) rows->stride[k][rows->n_dim] = stride[k];
  rows->n_dim++;
}

static void swap(int64_t *a, int64_t *b) {
  const int64_t kept = *a;
  *a = *b;
  *b = kept;
}

/* Does dimension d step further than dimension e? The first operand decides; the next on a tie. */
static bool is_outside(const cpu_rows *rows, int d, int e) {
  for (int k = 0; k < rows->n_operands; k++)
    if (rows->stride[k][d] != rows->stride[k][e]) return rows->stride[k][d] > rows->stride[k][e];
  return true;
}

static void sort(cpu_rows *rows) {
  for (int last = 1; last < rows->n_dim; last++)
    for (int d = last; d > 0 && !is_outside(rows, d - 1, d); d--) {
      swap(&rows->size[d - 1], &rows->size[d]);
      for (int k = 0; k < rows->n_operands; k++) swap(&rows->stride[k][d - 1], &rows->stride[k][d]);
    }
}

/* Is a step along dimension d the same as running through dimension d + 1, in every operand? */
static bool continues(const cpu_rows *rows, int d) {
  for (int k = 0; k < rows->n_operands; k++)
    if (rows->stride[k][d] != rows->stride[k][d + 1] * rows->size[d + 1]) return false;
  return true;
}

static void move_dimension(cpu_rows *rows, int to, int from) {
  rows->size[to] = rows->size[from];
  for (int k = 0; k < rows->n_operands; k++) rows->stride[k][to] = rows->stride[k][from];
}

static void drop_single(cpu_rows *rows) {
  int n_kept = 0;
  for (int d = 0; d < rows->n_dim; d++)
    if (rows->size[d] != 1) move_dimension(rows, n_kept++, d);
  rows->n_dim = n_kept;
}

static void merge(cpu_rows *rows) {
  int outer = rows->n_dim - 2;
  while (outer >= 0) {
    if (continues(rows, outer)) {
      const int64_t merged = rows->size[outer] * rows->size[outer + 1];
      for (int d = outer; d + 1 < rows->n_dim; d++) move_dimension(rows, d, d + 1);
      rows->size[outer] = merged;
      rows->n_dim--;
    }
    outer--;
  }
}

void cpu_rows_finish(cpu_rows *rows, cpu_rows_order order) {
  drop_single(rows);
  if (order == CPU_ROWS_ANY_ORDER) sort(rows);
  merge(rows);
  if (rows->n_dim == 0) {
    static const int64_t still[CPU_ROWS_OPERANDS] = {0};
    cpu_rows_append(rows, 1, still);
  }
  rows->n_elements = 1;
  for (int d = 0; d < rows->n_dim; d++) rows->n_elements *= rows->size[d];
}

void cpu_rows_of_tensors(cpu_rows *rows, cpu_rows_order order, int n_tensors,
                         const dn_tensor *const *tensors) {
  const dn_tensor *shape = tensors[0];
  rows->n_operands = n_tensors;
  rows->n_dim = 0;
  for (int k = 0; k < n_tensors; k++) {
    rows->data[k] = dn_tensor_data(tensors[k]);
    rows->element_size[k] = (int64_t)dn_dtype_size(tensors[k]->dtype);
  }
  for (int d = 0; d < shape->n_dim; d++) {
    int64_t stride[CPU_ROWS_OPERANDS];
    for (int k = 0; k < n_tensors; k++) {
      const int own = d - (shape->n_dim - tensors[k]->n_dim);
      stride[k] = own >= 0 && tensors[k]->size[own] > 1 ? tensors[k]->stride[own] : 0;
    }
    cpu_rows_append(rows, shape->size[d], stride);
  }
  cpu_rows_finish(rows, order);
}

/* Points the row at the odometer's place. */
static void point(const cpu_rows *rows, char *const *data, const int64_t *place, cpu_row *row) {
  for (int k = 0; k < rows->n_operands; k++) {
    int64_t offset = 0;
    for (int d = 0; d < rows->n_dim; d++) offset += place[d] * rows->stride[k][d];
    row->data[k] = data[k] + offset * rows->element_size[k];
  }
}

void cpu_rows_walk(const cpu_rows *rows, char *const *data, int64_t begin, int64_t end,
                   cpu_row_work *work, void *context) {
  const int inner = rows->n_dim - 1;
  int64_t place[DN_MAX_DIM];
  int64_t rest = begin;
  for (int d = inner; d >= 0 && begin < end; d--) {
    place[d] = rest % rows->size[d];
    rest /= rows->size[d];
  }
  cpu_row row = {.first = begin};
  for (int k = 0; k < rows->n_operands; k++) row.stride[k] = rows->stride[k][inner];
  while (row.first < end) {
    const int64_t left_in_row = rows->size[inner] - place[inner];
    row.length = left_in_row < end - row.first ? left_in_row : end - row.first;
    point(rows, data, place, &row);
    work(&row, context);
    row.first += row.length;
    place[inner] = 0;
    for (int d = inner - 1; d >= 0 && ++place[d] == rows->size[d]; d--) place[d] = 0;
  }
}

void cpu_rows_run(const cpu_rows *rows, int steps, cpu_row_work *work, void *context) {
  const int n_threads = cpu_team(rows->n_elements * steps);
  if (n_threads == 1) {
    cpu_rows_walk(rows, rows->data, 0, rows->n_elements, work, context);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    int64_t begin, end;
    cpu_share(rows->n_elements, n_threads, t, &begin, &end);
    cpu_rows_walk(rows, rows->data, begin, end, work, context);
  }
}
