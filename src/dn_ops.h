/*
** The front door to every operation: dn_<name> checks its arguments and dispatches to the backend
** of the tensors' device.
**
** Rules, stated once:
**   outputs       exist already with the right shape, dtype and device; an operation allocates none
**   write rule    activations, their gradients and results overwrite; gradients of parameters
**                 (dweight, dbias, dgamma, dbeta) accumulate, scaled: d += scale * gradient
**   in place      element-wise operations, relu, dropout, log_softmax and the backward passes of
**                 batchnorm (dx may be dy) take an output that is the very same view as an input;
**                 any other overlap of an output with another argument is refused
**   dtypes        all tensors of a call share one dtype, unless a line says otherwise. From gemm on
**                 there are activations (images, matrices N,C, and their gradients) in float, double,
**                 half or bfloat16, and parameters that go with them (weights, biases, vectors and
**                 tables over channels, and their gradients), double beside double and float beside
**                 all others. 16-bit numbers are read into float, computed with in float, and
**                 rounded where they are written. Tables among themselves, losses and sgd_step take
**                 float and double
**   views         element-wise operations, reductions, relu, dropout, concat and mse take any
**                 strides. Other N,C,H,W tensors need each H,W plane contiguous (slices along N
**                 and C are fine); parameters, N,C matrices and vectors need to be contiguous;
**                 gemm needs one unit stride in each matrix
**   numbers       dimensions count from 0; values inside index tensors (labels, argmax, topk,
**                 permutations, index_select) are long and count from 1, as Lua reads them.
**                 Arguments are numbered as Lua passes them: a struct counts as its fields
**   errors        DN_EARG naming the argument, shapes included; DN_ENOMEM where scratch is needed,
**                 before anything has been added to an output, so that the call can be repeated
**   late errors   on a GPU, wrong values inside tensors (labels, positions, zero divisors of long and
**                 byte) are met after the call has returned. DN_EARG then comes, without a number,
**                 from the next call that waits for the device: a copy to the CPU, item, totable,
**                 synchronize. It names the operation, the argument and the first wrong element;
**                 what was computed since then is not to be used
**   no elements   nothing to do is a success for elements, reductions, products, relu, dropout and
**                 concat; the others refuse tensors without elements
** In shapes: N images, C channels, H W input plane; K output channels, R S kernel, P Q output
** plane.
** "[or NULL]" marks an argument that may be left out.
*/
#ifndef DN_OPS_H
#define DN_OPS_H

#include "dn_philox.h"
#include "dn_tensor.h"

typedef enum dn_unary_kind {
  DN_UNARY_NEG,
  DN_UNARY_ABS,
  DN_UNARY_SIGN,
  DN_UNARY_SQUARE,
  DN_UNARY_SQRT, /* real dtypes from here on */
  DN_UNARY_EXP,
  DN_UNARY_LOG,
  DN_UNARY_FLOOR,
  DN_UNARY_COUNT
} dn_unary_kind;

typedef enum dn_binary_kind {
  DN_BINARY_ADD,
  DN_BINARY_SUB,
  DN_BINARY_MUL,
  DN_BINARY_DIV, /* long and byte: towards minus infinity; a zero divisor is DN_EARG */
  DN_BINARY_POW,
  DN_BINARY_MIN,
  DN_BINARY_MAX,
  DN_BINARY_COUNT
} dn_binary_kind;

typedef enum dn_compare_kind {
  DN_COMPARE_EQ,
  DN_COMPARE_NE,
  DN_COMPARE_LT,
  DN_COMPARE_LE,
  DN_COMPARE_GT,
  DN_COMPARE_GE,
  DN_COMPARE_COUNT
} dn_compare_kind;

typedef enum dn_reduce_kind {
  DN_REDUCE_SUM,
  DN_REDUCE_MEAN, /* y of a real dtype, as in the next */
  DN_REDUCE_VAR,  /* parameter: what is taken off the count, 1 unbiased, 0 biased */
  DN_REDUCE_MAX,
  DN_REDUCE_MIN,
  DN_REDUCE_NORM, /* y of a real dtype; parameter: p > 0 of the p-norm */
  DN_REDUCE_COUNT
} dn_reduce_kind;

