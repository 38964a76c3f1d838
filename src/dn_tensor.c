#include "dn_tensor.h"

#include <inttypes.h>
#include <string.h>

#include "dn_alloc.h"

typedef dn_status storage_maker(dn_device *device, int64_t n_bytes, dn_storage **storage);

static dn_status make_tensor(storage_maker *make, dn_device *device, dn_dtype dtype, int n_dim,
                             const int64_t *size, dn_tensor *out) {
  int64_t n_bytes;
  DN_TRY(dn_shape_count(n_dim, size, dtype, NULL, &n_bytes));
  dn_storage *storage;
  DN_TRY(make(device, n_bytes, &storage));
  dn_tensor made = {.storage = storage, .dtype = dtype, .n_dim = n_dim};
  if (n_dim > 0) memcpy(made.size, size, (size_t)n_dim * sizeof *size);
  dn_shape_strides(n_dim, size, made.stride);
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_new(dn_device *device, dn_dtype dtype, int n_dim, const int64_t *size,
                        dn_tensor *out) {
  return make_tensor(dn_storage_new, device, dtype, n_dim, size, out);
}

dn_status dn_tensor_new_pinned(dn_device *device, dn_dtype dtype, int n_dim, const int64_t *size,
                               dn_tensor *out) {
  return make_tensor(dn_storage_new_pinned, device, dtype, n_dim, size, out);
}

void dn_tensor_free(dn_tensor *tensor) {
  dn_storage *storage = tensor->storage;
  tensor->storage = NULL;
  dn_storage_release(storage);
}

dn_status dn_tensor_share(const dn_tensor *tensor, dn_tensor *out) {
  if (!tensor->storage) return dn_error(DN_EARG, "the tensor has been freed");
  dn_tensor made = *tensor;
  dn_storage_retain(made.storage);
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_resize(dn_tensor *tensor, int n_dim, const int64_t *size) {
  if (!tensor->storage) return dn_error(DN_EARG, "the tensor has been freed");
  int64_t n_bytes;
  DN_TRY(dn_shape_count(n_dim, size, tensor->dtype, NULL, &n_bytes));
  const int64_t skipped = tensor->offset * (int64_t)dn_dtype_size(tensor->dtype);
  if (n_bytes > tensor->storage->n_bytes - skipped) {
    dn_storage *storage;
    DN_TRY(dn_storage_new(tensor->storage->device, n_bytes, &storage));
    dn_storage_release(tensor->storage);
    tensor->storage = storage;
    tensor->offset = 0;
  }
  tensor->n_dim = n_dim;
  if (n_dim > 0) memmove(tensor->size, size, (size_t)n_dim * sizeof *size);
  dn_shape_strides(n_dim, tensor->size, tensor->stride);
  return DN_OK;
}

static dn_status check_dim(const dn_tensor *tensor, int dim) {
  if (dim >= 0 && dim < tensor->n_dim) return DN_OK;
  char text[DN_SHAPE_TEXT];
  return dn_error(DN_EARG, "dimension %d of a tensor of %d dimensions (%s)", dim + 1, tensor->n_dim,
                  dn_tensor_shape_text(tensor, text));
}

dn_status dn_tensor_narrow(const dn_tensor *tensor, int dim, int64_t start, int64_t length,
                           dn_tensor *out) {
  DN_TRY(check_dim(tensor, dim));
  const int64_t size = tensor->size[dim];
  if (start < 0 || length < 0 || start > size || length > size - start)
    return dn_error(DN_EARG,
                    "%" PRId64 " elements from %" PRId64 " of dimension %d, which has %" PRId64,
                    length, start + 1, dim + 1, size);
  dn_tensor made;
  DN_TRY(dn_tensor_share(tensor, &made));
  made.size[dim] = length;
  made.offset += start * made.stride[dim];
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_select(const dn_tensor *tensor, int dim, int64_t index, dn_tensor *out) {
  DN_TRY(check_dim(tensor, dim));
  if (index < 0 || index >= tensor->size[dim])
    return dn_error(DN_EARG, "index %" PRId64 " of dimension %d, which has %" PRId64, index + 1,
                    dim + 1, tensor->size[dim]);
  dn_tensor made;
  DN_TRY(dn_tensor_share(tensor, &made));
  made.offset += index * made.stride[dim];
  made.n_dim--;
  for (int d = dim; d < made.n_dim; d++) {
    made.size[d] = made.size[d + 1];
    made.stride[d] = made.stride[d + 1];
  }
  *out = made;
  return DN_OK;
}

/* Writes size[] with its -1, if any, replaced so that the product is `count`. */
static dn_status infer_size(int64_t count, int n_dim, const int64_t *size, int64_t *inferred) {
  if (n_dim < 0 || n_dim > DN_MAX_DIM)
    return dn_error(DN_EARG, "a tensor has 0 to %d dimensions, got %d", DN_MAX_DIM, n_dim);
  int unknown = -1;
  for (int d = 0; d < n_dim; d++) {
    inferred[d] = size[d];
    if (size[d] != -1) continue;
    if (unknown >= 0) return dn_error(DN_EARG, "only one size may be -1");
    unknown = d;
    inferred[d] = 1;
  }
  int64_t known;
  DN_TRY(dn_shape_count(n_dim, inferred, DN_BYTE, &known, NULL));
  if (unknown >= 0 && known == 0)
    return dn_error(DN_EARG, "cannot infer the size -1: another size is 0");
  if (unknown >= 0 && count % known == 0) {
    inferred[unknown] = count / known;
    known = count;
  }
  if (known == count) return DN_OK;
  if (unknown >= 0) inferred[unknown] = -1;
  char text[DN_SHAPE_TEXT];
  return dn_error(DN_EARG, "%" PRId64 " elements do not fit sizes %s", count,
                  dn_shape_text(n_dim, inferred, text));
}

dn_status dn_tensor_view(const dn_tensor *tensor, int n_dim, const int64_t *size, dn_tensor *out) {
  int64_t inferred[DN_MAX_DIM] = {0};
  DN_TRY(infer_size(dn_tensor_count(tensor), n_dim, size, inferred));
  if (!dn_tensor_is_contiguous(tensor))
    return dn_error(DN_EARG,
                    "only a contiguous tensor can be viewed under other sizes; call "
                    ":contiguous() first");
  dn_tensor made;
  DN_TRY(dn_tensor_share(tensor, &made));
  made.n_dim = n_dim;
  if (n_dim > 0) memcpy(made.size, inferred, (size_t)n_dim * sizeof *inferred);
  dn_shape_strides(n_dim, made.size, made.stride);
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_at(const dn_tensor *bytes, int64_t n_before, dn_dtype dtype, int n_dim,
                       const int64_t *size, dn_tensor *out) {
  if (bytes->dtype != DN_BYTE || !dn_tensor_is_contiguous(bytes))
    return dn_error_argument(1, "the tensor is not a contiguous one of bytes");
  const int64_t room = dn_tensor_count(bytes);
  int64_t n_bytes;
  DN_TRY(dn_shape_count(n_dim, size, dtype, NULL, &n_bytes));
  if (n_before < 0 || n_before > room || n_bytes > room - n_before)
    return dn_error_argument(2, "%" PRId64 " bytes from byte %" PRId64 " on, in %" PRId64, n_bytes,
                             n_before, room);
  if ((bytes->offset + n_before) % 64 != 0)
    return dn_error_argument(2, "byte %" PRId64 " of the storage is not at a multiple of 64",
                             bytes->offset + n_before);
  dn_tensor made;
  DN_TRY(dn_tensor_share(bytes, &made));
  made.dtype = dtype;
  made.n_dim = n_dim;
  made.offset = (bytes->offset + n_before) / (int64_t)dn_dtype_size(dtype);
  if (n_dim > 0) memcpy(made.size, size, (size_t)n_dim * sizeof *size);
  dn_shape_strides(n_dim, size, made.stride);
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_strided(const dn_tensor *tensor, int64_t offset, int n_dim, const int64_t *size,
                            const int64_t *stride, dn_tensor *out) {
  const int64_t room = tensor->storage->n_bytes / (int64_t)dn_dtype_size(tensor->dtype);
  int64_t n;
  DN_TRY(dn_shape_count(n_dim, size, tensor->dtype, &n, NULL));
  bool fits = offset >= 0 && offset <= room;
  int64_t last = offset;
  for (int d = 0; d < n_dim && fits && n > 0; d++) {
    fits = stride[d] >= 0 && (size[d] == 1 || stride[d] <= (room - last) / (size[d] - 1));
    if (fits) last += stride[d] * (size[d] - 1);
  }
  if (!fits || (n > 0 && last >= room))
    return dn_error(DN_EARG,
                    "a view of %" PRId64 " elements from element %" PRId64
                    " on, by these strides, does not lie in a storage of %" PRId64,
                    n, offset + 1, room);
  dn_tensor made;
  DN_TRY(dn_tensor_share(tensor, &made));
  made.n_dim = n_dim;
  made.offset = offset;
  if (n_dim > 0) memcpy(made.size, size, (size_t)n_dim * sizeof *size);
  if (n_dim > 0) memcpy(made.stride, stride, (size_t)n_dim * sizeof *stride);
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_transpose(const dn_tensor *tensor, int dim_a, int dim_b, dn_tensor *out) {
  DN_TRY(check_dim(tensor, dim_a));
  DN_TRY(check_dim(tensor, dim_b));
  dn_tensor made;
  DN_TRY(dn_tensor_share(tensor, &made));
  made.size[dim_a] = tensor->size[dim_b];
  made.size[dim_b] = tensor->size[dim_a];
  made.stride[dim_a] = tensor->stride[dim_b];
  made.stride[dim_b] = tensor->stride[dim_a];
  *out = made;
  return DN_OK;
}

dn_status dn_tensor_expand(const dn_tensor *tensor, int n_dim, const int64_t *size,
                           dn_tensor *out) {
  DN_TRY(dn_shape_count(n_dim, size, tensor->dtype, NULL, NULL));
  const int added = n_dim - tensor->n_dim;
  dn_tensor made = *tensor;
  made.n_dim = n_dim;
  for (int d = n_dim - 1; d >= 0; d--) {
    const int from = d - added;
    const bool repeats = from < 0 || tensor->size[from] == 1;
    if (added < 0 || (!repeats && tensor->size[from] != size[d])) {
      char text[DN_SHAPE_TEXT], wanted[DN_SHAPE_TEXT];
      return dn_error(DN_EARG, "%s does not broadcast to %s", dn_tensor_shape_text(tensor, text),
                      dn_shape_text(n_dim, size, wanted));
    }
    made.size[d] = size[d];
    made.stride[d] = from < 0 || (repeats && size[d] != 1) ? 0 : tensor->stride[from];
  }
  if (added < 0)
    return dn_error(DN_EARG, "a tensor of %d dimensions does not broadcast to %d", tensor->n_dim,
                    n_dim);
  return dn_tensor_share(&made, out);
}

int64_t dn_tensor_count(const dn_tensor *tensor) {
  int64_t count = 1;
  for (int d = 0; d < tensor->n_dim; d++) count *= tensor->size[d];
  return count;
}

bool dn_tensor_is_contiguous(const dn_tensor *tensor) {
  if (dn_tensor_count(tensor) == 0) return true;
  int64_t step = 1;
  for (int d = tensor->n_dim - 1; d >= 0; d--) {
    if (tensor->size[d] == 1) continue;
    if (tensor->stride[d] != step) return false;
    step *= tensor->size[d];
  }
  return true;
}

bool dn_tensor_same_shape(const dn_tensor *a, const dn_tensor *b) {
  return dn_shape_equal(a->n_dim, a->size, b->n_dim, b->size);
}

const char *dn_tensor_shape_text(const dn_tensor *tensor, char *text) {
  return dn_shape_text(tensor->n_dim, tensor->size, text);
}

void *dn_tensor_data(const dn_tensor *tensor) {
  return (char *)tensor->storage->data + tensor->offset * (int64_t)dn_dtype_size(tensor->dtype);
}

/* First and one past the last byte that the view can touch. */
static void byte_range(const dn_tensor *tensor, int64_t *first, int64_t *end) {
  int64_t last = tensor->offset;
  for (int d = 0; d < tensor->n_dim; d++)
    if (tensor->size[d] > 1) last += (tensor->size[d] - 1) * tensor->stride[d];
  const int64_t element = (int64_t)dn_dtype_size(tensor->dtype);
  *first = tensor->offset * element;
  *end = (last + 1) * element;
}

/* The same strides wherever there is more than one element. */
static bool are_alike(const dn_tensor *a, const dn_tensor *b) {
  if (a->n_dim != b->n_dim || a->dtype != b->dtype) return false;
  for (int d = 0; d < a->n_dim; d++)
    if ((a->size[d] > 1 || b->size[d] > 1) && (a->stride[d] != b->stride[d] || a->stride[d] <= 0))
      return false;
  return true;
}

/* Elements that the dimensions from d on span. */
static int64_t extent(const dn_tensor *tensor, int d) {
  int64_t last = 0;
  for (; d < tensor->n_dim; d++)
    if (tensor->size[d] > 1) last += (tensor->size[d] - 1) * tensor->stride[d];
  return last + 1;
}

/*
** May an element of a lie `distance` behind one of b, counting dimensions from d on, for views that
** are alike? Along d the two are k steps apart. As long as the inner dimensions span less than a
** step, only two values of k leave them anything to make up; it is a step and a rest, whatever the
** place at which the buffer begins in its storage.
*/
static bool may_meet(const dn_tensor *a, const dn_tensor *b, int d, int64_t distance) {
  while (d < a->n_dim && a->size[d] == 1 && b->size[d] == 1) d++;
  if (d == a->n_dim) return distance == 0;
  const int64_t step = a->stride[d];
  if (extent(a, d + 1) > step || extent(b, d + 1) > step) return true;
  const int64_t below = distance / step - (distance % step < 0);
  for (int64_t k = below; k <= below + 1; k++)
    if (k < b->size[d] && -k < a->size[d] && may_meet(a, b, d + 1, distance - k * step))
      return true;
  return false;
}

bool dn_tensor_overlaps(const dn_tensor *a, const dn_tensor *b) {
  if (a->storage != b->storage || dn_tensor_count(a) == 0 || dn_tensor_count(b) == 0) return false;
  int64_t first_a, end_a, first_b, end_b;
  byte_range(a, &first_a, &end_a);
  byte_range(b, &first_b, &end_b);
  if (end_a <= first_b || end_b <= first_a) return false;
  return !are_alike(a, b) || may_meet(a, b, 0, a->offset - b->offset);
}

bool dn_tensor_is_same_view(const dn_tensor *a, const dn_tensor *b) {
  if (a->storage != b->storage || a->dtype != b->dtype || a->offset != b->offset ||
      !dn_tensor_same_shape(a, b))
    return false;
  for (int d = 0; d < a->n_dim; d++)
    if (a->size[d] > 1 && a->stride[d] != b->stride[d]) return false;
  return true;
}
