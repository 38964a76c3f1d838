/*
** How weights are packed for folded_conv (dn_ops.def): what the front door, which knows the room that they
** take, and a backend, which fills it, have in common.
*/
#ifndef DN_FOLDED_H
#define DN_FOLDED_H

#include "dn_ops.h"

/*
** DN_FOLDED_PIXELS    1x1, unit strides, no padding: a product over pixels
** DN_FOLDED_WINOGRAD  3x3, unit strides, padding 1: F(2x2, 3x3), 16 products over tiles of 2x2 outputs
** DN_FOLDED_TAPS      any other: a product over taps, shifted
*/
typedef enum dn_folded_kind {
  DN_FOLDED_PIXELS = 1,
  DN_FOLDED_WINOGRAD,
  DN_FOLDED_TAPS
} dn_folded_kind;

enum {
  DN_FOLDED_HEAD =
      16, /* values before the weights that say how they are packed; a line of cache, or two */
  DN_FOLDED_PRODUCTS = 16 /* of F(2x2, 3x3) */
};

/* How a convolution of these weights, K,C,R,S, is computed. */
static inline dn_folded_kind dn_folded_kind_of(const int64_t size[4], dn_conv2d options) {
  if (options.stride_h != 1 || options.stride_w != 1 || size[2] != size[3]) return DN_FOLDED_TAPS;
  if (size[2] == 1 && options.pad_h == 0 && options.pad_w == 0) return DN_FOLDED_PIXELS;
  if (size[2] == 3 && options.pad_h == 1 && options.pad_w == 1) return DN_FOLDED_WINOGRAD;
  return DN_FOLDED_TAPS;
}

#endif
