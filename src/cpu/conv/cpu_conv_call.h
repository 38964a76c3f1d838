/*
** What the convolution engine is asked for (cpu_conv_pixels, cpu_conv_border, cpu_conv_patches): plain
** convolutions, and the dense layer's, whose input passes through scale-shift-ReLU on being read, whose
** gradient has deferred terms, and whose output's statistics are taken. Tensors are of one type, `real`,
** of one group of channels, and what dn_ops has checked.
*/
#ifndef CPU_CONV_CALL_H
#define CPU_CONV_CALL_H

#include "../../dn_ops.h"
#include "../tiles/cpu_real.h"

/* y = weight * prologue(x) + bias */
typedef struct cpu_conv_forward {
  dn_tensor *y, *stats;    /* stats 2,K: mean and biased variance of y's channels, or NULL */
  const dn_tensor *x;      /* N,C,H,W */
  const dn_tensor *norm;   /* 4,C: relu(scale x + shift); NULL: x itself */
  const dn_tensor *weight; /* K,C,R,S */
  const dn_tensor *bias;   /* K, or NULL */
  dn_conv2d options;
  /* The way back through a plain one: x is dy, y is dx, and weights lead from K to C, turned half a turn. */
  bool transposed;
} cpu_conv_forward;

/* dweight += scale dy x'; where dx is there, dx [+]= the way back through weight and prologue, dnorm its sums. */
typedef struct cpu_conv_backward {
  dn_tensor *dx, *dnorm; /* both or neither; they need a norm */
  dn_tensor *dweight;    /* or NULL */
  const dn_tensor *dy, *y,
      *deferred; /* y and deferred, both or neither: terms that dy still lacks */
  const dn_tensor *x, *norm, *weight;
  dn_conv2d options;
  bool accumulate; /* into dx */
  double scale;    /* of dweight */
} cpu_conv_backward;

/* Is the convolution a matrix product of the pixels as they lie? */
static inline bool cpu_conv_is_1x1(const dn_tensor *weight, dn_conv2d options) {
  return weight->size[2] == 1 && weight->size[3] == 1 && options.stride_h == 1 &&
         options.stride_w == 1 && options.pad_h == 0 && options.pad_w == 0;
}

#endif
