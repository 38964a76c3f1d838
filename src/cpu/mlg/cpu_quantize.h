/*
** Quantisation of one tensor's elements, row-major (dn_quantize.h), in steps, so that tanh, which takes
** longest, is computed once.
*/
#ifndef CPU_QUANTIZE_H
#define CPU_QUANTIZE_H

#include <stdint.h>

#include "../../dn_dtype.h"

/* t = tanh(x); returns the scale, a number of that dtype. */
double cpu_quantize_tanh(dn_dtype dtype, int64_t count, void *t, const void *x);

/* value = what a weight is made of; it may be t. */
void cpu_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *t, double scale,
                         int64_t bits);

/* dx += the gradient that dvalue, one of the values, makes. */
void cpu_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue, const void *t,
                       double scale);

/* dx += dvalue: the same of numbers that are not quantised. */
void cpu_quantize_add(dn_dtype dtype, int64_t count, void *dx, const void *dvalue);

#endif
