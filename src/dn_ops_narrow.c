/* Weights in 16 bits kept beside a vector of them (dn_ops.h). */
#include "dn_ops_check.h"

dn_status dn_weights_narrow(dn_tensor *weights, dn_tensor *narrow) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {1, "weights", weights, "N", DN_OUT | DN_CONTIGUOUS | DN_FILLED},
                  {2, "narrow", narrow, "N", DN_OUT | DN_CONTIGUOUS | DN_OPTIONAL | DN_ANY_DTYPE}));
  if (weights->dtype != DN_FLOAT)
    return dn_error_argument(1, "weights are %s; expected float", dn_dtype_name(weights->dtype));
  if (narrow && narrow->dtype != DN_HALF && narrow->dtype != DN_BFLOAT16)
    return dn_error_argument(2, "narrow is %s; expected half or bfloat16",
                             dn_dtype_name(narrow->dtype));
  if (narrow && narrow->offset != 0)
    return dn_error_argument(2, "narrow is a part of a tensor; expected all of its own");
  const dn_backend *backend = dn_backend_of(weights);
  return backend->weights_narrow ? backend->weights_narrow(weights, narrow) : DN_OK;
}
