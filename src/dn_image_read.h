/*
** Images from files: JPEG, PNG, BMP and PPM or PGM, told apart by their content and never by a name.
**
** The result is a byte tensor C,H,W on the CPU, 0 to 255, red, green and blue, or one channel of
** grey. What a picture holds beside its colours is passed over: transparency is dropped and not
** blended, and colour profiles, gamma and the orientation of a camera change nothing. Of 16 bits the
** higher 8 are kept. These are the bytes that PIL's convert("RGB") and torchvision give.
**
** JPEG needs libjpeg and PNG needs libpng; a build without one refuses its files with
** DN_EUNSUPPORTED. All functions may be called from any thread, also at the same time.
*/
#ifndef DN_IMAGE_READ_H
#define DN_IMAGE_READ_H

#include "dn_tensor.h"

typedef enum dn_image_format {
  DN_IMAGE_UNKNOWN,
  DN_IMAGE_JPEG,
  DN_IMAGE_PNG,
  DN_IMAGE_BMP,
  DN_IMAGE_PNM /* PPM or PGM, binary or in ASCII */
} dn_image_format;

/* What content is that begins with these bytes; 8 are enough. */
dn_image_format dn_image_recognize(const uint8_t *start, int64_t n_bytes);

/* "JPEG", "PNG", "BMP", "PPM"; NULL for DN_IMAGE_UNKNOWN. */
const char *dn_image_format_name(dn_image_format format);

/*
** *image becomes the picture in a file, n_channels,H,W: 1, 3, or 0 for 1 where it is grey and else 3.
** Grey of a coloured one is PIL's L: (19595 R + 38470 G + 7471 B + 32768) >> 16. Writes *image only
** on success.
** Returns DN_EFORMAT, with a sentence that names the file, for what is none of the formats, damaged,
** cut short or of a kind that is not read, and for more than DN_IMAGE_MOST_PIXELS, which a header
** tells before there is memory for them; DN_EUNSUPPORTED; DN_EARG for other n_channels; DN_EIO;
** DN_ENOMEM.
*/
dn_status dn_image_read(const char *path, int n_channels, dn_tensor *image);

/* The same of a file's content in memory; messages call it `name`. */
dn_status dn_image_decode(const char *name, const void *bytes, int64_t n_bytes, int n_channels,
                          dn_tensor *image);

/*
** How much of a picture its reader needs, asked once the header has told the size: *eighths of height and
** width, 1 to 8, are enough. A status other than DN_OK ends the reading.
*/
typedef struct dn_image_request {
  dn_status (*decide)(void *context, int64_t height, int64_t width, int *eighths);
  void *context;
} dn_image_request;

/*
** dn_image_read, and dn_image_decode where `bytes` is not NULL, for a reader that may need less. *height and
** *width become the picture's size, *image has that or, of JPEG, the eighths asked for, rounded up: made so
** by a smaller transform, which is faster for large pictures and gives other pixels than resizing does.
*/
dn_status dn_image_read_reduced(const char *name, const void *bytes, int64_t n_bytes,
                                int n_channels, const dn_image_request *request, int64_t *height,
                                int64_t *width, dn_tensor *image);

/* Half a GiB in three channels. */
#define DN_IMAGE_MOST_PIXELS INT64_C(178956970)

#endif
