/*
** Execution plans of cuDNN, each made once for a convolution of its sizes, strides, dtype and arithmetic, and kept: asking
** takes cuDNN's heuristics 40 to 150 us of the host's time, which a step has not, and a kept plan none.
**
** Which engine: the first of the heuristics' list that sums in one order at every run, that is compiled
** already, whose arithmetic is allowed, and whose workspace fits. Float that is to be IEEE float gets no
** tensor cores, which would round to TF32, no transforms (FFT, Winograd), and no sums of fewer bits.
**
** Plans are kept in the device's state. On "plan:cuda:N", where no GPU is needed, the same questions are
** put about GPU N, or where there is none about a described H200 (cuda_described.h); so workspaces are
** known and planned beforehand.
*/
#ifndef CUDA_CUDNN_PLAN_H
#define CUDA_CUDNN_PLAN_H

#include "cuda_conv2d.h"

/* All that a plan depends on; bytes between and behind the fields are 0, so that keys compare as bytes. */
typedef struct cuda_cudnn_key {
  int64_t direction; /* cuda_conv2d_direction */
  int64_t dtype;
  int64_t rounds; /* factors of float may be rounded to TF32 */
  int64_t n, c, h, w, k, p, q, r, s;
  int64_t x_stride[2], y_stride[2]; /* of images and channels */
  int64_t pad[2], stride[2], groups;
  int64_t x_alignment, y_alignment, weight_alignment; /* bytes, 16 at most */
  int64_t most_bytes;                                 /* of the workspace */
  double alpha, beta;
} cuda_cudnn_key;

enum { CUDA_CUDNN_MOST_KEPT = 12 };

typedef struct cuda_cudnn_plan {
  cuda_cudnn_key key;
  double asked_us; /* microseconds of the host that it took to make, or to be refused */
  bool is_refused; /* no engine will do; what is below is 0 then */
  int64_t n_bytes; /* of the workspace */
  int64_t engine;  /* its number in cuDNN's list of the operation's engines */
  void *plan;
  void *kept[CUDA_CUDNN_MOST_KEPT]; /* descriptors that the plan is made of, itself included */
  int n_kept;
} cuda_cudnn_plan;

/* A device's plans, and its handle; of a planned device no handle. */
struct cuda_cudnn {
  struct cudnnContext *handle;
  void *described; /* the descriptor of a planned device */
  cuda_cudnn_plan *plans;
  int n_plans, room;
};

/*
** The plan for a key, on the current device or, outside of one, on the one that is planned: good until the
** next call. Returns DN_EDEVICE, DN_ENOMEM.
*/
dn_status cuda_cudnn_find_plan(const cuda_cudnn_key *key, const cuda_cudnn_plan **plan);

/* The n-th plan that is kept there, from 0, in the order of their making; false where there are not so many. */
bool cuda_cudnn_get_plan(int64_t n, cuda_cudnn_plan *plan);

#endif
