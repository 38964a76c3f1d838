/*
** The six element types. float and double compute; half and bfloat16 store (arithmetic on them
** goes through float); long holds labels, indices and counts; byte holds pixels and the results
** of comparisons.
*/
#ifndef DN_DTYPE_H
#define DN_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum dn_dtype {
  DN_FLOAT,
  DN_DOUBLE,
  DN_HALF,
  DN_BFLOAT16,
  DN_LONG,
  DN_BYTE,
  DN_DTYPE_COUNT
} dn_dtype;

/* Bytes of one element. */
size_t dn_dtype_size(dn_dtype dtype);

/* The word Lua uses: "float", "double", "half", "bfloat16", "long", "byte". */
const char *dn_dtype_name(dn_dtype dtype);

/* float, double, half, bfloat16. */
bool dn_dtype_is_real(dn_dtype dtype);

#endif
