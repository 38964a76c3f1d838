/* The sizes of a generated weight (dn_ops.def), as its tensors have them. */
#ifndef DN_MLG_H
#define DN_MLG_H

#include "dn_tensor.h"

typedef struct dn_mlg_sizes {
  int64_t outputs, inputs, taps; /* O, C, S */
  int64_t bases_out, bases_in;   /* P, B */
  bool has_coeff_in, has_coeff_out;
} dn_mlg_sizes;

static inline dn_mlg_sizes dn_mlg_sizes_of(const dn_tensor *weight, const dn_tensor *basis,
                                           const dn_tensor *coeff_in, const dn_tensor *coeff_out) {
  const dn_mlg_sizes sizes = {weight->size[0], weight->size[1],  weight->size[2],  basis->size[0],
                              basis->size[1],  coeff_in != NULL, coeff_out != NULL};
  return sizes;
}

#endif
