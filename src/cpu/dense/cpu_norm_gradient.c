#include "cpu_norm_gradient.h"

#include "../../dn_norm.h"
#include "../cpu_backend.h"

static dn_tensor row_of(const dn_tensor *table, int row) {
  dn_tensor vector = *table;
  vector.n_dim = 1;
  vector.size[0] = table->size[1];
  vector.stride[0] = 1;
  vector.offset += row * table->stride[0];
  return vector;
}

dn_status cpu_norm_gradient(dn_tensor *dgamma, dn_tensor *dbeta, dn_tensor *dx_deferred,
                            const dn_tensor *dnorm, const dn_tensor *x, const dn_tensor *norm,
                            bool accumulate, double scale) {
  if (dgamma) {
    const dn_tensor betas = row_of(dnorm, DN_DNORM_BETA), gammas = row_of(dnorm, DN_DNORM_GAMMA);
    const dn_number times = {.value = scale};
    DN_TRY(cpu_add_scaled(dbeta, dbeta, &betas, times));
    DN_TRY(cpu_add_scaled(dgamma, dgamma, &gammas, times));
  }
  if (!dx_deferred) return DN_OK;
  const int64_t n_values = x->size[0] * x->size[2] * x->size[3];
  return cpu_deferred_update(dx_deferred, dnorm, norm, n_values, accumulate);
}
