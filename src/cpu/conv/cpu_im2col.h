/*
** A convolution's patches as a matrix: row (c, r, s) and column (p, q) hold the input element that
** weight (c, r, s) meets at output position (p, q), 0 where that is padding. Then a convolution is
** a matrix product. Made a band of output rows at a time, so that the matrix stays in the cache.
*/
#ifndef CPU_IM2COL_H
#define CPU_IM2COL_H

#include "../../dn_ops.h"

typedef struct cpu_patches {
  int64_t c, h, w;        /* input channels to unfold, input plane */
  int64_t stride_c;       /* distance between the input's planes */
  int64_t r, s;           /* kernel */
  int64_t p_begin, p_end; /* the band of output rows */
  int64_t q;              /* output columns */
  dn_conv2d options;
} cpu_patches;

/* col: c*r*s rows of (p_end - p_begin) * q elements. */
void cpu_im2col(float *col, const float *x, const cpu_patches *patches);

/* The transposed map: every element of col is added to where im2col read it from. */
void cpu_col2im(float *x, const float *col, const cpu_patches *patches);

#endif
