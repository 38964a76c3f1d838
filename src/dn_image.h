/*
** Images on their way to a batch: host tensors C,H,W of any number of channels, resampled and
** shifted one image at a time.
**
** An image may be a view as long as neighbours in a row are neighbours in memory. `out` exists
** already and its shape says what is wanted; it may not overlap `in` unless a line says so.
** Rows are counted downwards and columns to the right, from 0; (top, left) is the place in `in`
** of out's first pixel and may lie outside: what is not covered by `in` becomes 0.
** All return DN_EARG for a wrong shape, dtype or device.
*/
#ifndef DN_IMAGE_H
#define DN_IMAGE_H

#include "dn_philox.h"
#include "dn_tensor.h"

typedef enum dn_image_filter {
  DN_IMAGE_BILINEAR, /* triangle, reaches 1 pixel */
  DN_IMAGE_BICUBIC,  /* Catmull-Rom (a = -0.5), reaches 2 pixels */
  DN_IMAGE_TORCH,    /* Torch7's bicubic: corners on corners, 4 pixels whatever the factor */
  DN_IMAGE_FILTER_COUNT
} dn_image_filter;

/* Mirrors left and right. byte, float or double, the same in both. */
dn_status dn_image_flip(dn_tensor *out, const dn_tensor *in);

/* out C,h,w = in from (top, left), zeros outside. byte, float or double, the same in both. */
dn_status dn_image_crop(dn_tensor *out, const dn_tensor *in, int64_t top, int64_t left);

/*
** Resamples the whole of `in` to out's size; out float or double, in also byte. Bilinear and bicubic
** are PIL's resize: they widen by the factor of the shrinkage, so that every pixel of `in` counts (no
** aliasing), and are cut off and renormalised at the border. No pixel is rounded or clipped, so bicubic
** may overshoot. From byte to byte it is PIL's own arithmetic of 22 bits: columns are narrowed first,
** and each pass is rounded and clipped. Also DN_ENOMEM.
*/
dn_status dn_image_resize(dn_tensor *out, const dn_tensor *in, dn_image_filter filter);

/* A rectangle of an image, the size that it is scaled to, and where in that the output begins. */
typedef struct dn_image_window {
  int64_t top, left, height, width; /* what lies outside of it counts for nothing */
  int64_t scaled_height, scaled_width;
  int64_t first_row, first_column;
} dn_image_window;

/*
** The pixels that dn_image_resize of the rectangle and then dn_image_crop would leave in `out`, to the bit,
** and no others are computed.
*/
dn_status dn_image_resample(dn_tensor *out, const dn_tensor *in, dn_image_window window,
                            dn_image_filter filter);

/*
** Turns the picture counter-clockwise by `angle` radians about the middle of `in`; bilinear, zeros
** outside. out and in have one shape; out float or double, in also byte.
*/
dn_status dn_image_rotate(dn_tensor *out, const dn_tensor *in, double angle);

/*
** out = (in - mean[c]) / deviation[c], computed in out's dtype: float or double; in is byte or of
** out's dtype. mean and deviation have n_channels numbers, as many as the image. out may be in.
*/
dn_status dn_image_normalize(dn_tensor *out, const dn_tensor *in, int n_channels,
                             const double *mean, const double *deviation);

/* What happens to one image of a training batch. */
typedef struct dn_image_augmentation {
  bool flip;         /* first */
  int64_t top, left; /* then a crop, as in dn_image_crop */
} dn_image_augmentation;

/* How a training batch is varied; see HorizontalFlip and RandomCrop in lua/densenet/data. */
typedef struct dn_image_recipe {
  bool flips;
  double flip_probability;
  bool crops;
  int64_t padding; /* zeros on each side before the crop */
} dn_image_recipe;

/*
** What the recipe does to one image of in_size (height, width) of which out_size is kept, drawn
** as random.lua's generators draw: a uniform number for the flip, then integers for the column and
** the row of the crop, each from the next position of rng. Returns DN_EARG when the crop is larger
** than the padded image, or when the sizes differ and nothing is cropped.
*/
dn_status dn_image_draw(dn_image_recipe recipe, dn_rng rng, const int64_t in_size[2],
                        const int64_t out_size[2], dn_image_augmentation *drawn);

/*
** Image `to` of the batch out N,C,h,w = normalize, flip and crop, in this order, of image `from`
** of images M,C,H,W byte, in one pass and with the same bits as the three one after the other.
** Images count from 0. Zeros come after normalisation: the border has the mean colour.
*/
dn_status dn_image_augment(dn_tensor *out, int64_t to, const dn_tensor *images, int64_t from,
                           dn_image_augmentation how, int n_channels, const double *mean,
                           const double *deviation);

#endif
