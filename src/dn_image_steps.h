/*
** One image of a data set on its way into a batch, in one go: cut and scaled as bytes, its colours
** changed and normalised, mirrored. It is what the transforms of lua/densenet/data/transforms do one
** after the other, of the same random numbers, drawn in the same order.
**
** Every change of colours is an affine map of red, green and blue, and so are all of them together.
** The contrast's needs the mean of the image so far, which is the map of the mean of its bytes. So the
** bytes are summed once and each pixel is multiplied once, by one 3x3 matrix.
*/
#ifndef DN_IMAGE_STEPS_H
#define DN_IMAGE_STEPS_H

#include "dn_image.h"

typedef enum dn_image_cut {
  DN_IMAGE_CUT_MIDDLE, /* Scale(scale, filter), CenterCrop(crop, rounding); either may be 0: left out */
  DN_IMAGE_CUT_RANDOM_SIZED /* RandomSizedCrop(crop, filter) */
} dn_image_cut;

typedef enum dn_image_step_kind {
  DN_IMAGE_BRIGHTNESS,
  DN_IMAGE_CONTRAST,
  DN_IMAGE_SATURATION, /* each of the three by a range */
  DN_IMAGE_JITTER,     /* those three by their ranges where these are not 0, in random order */
  DN_IMAGE_LIGHTING,
  DN_IMAGE_NORMALIZE,
  DN_IMAGE_FLIP,
  DN_IMAGE_ERASE, /* a rectangle becomes 0; the last step, if there is one */
  DN_IMAGE_STEP_KIND_COUNT
} dn_image_step_kind;

typedef struct dn_image_step {
  dn_image_step_kind kind;
  double range[3];             /* brightness, contrast, saturation, each at its own place */
  double deviation;            /* of the lighting */
  double eigenvalues[3];       /* of the lighting's axes */
  double eigenvectors[3][3];   /* [channel][axis] */
  int n_channels;              /* of a normalisation */
  const double *mean, *spread; /* n_channels each, the spread above 0 */
  double probability;          /* of a flip or an erasure */
} dn_image_step;

/* Images are scaled and cut first, and then go through the steps in their order. */
typedef struct dn_image_steps {
  dn_image_cut cut;
  int64_t scale, crop;  /* pixels */
  double smallest_area; /* RandomSizedCrop's: share of the image, above 0 and at most 1 */
  bool rounds_even;
  dn_image_filter filter; /* bilinear or bicubic */
  bool decodes_reduced;   /* see dn_image_reduction */
  int n_steps;
  const dn_image_step *step;
} dn_image_steps;

/* What is drawn before the pixels are looked at: the window, and rng moved past what it took. */
dn_status dn_image_draw_window(const dn_image_steps *steps, int64_t height, int64_t width,
                               dn_rng *rng, dn_image_window *window);

/*
** How many eighths of its size a JPEG image of height x width may be decoded to, for this window: as
** few as leave the window's rectangle no smaller than what it is scaled to; 8 unless decodes_reduced.
** One of 1, 2, 4 and 8, the sizes whose transforms libjpeg-turbo has as vector instructions.
*/
int dn_image_reduction(const dn_image_steps *steps, dn_image_window window);

/*
** out C,h,w (float or double) becomes the window of `in` C,H,W (byte), through the steps. rng stands
** where dn_image_draw_window left it. The window's place is in an image of height x width, and `in`
** may be that image reduced, the place is then the nearest.
** Returns DN_EARG, also for changes of colour of other than 3 channels, where brightness and contrast
** may be of 1; DN_ENOMEM.
*/
dn_status dn_image_take_steps(dn_tensor *out, const dn_tensor *in, const dn_image_steps *steps,
                              dn_image_window window, int64_t height, int64_t width, dn_rng rng);

#endif
