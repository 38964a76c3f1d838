/* Products of row-major matrices in scratch or tensors, by a fast BLAS or by loops that need no memory. */
#ifndef CPU_MATRIX_PRODUCT_H
#define CPU_MATRIX_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dn_dtype.h"

/*
** c MxN = a b, a MxK and b KxN; a or b is stored transposed (KxM, NxK) where it says so. All without gaps.
*/
void cpu_matrix_product(dn_dtype dtype, int64_t m, int64_t n, int64_t k, void *c, const void *a,
                        bool a_is_transposed, const void *b, bool b_is_transposed);

#endif
