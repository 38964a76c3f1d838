/* Quantisation of one tensor's elements, row-major (dn_quantize.h). */
#ifndef CPU_QUANTIZE_H
#define CPU_QUANTIZE_H

#include <stdint.h>

#include "../../dn_dtype.h"

/* value = what the weight is made of; bits: not DN_QUANTIZE_NOT. */
void cpu_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *x, int64_t bits);

/* dx += the gradient that dvalue, one of the values, makes; bits may be DN_QUANTIZE_NOT. */
void cpu_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue, const void *x,
                       int64_t bits);

#endif