typedef struct dn_conv2d {
  int64_t stride_h, stride_w; /* 1 or more */
  int64_t pad_h, pad_w;       /* zeros on each side, 0 or more */
  int64_t groups;             /* divides C and K */
} dn_conv2d;

typedef struct dn_pool2d {
  int64_t kernel_h, kernel_w;
  int64_t stride_h, stride_w;
  int64_t pad_h, pad_w; /* at most half the kernel */
  bool ceil_mode;       /* round the output size up; the last window still starts inside */
  bool count_padding;   /* average pooling: padded zeros count as elements */
} dn_pool2d;

typedef struct dn_sgd {
  double learning_rate, momentum, dampening, weight_decay;
  bool nesterov;
  bool is_first; /* velocity has no history yet: it becomes the gradient */
} dn_sgd;

/*
** elements (any dtype; a and b broadcast to y's shape)
**   fill            y = value
**   copy            y = x; same shape, any two dtypes, on one device or two; real to long or byte truncates
**                   and saturates, NaN becomes 0; to half and bfloat16 rounds to nearest even
**   unary           y = kind(x); sign of NaN is NaN
**   binary          y = a kind b; min, max: NaN wins. long wraps around modulo 2^64, byte modulo
**                   256; to a negative power they give 1 and -1 where those are exact, else 0
**   binary_scalar   y = a kind b, for a number b: a whole one where a is long or byte
**   add_scaled      y = a + scale * b; scale likewise
**   compare         y = a kind b as 0 or 1; y is byte whatever a and b are
**   compare_scalar  likewise, for a number b: rounded to a's dtype; exact where a is long or byte
**
** reductions and selections (any dtype)
**   reduce          over every dimension in which y has size 1 and x has not; y and x have as many
**                   dimensions. y has x's dtype, or one that holds more: double, or long of byte.
**                   Sums of real dtypes are kept in double, and are the same numbers for any
**                   number of threads; whole numbers are summed modulo 2^64, or in double where y
**                   is double. max, min: NaN wins; refused for no elements
**   arg_reduce      largest (or smallest) element along dim, and where; y, indices: x's shape with
**                   1 at dim. The first of equals; NaN wins
**   topk            the k largest (smallest) along the last dimension, best first, the earlier of
**                   equals first; values, indices: x's shape with k last, 1 <= k <= x's
**   index_select    y[i] = x[index[i]] along the first dimension; index M long, y M,...
**
** random numbers, a function of rng alone (dn_philox.h); uniform and normal fill real dtypes
**   random_uniform      y in [low, high); element i as dn_uniform_at; uses ceil(n/2) positions
**   random_normal       Box-Muller on the two uniforms of a position; uses ceil(n/2) positions
**   random_permutation  y: long vector, 1..n shuffled (Fisher-Yates); uses n positions
**
** products
**   gemm                    c = alpha a b + beta c;  a MxK, b KxN, c MxN; transposed views are read
**                           as such; beta 0 does not read c
**   linear_forward          y NxK = x NxC weight' + bias;  weight KxC, bias K [or NULL]
**   linear_backward_data    dx NxC = dy weight
**   linear_backward_weight  dweight KxC += scale dy' x;  dbias K [or NULL] += scale sum dy
**   conv2d_forward          y N,K,P,Q = x N,C,H,W * weight K,C/groups,R,S + bias K [or NULL];
**                           correlation, as in every framework
**   conv2d_backward_data    dx N,C,H,W
**   conv2d_backward_weight  dweight += , dbias [or NULL] +=
**
** normalization over N,H,W (or N for N,C), per channel C; gamma and beta [or NULL together]; dgamma
** and dbeta [or NULL together: frozen], never without gamma
**   batchnorm_forward       mean, inv_std C out: of the batch, inv_std = 1/sqrt(biased var +
**                           epsilon); running_mean, running_var C [or NULL together] move by
**                           momentum towards mean and unbiased variance; at least 2 values a
**                           channel
**   batchnorm_backward      mean, inv_std as the forward pass left them
**   batchnorm_inference_*   the running statistics as constants
** Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
**
** activations and pooling
**   relu_forward            y = max(x, 0); NaN stays
**   relu_backward           dx = dy where y > 0, else 0; y: the output of the forward pass
**   dropout_forward         y = x / (1 - p) where dn_dropout_keeps(rng, i), else 0; i counts x's
**                           elements row-major; 0 <= p < 1
**   dropout_backward        the same mask and scale on dy
**   max_pool2d_*            indices long, y's shape: position 1..H*W in the input plane
**   avg_pool2d_*            N,C,H,W to N,C,P,Q
**   global_avg_pool_*       N,C,H,W to N,C
**   concat_forward          y = the xs one after the other along dim
**   concat_backward         dxs[i] = its slice of dy
**
** dense layers: batch norm, ReLU and a convolution (or a pooling) in one, from statistics that are
** taken once per channel. Tables are 2-d, a row a vector over channels; rows may lie apart, so that
** a layer's table can be the first columns of its block's.
**   stats     2,C  mean, biased variance
**   norm      4,C  mean, inv_std, scale, shift: x^ = (x - mean) inv_std, z = relu(scale x + shift)
**   dnorm     2,C  dbeta, dgamma; overwritten
**   deferred  3,C  offset, slope, mean: what is missing from a gradient dx of raw values x, which
**                  is right as dx + offset + slope (x - mean). It is the part of the gradient that
**                  goes through the batch's statistics, the same for a whole channel
**   channel_stats            stats of x N,C,H,W
**   norm_table               norm from stats, gamma C and beta C, as batchnorm_forward has it;
**                            running_mean, running_var C [or NULL together] move by momentum, the
**                            variance made unbiased by n_values = N*H*W, 2 or more
**   norm_relu_conv_forward   y N,K,H,W = z * weight, K,C,1,1 or K,C,3,3 (padding 1); stats 2,K [or
**                            NULL] of y; x and y may be slices of one buffer
**   norm_relu_conv_backward  y, deferred [or NULL together]: missing terms of dy, added on reading;
**                            dweight += scale *; with dz, the gradient of scale x + shift: dnorm =
**                            its sums, dx = (accumulate ? dx : 0) + norm's scale * dz. What goes
**                            through norm's own statistics is left to deferred_update
**                            On a GPU 16-bit numbers are rounded on their way as well: z, dy with
**                            its missing terms, dz
**   norm_relu_pool_forward   y N,C,P,Q = mean of z over windows side by side, P = H / window_h, Q =
**                            W / window_w; lines and columns that fill no window are left out
**   norm_relu_pool_backward  dx, dnorm as norm_relu_conv_backward; elements left out have no
**                            gradient
**   deferred_update          offset, slope = (accumulate ? theirs : 0) + the terms that dnorm
**                            leaves, norm being of a batch of n_values a channel; mean = norm's
**   deferred_apply           dx += offset + slope (x - mean)
** Chain rule of Ioffe & Szegedy 2015, split in two.
**
** losses (float and double; loss has one element; target N long, labels 1..C; a label outside is
** DN_EARG)
**   log_softmax_*           along the last dimension of N,C (or a vector C)
**   nll_forward             loss = sum -w[t] x[n,t], divided by sum w[t] when `average`;
**                           class_weight C [or NULL: ones]
**   nll_backward            dx N,C
**   mse_*                   sum (x-target)^2, divided by the count when `average`; any shape
**
** parameters
**   sgd_step                g' = g + weight_decay p;  v = momentum v + (1 - dampening) g'
**                           (is_first: v = g');  g'' = nesterov ? g' + momentum v : v (momentum 0:
**                           g');  p -= learning_rate g''
**                           velocity may be NULL when momentum is 0
** Source: Sutskever et al. 2013, in the form of Torch's optim.sgd.
*/
#define DN_OP(name, parameters, arguments) dn_status dn_##name parameters;
#include "dn_ops.def"
#undef DN_OP

typedef enum dn_op {
#define DN_OP(name, parameters, arguments) DN_OP_##name,
#include "dn_ops.def"
#undef DN_OP
  DN_OP_COUNT
} dn_op;

/* "conv2d_forward"; the name of dn_ops.def. */
const char *dn_op_name(dn_op op);

/*
** Output sizes (P, Q) for an input plane; DN_EARG when the kernel is larger than the padded plane
** or an option is out of range.
*/
dn_status dn_conv2d_output_size(const int64_t input[2], const int64_t kernel[2], dn_conv2d options,
                                int64_t output[2]);
dn_status dn_pool2d_output_size(const int64_t input[2], dn_pool2d options, int64_t output[2]);

#endif
