#include "dn_dtype.h"

#include <stdint.h>

static const struct {
  const char *name;
  size_t size;
  bool is_real;
} dtypes[DN_DTYPE_COUNT] = {
    [DN_FLOAT] = {"float", sizeof(float), true},
    [DN_DOUBLE] = {"double", sizeof(double), true},
    [DN_HALF] = {"half", 2, true},
    [DN_BFLOAT16] = {"bfloat16", 2, true},
    [DN_LONG] = {"long", sizeof(int64_t), false},
    [DN_BYTE] = {"byte", 1, false},
};

size_t dn_dtype_size(dn_dtype dtype) { return dtypes[dtype].size; }

const char *dn_dtype_name(dn_dtype dtype) { return dtypes[dtype].name; }

bool dn_dtype_is_real(dn_dtype dtype) { return dtypes[dtype].is_real; }
