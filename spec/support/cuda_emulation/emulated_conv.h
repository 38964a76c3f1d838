/* Convolutions as the emulated cuDNN computes them: by their definition, in float, or in double for double. */
#ifndef EMULATED_CONV_H
#define EMULATED_CONV_H

#include "cuda_runtime.h"
#include "emulated_numbers.h"

struct emulated_tensor {
  emulated_type type;
  int64_t size[4], stride[4];
};

enum emulated_direction { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };

/* A whole call, by value: descriptors may be gone when the work runs. */
struct emulated_conv {
  emulated_direction direction;
  emulated_tensor x, y, w; /* dx or x, y or dy, the weight K,C/groups,R,S or its gradient */
  int64_t pad[2], stride[2], groups;
  const void *x_data, *w_data, *y_data;
  double alpha, beta;
  bool is_tf32;
};

void emulated_conv_compute(const emulated_conv &call);

#endif
