/*
** The plain loops of batch normalization, for float and double with sums in double: what the fast
** paths are compared with, and what double precision runs. Arguments as in dn_ops.def.
*/
#ifndef CPU_BATCHNORM_REFERENCE_H
#define CPU_BATCHNORM_REFERENCE_H

#include "../../dn_tensor.h"

void cpu_batchnorm_forward_reference(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                     dn_tensor *running_mean, dn_tensor *running_var,
                                     const dn_tensor *x, const dn_tensor *gamma,
                                     const dn_tensor *beta, double momentum, double epsilon);

void cpu_batchnorm_backward_reference(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                      const dn_tensor *dy, const dn_tensor *x,
                                      const dn_tensor *mean, const dn_tensor *inv_std,
                                      const dn_tensor *gamma, double scale);

void cpu_batchnorm_inference_forward_reference(dn_tensor *y, const dn_tensor *x,
                                               const dn_tensor *running_mean,
                                               const dn_tensor *running_var, const dn_tensor *gamma,
                                               const dn_tensor *beta, double epsilon);

void cpu_batchnorm_inference_backward_reference(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                                const dn_tensor *dy, const dn_tensor *x,
                                                const dn_tensor *running_mean,
                                                const dn_tensor *running_var,
                                                const dn_tensor *gamma, double epsilon,
                                                double scale);

#endif
