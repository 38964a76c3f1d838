/* Rectification of a row (cpu_rows.h), and of its gradient, for float and double. */
#ifndef CPU_RELU_ROWS_H
#define CPU_RELU_ROWS_H

#include "../elements/cpu_rows.h"
#include "../tiles/cpu_real.h"

CPU_REAL_DECLARE(void, cpu_relu_forward_row, (const cpu_row *row, void *unused));
CPU_REAL_DECLARE(void, cpu_relu_backward_row, (const cpu_row *row, void *unused));

#endif
