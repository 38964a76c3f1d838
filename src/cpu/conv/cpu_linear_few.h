/* A fully connected layer for few rows: each weight is read once, and nothing is packed. */
#ifndef CPU_LINEAR_FEW_H
#define CPU_LINEAR_FEW_H

#include "../../dn_tensor.h"

/* Would packing the weights take longer than multiplying by them? */
bool cpu_linear_is_few(const dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);

/* y = x weight', of float or double tensors for which that is so. */
void cpu_linear_few(dn_tensor *y, const dn_tensor *x, const dn_tensor *weight);

#endif
