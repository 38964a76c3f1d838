/*
** The patches of a convolution as rows of pixels: row (c, r, s) holds, for each output position, the input
** element that weight (c, r, s) meets there, 0 where that is padding. Packed in blocks (cpu_tiles.h), for
** as many output positions as a thread's cache holds.
*/
#ifndef CPU_PATCHES_H
#define CPU_PATCHES_H

#include "cpu_map.h"
#include "../../dn_ops.h"

typedef struct cpu_patches {
  int64_t c, h, w;  /* input channels and plane */
  int64_t stride_c; /* between the input's planes */
  int64_t r, s;     /* kernel */
  int64_t width;    /* of an output line */
  dn_conv2d options;
} cpu_patches;

/* For input planes `x` (or their gradient), a weight K,C,R,S and an output's width. */
static inline cpu_patches cpu_patches_of(const dn_tensor *x, const dn_tensor *weight, int64_t width,
                                         dn_conv2d options) {
  return (cpu_patches){.c = weight->size[1],
                       .h = x->size[2],
                       .w = x->size[3],
                       .stride_c = x->stride[1],
                       .r = weight->size[2],
                       .s = weight->size[3],
                       .width = width,
                       .options = options};
}

#define cpu_patches_gather CPU_REAL(cpu_patches_gather)
#define cpu_patches_scatter CPU_REAL(cpu_patches_scatter)

/* Output positions first, first + 1, ... of an image x, packed; zeros to the end of the last block. */
void cpu_patches_gather(const cpu_patches *patches, const real *x, int64_t first, int64_t n_pixels,
                        real *packed, cpu_layout layout);

/*
** The transposed map for channels [c, c_end): row ((c', r, s), output position first + i) of `rows`,
** `stride` apart, is added to the element of x that gather reads it from.
*/
void cpu_patches_scatter(const cpu_patches *patches, real *x, int64_t c, int64_t c_end,
                         int64_t first, int64_t n_pixels, const real *rows, int64_t stride);

#endif
