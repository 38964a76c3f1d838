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
**   dtypes        all tensors of a call share one dtype, unless a line says otherwise. Operations with
**                 the trait WIDENED take activations (images, matrices N,C, and their gradients) in
**                 float, double, half or bfloat16, and parameters that go with them (weights, biases,
**                 vectors and tables over channels, and their gradients), double beside double and
**                 float beside all others. 16-bit numbers are read into float, computed with in float,
**                 and rounded where they are written. Tables among themselves, losses and sgd_step take
**                 float and double
**   views         element-wise operations, reductions, relu, dropout and mse take any
**                 strides. Other N,C,H,W tensors need each H,W plane contiguous (slices along N
**                 and C are fine); parameters, N,C matrices and vectors need to be contiguous;
**                 gemm needs one unit stride in each matrix
**   numbers       dimensions count from 0; values inside index tensors (labels, argmax, topk,
**                 permutations, index_select) are long and count from 1, as Lua reads them.
**                 Arguments are numbered as Lua passes them: a struct counts as its fields
**   errors        DN_EARG naming the argument, shapes included; DN_ENOMEM where scratch is needed,
**                 before anything has been added to an output, so that the call can be repeated
**                 DN_EDEVICE for an operation that the tensors' backend does not have yet
**   late errors   on a GPU, wrong values inside tensors (labels, positions, zero divisors of long and
**                 byte) are met after the call has returned. DN_EARG then comes, without a number,
**                 from the next call that waits for the device: a copy to the CPU, item, totable,
**                 synchronize. It names the operation, the argument and the first wrong element;
**                 what was computed since then is not to be used
**   no elements   nothing to do is a success for elements, reductions, products, relu and dropout; the
**                 others refuse tensors without elements
** In shapes: N images, C channels, H W input plane; K output channels, R S kernel, P Q output
** plane.
** "[or NULL]" marks an argument that may be left out.
**
** What each operation computes is told in dn_ops.def.
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
  DN_UNARY_CEIL,
  DN_UNARY_ROUND, /* halves away from zero */
  DN_UNARY_TANH,
  DN_UNARY_SIGMOID,
  DN_UNARY_LOG1P,
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

/*
** A number, or where `at` is there one in memory: a tensor of one double on the device of the operation, read
** when the operation runs. So a captured step takes another number each time (dn_graph.h). Real dtypes only.
*/
typedef struct dn_number {
  double value;
  const dn_tensor *at;
} dn_number;

typedef struct dn_sgd {
  dn_number learning_rate;
  double momentum, dampening, weight_decay;
  bool nesterov;
  bool is_first; /* velocity has no history yet: it becomes the gradient */
} dn_sgd;

#define DN_OP(name, parameters, arguments, roles, traits) dn_status dn_##name parameters;
#include "dn_ops.def"

typedef enum dn_op {
#define DN_OP(name, parameters, arguments, roles, traits) DN_OP_##name,
#include "dn_ops.def"
  DN_OP_COUNT
} dn_op;

/* Of a struct that an operation takes: its fields, each an argument of its own in Lua. */
enum { DN_RNG_FIELDS = 3, DN_CONV2D_FIELDS = 5, DN_POOL2D_FIELDS = 8, DN_SGD_FIELDS = 6 };

/* What dn_ops.def says of an argument and of an operation (dn_roles.h). */
typedef struct dn_op_argument {
  const char *name; /* NULL behind the last one */
  /* "written", "added", "read"; "number", "slot", "flag", "size", "dim", "rng", "conv2d", "pool2d",
     "sgd"; of a kind, which: "unary"... */
  const char *role;
  bool is_optional;
  bool is_parameter; /* float where the activations have 16 bits */
  int n_values;      /* as many arguments in Lua */
} dn_op_argument;

typedef struct dn_op_description {
  const char *name; /* "conv2d_forward" */
  const dn_op_argument *arguments;
  bool is_widened, has_cpu_scratch, has_cuda_scratch;
} dn_op_description;

const dn_op_description *dn_op_describe(dn_op op);

/* "conv2d_forward"; "unknown" for no operation. */
const char *dn_op_name(dn_op op);

/* Whether the device's backend has the operation. */
bool dn_op_is_on(dn_op op, const dn_device *device);

/*
** Keeps `narrow`, N numbers in half or bfloat16, beside `weights`, N in float without gaps, for operations that
** take weights in 16 bits: those are then rounded once after each change and not at each use. NULL ends
** it, and so does the end of the weights' storage. A backend that gains nothing does nothing. Returns
** DN_EARG, DN_EDEVICE, DN_ENOMEM.
*/
dn_status dn_weights_narrow(dn_tensor *weights, dn_tensor *narrow);

/*
** Whether transition_forward and _backward are one pass each on x's device, of x N,C,H,W and weight K,C,1,1, and
** so the fast way there. Nothing has to be kept between the two then.
*/
bool dn_takes_transition(const dn_tensor *x, const dn_tensor *weight);

/*
** Values of folded_conv_pack's output for a weight of these sizes, K,C,R,S, and options: enough for every backend.
*/
int64_t dn_folded_conv_count(const int64_t size[4], dn_conv2d options);

/*
** y = x on the side: x pinned by y's device, both contiguous, of one dtype and shape. Starts when the
** operations called before on y's device are done and runs beside those called later. dn_copy_join
** makes later operations on the device wait for all copies so started, and returns at once; dn_copy_wait
** waits itself, after which x may be written. Returns DN_EARG, DN_EDEVICE.
*/
dn_status dn_copy_async(dn_tensor *y, const dn_tensor *x);
dn_status dn_copy_join(dn_device *device);
dn_status dn_copy_wait(dn_device *device);

/*
** Output sizes (P, Q) for an input plane; DN_EARG when the kernel is larger than the padded plane
** or an option is out of range.
*/
dn_status dn_conv2d_output_size(const int64_t input[2], const int64_t kernel[2], dn_conv2d options,
                                int64_t output[2]);
dn_status dn_pool2d_output_size(const int64_t input[2], dn_pool2d options, int64_t output[2]);

#endif
