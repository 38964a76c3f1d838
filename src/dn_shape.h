/*
** Sizes multiply until they overflow, so products of sizes are made here and nowhere else.
*/
#ifndef DN_SHAPE_H
#define DN_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "dn_dtype.h"
#include "dn_status.h"

enum { DN_MAX_DIM = 8 };

/*
** *n_element = product of size[0..n_dim), *n_bytes = that times the dtype's size.
** n_dim 0 is one element; a size of 0 is no elements. Either output may be NULL.
** Returns DN_EARG for a negative size, n_dim outside 0..DN_MAX_DIM, or a product beyond 2^63-1.
*/
dn_status dn_shape_count(int n_dim, const int64_t *size, dn_dtype dtype, int64_t *n_element,
                         int64_t *n_bytes);

/* "64x16x3x3", or "scalar" for n_dim 0. `text` holds DN_SHAPE_TEXT characters; returns it. */
enum { DN_SHAPE_TEXT = DN_MAX_DIM * 21 + 1 };
const char *dn_shape_text(int n_dim, const int64_t *size, char *text);

bool dn_shape_equal(int n_dim_a, const int64_t *size_a, int n_dim_b, const int64_t *size_b);

/* stride[d] of a row-major tensor without gaps, in elements. */
void dn_shape_strides(int n_dim, const int64_t *size, int64_t *stride);

#endif
