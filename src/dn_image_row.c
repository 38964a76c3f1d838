#include "dn_image_row.h"

dn_status dn_image_check(int argument, const dn_tensor *image, dn_image_dtypes dtypes) {
  if (!image->storage) return dn_error_argument(argument, "the tensor has been freed");
  char text[DN_SHAPE_TEXT];
  if (image->n_dim != 3)
    return dn_error_argument(argument, "an image is C,H,W, got %s",
                             dn_tensor_shape_text(image, text));
  const dn_dtype dtype = image->dtype;
  const bool is_real = dtype == DN_FLOAT || dtype == DN_DOUBLE;
  if (dtypes == DN_IMAGE_REAL && !is_real)
    return dn_error_argument(argument, "must be float or double here, got %s",
                             dn_dtype_name(dtype));
  if (dtypes == DN_IMAGE_BYTE && dtype != DN_BYTE)
    return dn_error_argument(argument, "must be byte here, got %s", dn_dtype_name(dtype));
  if (!is_real && dtype != DN_BYTE)
    return dn_error_argument(argument, "an image is byte, float or double, got %s",
                             dn_dtype_name(dtype));
  if (image->storage->device != dn_device_cpu())
    return dn_error_argument(argument, "images are transformed on cpu, got one on %s",
                             image->storage->device->name);
  if (image->size[2] > 1 && image->stride[2] != 1)
    return dn_error_argument(argument, "the rows of the image have gaps; call :contiguous() first");
  if (argument == 1) dn_storage_written(image->storage); /* in every step the one that is made */
  return DN_OK;
}
