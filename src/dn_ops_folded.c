/* Front door of evaluation's convolutions. */
#include "dn_ops_check.h"

#include <inttypes.h>

#include "dn_folded.h"

enum {
  TABLE = DN_PARAMETER | DN_ROWS,
  VECTOR = DN_PARAMETER | DN_CONTIGUOUS,
};

int64_t dn_folded_conv_count(const int64_t size[4], dn_conv2d options) {
  /* Panels have a multiple of 3 or of 4 rows, as the processor has it. */
  const int64_t k = size[0], by_3 = (k + 2) / 3 * 3, by_4 = (k + 3) / 4 * 4;
  const int64_t rows = by_3 > by_4 ? by_3 : by_4;
  const bool is_winograd = dn_folded_kind_of(size, options) == DN_FOLDED_WINOGRAD;
  return DN_FOLDED_HEAD + rows * size[1] * (is_winograd ? DN_FOLDED_PRODUCTS : size[2] * size[3]);
}

static dn_status check_groups(int number, dn_conv2d options) {
  if (options.groups == 1) return DN_OK;
  return dn_error_argument(number, "groups is %" PRId64 "; expected 1", options.groups);
}

static dn_status check_packed(int number, const dn_tensor *packed, const dn_tensor *weight,
                              dn_conv2d options) {
  const int64_t count = dn_folded_conv_count(weight->size, options);
  if (packed->size[0] == count) return DN_OK;
  char of[DN_SHAPE_TEXT];
  return dn_error_argument(
      number, "packed has %" PRId64 " values; expected %" PRId64 ", for a weight of %s",
      packed->size[0], count, dn_tensor_shape_text(weight, of));
}

dn_status dn_folded_conv(dn_tensor *y, const dn_tensor *x, const dn_tensor *before,
                         const dn_tensor *weight, const dn_tensor *after, const dn_tensor *packed,
                         dn_conv2d options) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "x", x, "NCHW", DN_PLANES | DN_FILLED},
                  {3, "before", before, "4C", TABLE | DN_OPTIONAL},
                  {4, "weight", weight, "KCRS", VECTOR | DN_FILLED},
                  {5, "after", after, "4K", TABLE | DN_OPTIONAL},
                  {6, "packed", packed, "L", VECTOR | DN_OPTIONAL},
                  {1, "y", y, "NKPQ", DN_OUT | DN_PLANES}));
  DN_TRY(check_groups(11, options));
  int64_t plane[2];
  DN_TRY(
      dn_check_conv2d_size(x->size + 2, weight->size + 2, options, (const int[2]){4, 4}, 7, plane));
  if (y->size[2] != plane[0] || y->size[3] != plane[1]) {
    char got[DN_SHAPE_TEXT], from[DN_SHAPE_TEXT];
    return dn_error_argument(
        1, "y is %s; expected planes of %" PRId64 "x%" PRId64 ", which x %s gives",
        dn_tensor_shape_text(y, got), plane[0], plane[1], dn_tensor_shape_text(x, from));
  }
  if (packed) DN_TRY(check_packed(6, packed, weight, options));
  return DN_RUN(folded_conv, y, x, before, weight, after, packed, options);
}

dn_status dn_folded_conv_pack(dn_tensor *packed, const dn_tensor *weight, const dn_tensor *after,
                              dn_conv2d options) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {2, "weight", weight, "KCRS", DN_CONTIGUOUS | DN_FILLED},
                  {3, "after", after, "4K", DN_ROWS | DN_OPTIONAL},
                  {1, "packed", packed, "L", DN_OUT | DN_CONTIGUOUS}));
  DN_TRY(check_groups(8, options));
  DN_TRY(check_packed(1, packed, weight, options));
  return DN_RUN(folded_conv_pack, packed, weight, after, options);
}
