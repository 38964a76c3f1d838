/* Dispatch of batch normalization: loops for float and double, reference loops otherwise. */
#include "../cpu_backend.h"
#include "cpu_batchnorm_fast.h"
#include "cpu_batchnorm_reference.h"

dn_status cpu_batchnorm_forward(dn_tensor *y, dn_tensor *mean, dn_tensor *inv_std,
                                dn_tensor *running_mean, dn_tensor *running_var, const dn_tensor *x,
                                const dn_tensor *gamma, const dn_tensor *beta, double momentum,
                                double epsilon) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    cpu_batchnorm_forward_reference(y, mean, inv_std, running_mean, running_var, x, gamma, beta,
                                    momentum, epsilon);
  else
    CPU_REAL_OF(x->dtype, cpu_batchnorm_forward_fast)
  (y, mean, inv_std, running_mean, running_var, x, gamma, beta, momentum, epsilon);
  return DN_OK;
}

dn_status cpu_batchnorm_inference_forward(dn_tensor *y, const dn_tensor *x,
                                          const dn_tensor *running_mean,
                                          const dn_tensor *running_var, const dn_tensor *gamma,
                                          const dn_tensor *beta, double epsilon) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    cpu_batchnorm_inference_forward_reference(y, x, running_mean, running_var, gamma, beta,
                                              epsilon);
  else
    CPU_REAL_OF(x->dtype, cpu_batchnorm_inference_forward_fast)
  (y, x, running_mean, running_var, gamma, beta, epsilon);
  return DN_OK;
}

dn_status cpu_batchnorm_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                 const dn_tensor *dy, const dn_tensor *x, const dn_tensor *mean,
                                 const dn_tensor *inv_std, const dn_tensor *gamma, double scale) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    cpu_batchnorm_backward_reference(dx, dgamma, dbeta, dy, x, mean, inv_std, gamma, scale);
  else
    CPU_REAL_OF(x->dtype, cpu_batchnorm_backward_fast)
  (dx, dgamma, dbeta, dy, x, mean, inv_std, gamma, scale);
  return DN_OK;
}

dn_status cpu_batchnorm_inference_backward(dn_tensor *dx, dn_tensor *dgamma, dn_tensor *dbeta,
                                           const dn_tensor *dy, const dn_tensor *x,
                                           const dn_tensor *running_mean,
                                           const dn_tensor *running_var, const dn_tensor *gamma,
                                           double epsilon, double scale) {
  if (!cpu_is_real(x->dtype) || dn_reference())
    cpu_batchnorm_inference_backward_reference(dx, dgamma, dbeta, dy, x, running_mean, running_var,
                                               gamma, epsilon, scale);
  else
    CPU_REAL_OF(x->dtype, cpu_batchnorm_inference_backward_fast)
  (dx, dgamma, dbeta, dy, x, running_mean, running_var, gamma, epsilon, scale);
  return DN_OK;
}
