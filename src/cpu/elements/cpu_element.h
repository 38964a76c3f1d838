/*
** One element as a double (or, exactly, as an int64), and where it lies: what the reference loops
** are made of. Plain and slow on purpose; nothing here is shared with the fast paths' walk over
** rows, so that comparing the two means something.
*/
#ifndef CPU_ELEMENT_H
#define CPU_ELEMENT_H

#include "../../dn_element.h"
#include "../../dn_float16.h"
#include "../../dn_tensor.h"

/* Element `index` of `data` as a number; a long beyond 2^53 is rounded. */
static inline double cpu_load(const void *data, dn_dtype dtype, int64_t index) {
  switch (dtype) {
    case DN_FLOAT:
      return (double)((const float *)data)[index];
    case DN_DOUBLE:
      return ((const double *)data)[index];
    case DN_HALF:
      return (double)dn_half_to_float(((const uint16_t *)data)[index]);
    case DN_BFLOAT16:
      return (double)dn_bfloat16_to_float(((const uint16_t *)data)[index]);
    case DN_LONG:
      return (double)((const int64_t *)data)[index];
    default:
      return ((const uint8_t *)data)[index];
  }
}

/* Rounded, or cut and held, to what the dtype can say: dn_copy's rules. */
static inline void cpu_store(void *data, dn_dtype dtype, int64_t index, double value) {
  switch (dtype) {
    case DN_FLOAT:
      ((float *)data)[index] = (float)value;
      return;
    case DN_DOUBLE:
      ((double *)data)[index] = value;
      return;
    case DN_HALF:
      ((uint16_t *)data)[index] = dn_half_from_double(value);
      return;
    case DN_BFLOAT16:
      ((uint16_t *)data)[index] = dn_bfloat16_from_double(value);
      return;
    case DN_LONG:
      ((int64_t *)data)[index] = dn_long_from_double(value);
      return;
    default:
      ((uint8_t *)data)[index] = dn_byte_from_double(value);
      return;
  }
}

/* For long and byte only. Storing to a byte wraps modulo 256. */
static inline int64_t cpu_load_long(const void *data, dn_dtype dtype, int64_t index) {
  return dtype == DN_LONG ? ((const int64_t *)data)[index] : ((const uint8_t *)data)[index];
}

static inline void cpu_store_long(void *data, dn_dtype dtype, int64_t index, int64_t value) {
  if (dtype == DN_LONG)
    ((int64_t *)data)[index] = value;
  else
    ((uint8_t *)data)[index] = (uint8_t)((uint64_t)value & 255u);
}

/* `value` as the dtype would keep it. */
static inline double cpu_rounded(dn_dtype dtype, double value) {
  double place;
  cpu_store(&place, dtype, 0, value);
  return cpu_load(&place, dtype, 0);
}

/*
** Offset, in elements from the tensor's first, of the element that stands at row-major place
** `index` of `shape`, to which the tensor broadcasts.
*/
static inline int64_t cpu_offset(const dn_tensor *tensor, const dn_tensor *shape, int64_t index) {
  int64_t offset = 0;
  for (int d = shape->n_dim - 1; d >= 0; d--) {
    const int64_t place = index % shape->size[d];
    const int own = d - (shape->n_dim - tensor->n_dim);
    index /= shape->size[d];
    if (own >= 0 && tensor->size[own] > 1) offset += place * tensor->stride[own];
  }
  return offset;
}

#endif
