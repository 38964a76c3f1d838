/*
** Moving elements as they are, row by row: what copy and index_select share.
*/
#ifndef CPU_COPY_H
#define CPU_COPY_H

#include "cpu_rows.h"

/* Row work that copies operand 1 to operand 0, both of this dtype; its context is not used. */
cpu_row_work *cpu_copy_row(dn_dtype dtype);

#endif
