/* What the backwards of norm_relu_conv and norm_relu_pool make of a norm's two sums, once dnorm has them. */
#ifndef CPU_NORM_GRADIENT_H
#define CPU_NORM_GRADIENT_H

#include "../../dn_tensor.h"

/*
** Arguments as in dn_ops.def; n_values of a channel are in x. By add_scaled and deferred_update, and so
** with their bits.
*/
dn_status cpu_norm_gradient(dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred,
                            const dn_tensor *dnorm, const dn_tensor *x, const dn_tensor *norm,
                            bool accumulate, double scale);

#endif
