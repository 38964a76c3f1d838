#include "dn_shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

dn_status dn_shape_count(int n_dim, const int64_t *size, dn_dtype dtype, int64_t *n_element,
                         int64_t *n_bytes) {
  if (n_dim < 0 || n_dim > DN_MAX_DIM)
    return dn_error(DN_EARG, "a tensor has 0 to %d dimensions, got %d", DN_MAX_DIM, n_dim);
  bool is_empty = false;
  for (int d = 0; d < n_dim; d++) {
    if (size[d] < 0)
      return dn_error(DN_EARG, "size %d is %" PRId64 "; a size is 0 or more", d + 1, size[d]);
    if (size[d] == 0) is_empty = true;
  }
  /* A 0 counts as 1 here: strides are products of the other sizes and must not overflow either. */
  int64_t count = 1;
  const int64_t most = INT64_MAX / (int64_t)dn_dtype_size(dtype);
  for (int d = 0; d < n_dim; d++) {
    const int64_t factor = size[d] > 0 ? size[d] : 1;
    if (count > most / factor) {
      char text[DN_SHAPE_TEXT];
      return dn_error(DN_EARG, "%s of %s has more bytes than a number can count",
                      dn_shape_text(n_dim, size, text), dn_dtype_name(dtype));
    }
    count *= factor;
  }
  if (is_empty) count = 0;
  if (n_element) *n_element = count;
  if (n_bytes) *n_bytes = count * (int64_t)dn_dtype_size(dtype);
  return DN_OK;
}

const char *dn_shape_text(int n_dim, const int64_t *size, char *text) {
  if (n_dim == 0) return strcpy(text, "scalar");
  int length = 0;
  for (int d = 0; d < n_dim; d++)
    length += snprintf(text + length, (size_t)(DN_SHAPE_TEXT - length),
                       d ? "x%" PRId64 : "%" PRId64, size[d]);
  return text;
}

bool dn_shape_equal(int n_dim_a, const int64_t *size_a, int n_dim_b, const int64_t *size_b) {
  return n_dim_a == n_dim_b &&
         (n_dim_a == 0 || memcmp(size_a, size_b, (size_t)n_dim_a * sizeof *size_a) == 0);
}

void dn_shape_strides(int n_dim, const int64_t *size, int64_t *stride) {
  int64_t step = 1;
  for (int d = n_dim - 1; d >= 0; d--) {
    stride[d] = step;
    step *= size[d] > 1 ? size[d] : 1;
  }
}
