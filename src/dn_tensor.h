/*
** A tensor is a value: a counted reference to a storage and the geometry through which it is
** read. Views (narrow, select, view, transpose, expand) copy the value and share the storage.
** A tensor whose storage is NULL has been freed; it still has its geometry, so it can be printed.
** Dimensions count from 0 here and from 1 in Lua.
*/
#ifndef DN_TENSOR_H
#define DN_TENSOR_H

#include "dn_shape.h"
#include "dn_storage.h"

typedef struct dn_tensor {
  dn_storage *storage; /* NULL once freed */
  dn_dtype dtype;
  int n_dim;
  int64_t size[DN_MAX_DIM];
  int64_t stride[DN_MAX_DIM]; /* in elements; 0 along an expanded dimension */
  int64_t offset;             /* of the first element, in elements from the storage's start */
} dn_tensor;

/* All of these write *out only on success. Those that fail otherwise say so; DN_EARG otherwise. */

/* A row-major tensor of its own, content undefined. Also DN_ENOMEM. */
dn_status dn_tensor_new(dn_device *device, dn_dtype dtype, int n_dim, const int64_t *size,
                        dn_tensor *out);

/* The same in host memory that `device` has pinned (dn_storage_new_pinned). */
dn_status dn_tensor_new_pinned(dn_device *device, dn_dtype dtype, int n_dim, const int64_t *size,
                               dn_tensor *out);

/* Gives the reference back; idempotent. */
void dn_tensor_free(dn_tensor *tensor);

/* Another reference to the same view. */
dn_status dn_tensor_share(const dn_tensor *tensor, dn_tensor *out);

/*
** The tensor becomes row-major with the given sizes, content undefined. Its storage is kept when it
** has
** room, so a loop that resizes to the same sizes allocates nothing; otherwise it gets a new one and
** other views keep the old. Also DN_ENOMEM, with the tensor unchanged.
*/
dn_status dn_tensor_resize(dn_tensor *tensor, int n_dim, const int64_t *size);

/* Elements start..start+length-1 along dim. */
dn_status dn_tensor_narrow(const dn_tensor *tensor, int dim, int64_t start, int64_t length,
                           dn_tensor *out);

/* Element `index` along dim, which disappears. */
dn_status dn_tensor_select(const dn_tensor *tensor, int dim, int64_t index, dn_tensor *out);

/* The same elements under other sizes; one size may be -1. The tensor must be contiguous. */
dn_status dn_tensor_view(const dn_tensor *tensor, int n_dim, const int64_t *size, dn_tensor *out);

dn_status dn_tensor_transpose(const dn_tensor *tensor, int dim_a, int dim_b, dn_tensor *out);

/*
** A row-major tensor inside another's bytes: `bytes` is a contiguous byte tensor, and the new one
** begins `n_before` bytes behind its first, which puts it at a multiple of 64 in the storage.
*/
dn_status dn_tensor_at(const dn_tensor *bytes, int64_t n_before, dn_dtype dtype, int n_dim,
                       const int64_t *size, dn_tensor *out);

/*
** A view of anything in the storage of `tensor`: its first element is `offset` elements from the storage's
** start, and strides are 0 or more. All of it lies inside the storage.
*/
dn_status dn_tensor_strided(const dn_tensor *tensor, int64_t offset, int n_dim, const int64_t *size,
                            const int64_t *stride, dn_tensor *out);

/* Sizes of 1 repeat without copying; missing leading dimensions are added, as broadcasting does. */
dn_status dn_tensor_expand(const dn_tensor *tensor, int n_dim, const int64_t *size, dn_tensor *out);

int64_t dn_tensor_count(const dn_tensor *tensor); /* elements */
bool dn_tensor_is_contiguous(const dn_tensor *tensor);
bool dn_tensor_same_shape(const dn_tensor *a, const dn_tensor *b);
const char *dn_tensor_shape_text(const dn_tensor *tensor,
                                 char *text); /* DN_SHAPE_TEXT characters */

/* Address of the first element. */
void *dn_tensor_data(const dn_tensor *tensor);

/*
** May writing one disturb the other? Never wrong when it says no; says yes when it cannot tell.
** Slices of one buffer along one dimension are told apart. A view overlaps itself.
*/
bool dn_tensor_overlaps(const dn_tensor *a, const dn_tensor *b);

/* Same storage, dtype and geometry: an operation on it works in place. */
bool dn_tensor_is_same_view(const dn_tensor *a, const dn_tensor *b);

#endif
