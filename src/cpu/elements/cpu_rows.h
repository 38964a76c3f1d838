/*
** Walks one to three tensors of any strides together, row by row.
**
** Dimensions of size 1 go, and neighbours that lie one behind the other in every operand become
** one, so that contiguous tensors are a single long row. What is left is an odometer of outer
** dimensions around an innermost one: the row, with a stride for each operand (0 where an operand
** is broadcast). Threads get equal shares of the elements and cut a row where a share ends, so one
** long row and a million short ones both keep them busy.
*/
#ifndef CPU_ROWS_H
#define CPU_ROWS_H

#include "../../dn_tensor.h"

enum { CPU_ROWS_OPERANDS = 3 };

typedef struct cpu_rows {
  int n_operands;
  int n_dim; /* 1 or more; the last is the row */
  int64_t n_elements;
  int64_t size[DN_MAX_DIM];
  int64_t stride[CPU_ROWS_OPERANDS][DN_MAX_DIM]; /* in elements */
  int64_t element_size[CPU_ROWS_OPERANDS];       /* in bytes */
  char *data[CPU_ROWS_OPERANDS];
} cpu_rows;

/* A row, or the part of it that is in a thread's share. */
typedef struct cpu_row {
  int64_t length;
  int64_t first; /* the first element's place in the walk */
  char *data[CPU_ROWS_OPERANDS];
  int64_t stride[CPU_ROWS_OPERANDS]; /* in elements */
} cpu_row;

typedef void cpu_row_work(const cpu_row *row, void *context);

typedef enum cpu_rows_order {
  CPU_ROWS_ANY_ORDER, /* dimensions are reordered to follow the first operand's memory */
  CPU_ROWS_ROW_MAJOR  /* `first` is the place in the row-major order of the first operand */
} cpu_rows_order;

/* The walk over the first tensor's shape, to which the others broadcast. */
void cpu_rows_of_tensors(cpu_rows *rows, cpu_rows_order order, int n_tensors,
                         const dn_tensor *const *tensors);

/* Appends a dimension inside the others; `rows` starts with n_operands set and n_dim 0. */
void cpu_rows_append(cpu_rows *rows, int64_t size, const int64_t *stride);

/* After the last append: orders and merges the dimensions and counts the elements. */
void cpu_rows_finish(cpu_rows *rows, cpu_rows_order order);

/*
** All rows, on as many threads as the work is worth, where an element costs about `steps`
** additions. `work` may run concurrently.
*/
void cpu_rows_run(const cpu_rows *rows, int steps, cpu_row_work *work, void *context);

/* Elements [begin, end) of the walk on the calling thread; `data` stands in for rows->data. */
void cpu_rows_walk(const cpu_rows *rows, char *const *data, int64_t begin, int64_t end,
                   cpu_row_work *work, void *context);

#endif
