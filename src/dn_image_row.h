/*
** Private to dn_image*.c: rows of an image, whatever its element type, and the checks that make
** reading them safe.
*/
#ifndef DN_IMAGE_ROW_H
#define DN_IMAGE_ROW_H

#include "dn_tensor.h"

/* Element types that a step takes. */
typedef enum dn_image_dtypes {
  DN_IMAGE_ANY,  /* byte, float, double */
  DN_IMAGE_REAL, /* float, double */
  DN_IMAGE_BYTE
} dn_image_dtypes;

/*
** DN_EARG for that argument unless it is a live host tensor C,H,W of those types, rows whole. Argument 1 is
** the image that is about to be written.
*/
dn_status dn_image_check(int argument, const dn_tensor *image, dn_image_dtypes dtypes);

/* First element of row y of channel c. */
static inline void *dn_image_row(const dn_tensor *image, int64_t c, int64_t y) {
  const int64_t element = c * image->stride[0] + y * image->stride[1];
  return (char *)dn_tensor_data(image) + element * (int64_t)dn_dtype_size(image->dtype);
}

static inline double dn_image_load(const void *row, dn_dtype dtype, int64_t x) {
  switch (dtype) {
    case DN_BYTE:
      return ((const uint8_t *)row)[x];
    case DN_FLOAT:
      return (double)((const float *)row)[x];
    default:
      return ((const double *)row)[x];
  }
}

/* float and double only. */
static inline void dn_image_store(void *row, dn_dtype dtype, int64_t x, double value) {
  if (dtype == DN_FLOAT)
    ((float *)row)[x] = (float)value;
  else
    ((double *)row)[x] = value;
}

#endif
