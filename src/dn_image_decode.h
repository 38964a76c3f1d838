/*
** Private to what reads images: a file's content, the decoders of its formats, and what they share.
**
** A decoder learns the picture's size from the header, has it checked, and only then takes memory
** for the pixels; it hands them over row by row, as red, green and blue side by side.
*/
#ifndef DN_IMAGE_DECODE_H
#define DN_IMAGE_DECODE_H

#include "dn_image_read.h"

typedef struct dn_image_source {
  const char *name; /* for messages */
  const uint8_t *bytes;
  int64_t n_bytes;
  const dn_image_request *request; /* or NULL; only JPEG can do less than all */
} dn_image_source;

/* Each makes *image by dn_image_new and fills it; on failure the caller frees what is there. */
dn_status dn_image_decode_jpeg(const dn_image_source *source, int n_channels, dn_tensor *image);
dn_status dn_image_decode_png(const dn_image_source *source, int n_channels, dn_tensor *image);
dn_status dn_image_decode_bmp(const dn_image_source *source, int n_channels, dn_tensor *image);
dn_status dn_image_decode_pnm(const dn_image_source *source, int n_channels, dn_tensor *image);

/* DN_EFORMAT for a picture without pixels, or with more than DN_IMAGE_MOST_PIXELS. */
dn_status dn_image_check_size(const dn_image_source *source, int64_t width, int64_t height);

/* DN_EFORMAT: "NAME: cut short: the FORMAT image does not end within its ... bytes" */
dn_status dn_image_cut_short(const dn_image_source *source, const char *format);

/* DN_EUNSUPPORTED: how to get a build that reads or writes `format`. */
dn_status dn_image_without(const char *name, const char *action, const char *format,
                           const char *library, const char *package);

/*
** *image becomes a byte tensor n_channels,height,width; for n_channels 0 as many as the picture has, of
** grey one.
*/
dn_status dn_image_new(int n_channels, bool is_grey, int64_t height, int64_t width,
                       dn_tensor *image);

/* Row y of the image becomes these pixels, 3 bytes each. */
void dn_image_put_row(dn_tensor *image, int64_t y, const uint8_t *rgb);

/* The other way: row y of a byte image of 1 or 3 channels, its channels side by side. */
void dn_image_get_row(const dn_tensor *image, int64_t y, uint8_t *row);

#endif
