/* Batch normalization for float and double; arguments as in dn_ops.def. */
#ifndef CPU_BATCHNORM_FAST_H
#define CPU_BATCHNORM_FAST_H

#include "../../dn_tensor.h"
#include "../tiles/cpu_real.h"

CPU_REAL_DECLARE(void, cpu_batchnorm_forward_fast,
                 (dn_tensor * y, dn_tensor *mean, dn_tensor *inv_std, dn_tensor *running_mean,
                  dn_tensor *running_var, const dn_tensor *x, const dn_tensor *gamma,
                  const dn_tensor *beta, double momentum, double epsilon));
CPU_REAL_DECLARE(void, cpu_batchnorm_inference_forward_fast,
                 (dn_tensor * y, const dn_tensor *x, const dn_tensor *running_mean,
                  const dn_tensor *running_var, const dn_tensor *gamma, const dn_tensor *beta,
                  double epsilon));
CPU_REAL_DECLARE(void, cpu_batchnorm_backward_fast,
                 (dn_tensor * dx, dn_tensor *dgamma, dn_tensor *dbeta, const dn_tensor *dy,
                  const dn_tensor *x, const dn_tensor *mean, const dn_tensor *inv_std,
                  const dn_tensor *gamma, double scale));
CPU_REAL_DECLARE(void, cpu_batchnorm_inference_backward_fast,
                 (dn_tensor * dx, dn_tensor *dgamma, dn_tensor *dbeta, const dn_tensor *dy,
                  const dn_tensor *x, const dn_tensor *running_mean, const dn_tensor *running_var,
                  const dn_tensor *gamma, double epsilon, double scale));

#endif
