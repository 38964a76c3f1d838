/*
** Images into files: PNG, by libpng, and PPM or PGM. Both keep every bit.
*/
#ifndef DN_IMAGE_WRITE_H
#define DN_IMAGE_WRITE_H

#include "dn_image_read.h"

/*
** The file at `path` becomes the image, a byte tensor C,H,W on the CPU of 1 or 3 channels and at
** most DN_IMAGE_MOST_PIXELS (else DN_EARG), in the format DN_IMAGE_PNG or DN_IMAGE_PNM. It is
** replaced whole or not at all, as dn_file_write does. Also DN_EUNSUPPORTED (PNG without libpng),
** DN_EIO, DN_ENOMEM.
*/
dn_status dn_image_write(const char *path, const dn_tensor *image, dn_image_format format);

/* ---- Private: *content becomes a byte vector, the file's, of an image that has been checked ---- */

dn_status dn_image_encode_png(const char *name, const dn_tensor *image, dn_tensor *content);

#endif
