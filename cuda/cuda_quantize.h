/*
** Quantisation of one tensor's elements, row-major, as parts of other operations (dn_quantize.h).
** `search` is scratch of cuda_quantize_search_bytes() in which the tensor's scale is found; the next call
** may use it again.
*/
#ifndef CUDA_QUANTIZE_H
#define CUDA_QUANTIZE_H

#include "cuda_backend.h"

int64_t cuda_quantize_search_bytes(dn_dtype dtype);

/* value = what a weight is made of; bits: not DN_QUANTIZE_NOT. Returns DN_EDEVICE, as the other. */
dn_status cuda_quantize_values(dn_dtype dtype, int64_t count, void *value, const void *x,
                               int64_t bits, void *search);

/* dx += the gradient that dvalue, one of the values, makes; bits may be DN_QUANTIZE_NOT. */
dn_status cuda_quantize_pull(dn_dtype dtype, int64_t count, void *dx, const void *dvalue,
                             const void *x, int64_t bits, void *search);

#endif
