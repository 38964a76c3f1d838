/*
** One element of the dense layer's tables and tensors, for reference loops and for work that is
** only as long as the number of channels. Tables are rows of vectors: element (row, c).
*/
#ifndef CPU_NORM_TABLE_H
#define CPU_NORM_TABLE_H

#include "../../dn_norm.h"
#include "../elements/cpu_element.h"

static inline double cpu_table_load(const dn_tensor *table, int row, int64_t c) {
  return cpu_load(dn_tensor_data(table), table->dtype, row * table->stride[0] + c);
}

static inline void cpu_table_store(dn_tensor *table, int row, int64_t c, double value) {
  cpu_store(dn_tensor_data(table), table->dtype, row * table->stride[0] + c, value);
}

/* Element p of plane (n, c) of an N,C,H,W tensor. */
static inline double cpu_plane_load(const dn_tensor *x, int64_t n, int64_t c, int64_t p) {
  return cpu_load(dn_tensor_data(x), x->dtype, n * x->stride[0] + c * x->stride[1] + p);
}

static inline void cpu_plane_store(dn_tensor *x, int64_t n, int64_t c, int64_t p, double value) {
  cpu_store(dn_tensor_data(x), x->dtype, n * x->stride[0] + c * x->stride[1] + p, value);
}

/* scale x + shift of channel c, before the ReLU. */
static inline double cpu_norm_apply(const dn_tensor *norm, int64_t c, double x) {
  return dn_norm_apply_double(cpu_table_load(norm, DN_NORM_SCALE, c), x,
                              cpu_table_load(norm, DN_NORM_SHIFT, c));
}

static inline double cpu_norm_hat(const dn_tensor *norm, int64_t c, double x) {
  return (x - cpu_table_load(norm, DN_NORM_MEAN, c)) * cpu_table_load(norm, DN_NORM_INV_STD, c);
}

#endif
