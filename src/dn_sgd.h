/*
** One parameter's step of stochastic gradient descent, the formula that every backend shares, in
** float and in double.
** Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
** learning", in the form of Torch's optim.sgd.
*/
#ifndef DN_SGD_H
#define DN_SGD_H

#include "dn_ops.h"
#include "dn_shared.h"

/*
** The options as factors:
**   slope  = gradient + decay * parameter
**   moved  = momentum * velocity + fresh * slope, the new velocity; 0 without momentum
**   parameter -= rate * (direct * slope + ahead * moved)
*/
#define DN_SGD_FORMULA(real, name)                                                       \
  typedef struct dn_sgd_##name {                                                         \
    real rate, decay, momentum, fresh, direct, ahead;                                    \
    bool is_first; /* without history the velocity may be anything: it is not read */    \
  } dn_sgd_##name;                                                                       \
                                                                                         \
  static inline dn_sgd_##name dn_sgd_##name##_of(dn_sgd options) {                       \
    const bool is_plain = options.momentum == 0;                                         \
    const dn_sgd_##name factors = {                                                      \
        (real)options.learning_rate.value,                                               \
        (real)options.weight_decay,                                                      \
        (real)options.momentum,                                                          \
        (real)(options.is_first ? 1 : 1 - options.dampening),                            \
        (real)(is_plain || options.nesterov ? 1 : 0),                                    \
        is_plain           ? 0                                                           \
        : options.nesterov ? (real)options.momentum                                      \
                           : 1,                                                          \
        options.is_first,                                                                \
    };                                                                                   \
    return factors;                                                                      \
  }                                                                                      \
                                                                                         \
  DN_SHARED_INLINE real dn_sgd_##name##_moved(const dn_sgd_##name *by, real parameter,   \
                                              const real *velocity, real gradient) {     \
    const real past = by->is_first ? 0 : by->momentum * *velocity;                       \
    return past + by->fresh * (gradient + by->decay * parameter);                        \
  }                                                                                      \
                                                                                         \
  DN_SHARED_INLINE real dn_sgd_##name##_stepped(const dn_sgd_##name *by, real parameter, \
                                                real moved, real gradient) {             \
    const real slope = gradient + by->decay * parameter;                                 \
    return parameter - by->rate * (by->direct * slope + by->ahead * moved);              \
  }

DN_SGD_FORMULA(float, float)
DN_SGD_FORMULA(double, double)

#endif
