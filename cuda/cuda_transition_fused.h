/*
** A transition by tensor cores, in one pass each way (cuda_transition_forward.cu, ..._backward.cu): the dense
** layer's 1x1 with means over 2x2 windows taken of x as it is read, and spread over dx as it is made.
** Arguments are those of transition_forward and _backward (dn_ops.def). Nothing is kept between the two.
*/
#ifndef CUDA_TRANSITION_FUSED_H
#define CUDA_TRANSITION_FUSED_H

#include "cuda_norm_gradient.h"

/* Whether the kernels can do it with these tensors: lines of x are whole vectors of 16 bytes. */
bool cuda_transition_forward_fits(const dn_tensor *y, const dn_tensor *x);
bool cuda_transition_backward_fits(const dn_tensor *dx, const dn_tensor *dy, const dn_tensor *x);

/* Whether they can, both ways, with tensors without gaps beside x: what dn_takes_transition says. */
bool cuda_transition_fits(const dn_tensor *x, const dn_tensor *weight);

/* Bytes of scratch, and the operation with them. */
int64_t cuda_transition_fused_forward_scratch(const dn_tensor *y, const dn_tensor *stats);
dn_status cuda_transition_fused_forward(dn_tensor *y, dn_tensor *stats, const dn_tensor *x,
                                        const dn_tensor *norm, const dn_tensor *weight,
                                        void *scratch);
int64_t cuda_transition_fused_backward_scratch(const dn_tensor *dweight, const dn_tensor *dy,
                                               const dn_tensor *x);
dn_status cuda_transition_fused_backward(dn_tensor *dx, const cuda_norm_gradient &gradient,
                                         dn_tensor *dweight, const dn_tensor *dy,
                                         const dn_tensor *x, const dn_tensor *weight,
                                         void *scratch);

#endif
