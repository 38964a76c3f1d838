/* Dropout of a row (cpu_rows.h), for float and double. */
#ifndef CPU_DROPOUT_ROW_H
#define CPU_DROPOUT_ROW_H

#include "../../dn_ops.h"
#include "../elements/cpu_rows.h"
#include "../tiles/cpu_real.h"

/* What is drawn, and the factor of what is kept. */
typedef struct cpu_draw {
  uint32_t threshold;
  double scale;
  dn_rng rng;
} cpu_draw;

CPU_REAL_DECLARE(void, cpu_dropout_row, (const cpu_row *row, void *drawn));

#endif
