/*
** What a reduction does with one number after the other: the formulas that every backend shares.
** Real numbers are folded in double, whole ones in int64 with wrap-around; NaN wins over all.
*/
#ifndef DN_FOLD_H
#define DN_FOLD_H

#include <math.h>
#include <stdint.h>

#include "dn_ops.h"
#include "dn_shared.h"

/* One step of a fold. Each begins at dn_fold_start and meets its like in dn_fold_meet. */
typedef enum dn_fold {
  DN_FOLD_SUM,
  DN_FOLD_SQUARES, /* of the distance to a centre */
  DN_FOLD_MAX,
  DN_FOLD_MIN,
  DN_FOLD_ABS,
  DN_FOLD_ABS_MAX,
  DN_FOLD_ABS_POWER
} dn_fold;

/* The fold that a reduction is made of; the parameter is dn_reduce's. */
DN_SHARED_INLINE dn_fold dn_fold_for(dn_reduce_kind kind, double parameter) {
  switch (kind) {
    case DN_REDUCE_MAX:
      return DN_FOLD_MAX;
    case DN_REDUCE_MIN:
      return DN_FOLD_MIN;
    case DN_REDUCE_VAR:
      return DN_FOLD_SQUARES;
    case DN_REDUCE_NORM:
      return parameter == 2          ? DN_FOLD_SQUARES
             : parameter == 1        ? DN_FOLD_ABS
             : parameter == INFINITY ? DN_FOLD_ABS_MAX
                                     : DN_FOLD_ABS_POWER;
    default:
      return DN_FOLD_SUM;
  }
}

DN_SHARED_INLINE double dn_fold_start(dn_fold kind) {
  return kind == DN_FOLD_MAX ? -INFINITY : kind == DN_FOLD_MIN ? INFINITY : 0;
}

DN_SHARED_INLINE int64_t dn_fold_start_long(dn_fold kind) {
  return kind == DN_FOLD_MAX ? INT64_MIN : kind == DN_FOLD_MIN ? INT64_MAX : 0;
}

DN_SHARED_INLINE double dn_fold_step(dn_fold kind, double so_far, double x, double centre,
                                     double p) {
  switch (kind) {
    case DN_FOLD_SUM:
      return so_far + x;
    case DN_FOLD_SQUARES:
      return so_far + (x - centre) * (x - centre);
    case DN_FOLD_MAX:
      return ((x > so_far) | (x != x)) ? x : so_far;
    case DN_FOLD_MIN:
      return ((x < so_far) | (x != x)) ? x : so_far;
    case DN_FOLD_ABS:
      return so_far + fabs(x);
    case DN_FOLD_ABS_MAX:
      return ((fabs(x) > so_far) | (x != x)) ? fabs(x) : so_far;
    default:
      return so_far + pow(fabs(x), p);
  }
}

DN_SHARED_INLINE int64_t dn_fold_step_long(dn_fold kind, int64_t so_far, int64_t x) {
  switch (kind) {
    case DN_FOLD_MAX:
      return x > so_far ? x : so_far;
    case DN_FOLD_MIN:
      return x < so_far ? x : so_far;
    default:
      return (int64_t)((uint64_t)so_far + (uint64_t)x);
  }
}

/* Two results of the same fold; of whole numbers dn_fold_step_long serves. */
DN_SHARED_INLINE double dn_fold_meet(dn_fold kind, double a, double b) {
  switch (kind) {
    case DN_FOLD_MAX:
    case DN_FOLD_ABS_MAX:
      return dn_fold_step(DN_FOLD_MAX, a, b, 0, 0);
    case DN_FOLD_MIN:
      return dn_fold_step(DN_FOLD_MIN, a, b, 0, 0);
    default:
      return a + b;
  }
}

/* From the fold over `count` elements to the reduction's result. */
DN_SHARED_INLINE double dn_fold_result(dn_reduce_kind kind, double parameter, double folded,
                                       int64_t count) {
  switch (kind) {
    case DN_REDUCE_MEAN:
      return folded / (double)count;
    case DN_REDUCE_VAR: {
      const double divisor = (double)count - parameter;
      return divisor > 0 ? folded / divisor : NAN;
    }
    case DN_REDUCE_NORM:
      if (parameter == 2) return sqrt(folded);
      return parameter == 1 || parameter == INFINITY ? folded : pow(folded, 1 / parameter);
    default:
      return folded;
  }
}

#endif
