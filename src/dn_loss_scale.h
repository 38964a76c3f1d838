/*
** How the loss scale of half precision moves: one formula for every backend. It is halved where a gradient
** overflows, and that step is skipped; after DN_LOSS_SCALE_STEPS without one it is doubled.
** Source: Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2.
*/
#ifndef DN_LOSS_SCALE_H
#define DN_LOSS_SCALE_H

#include "dn_shared.h"

enum {
  DN_LOSS_SCALE_NOW,     /* of the next step: a power of two */
  DN_LOSS_SCALE_GOOD,    /* steps since it moved */
  DN_LOSS_SCALE_SKIPPED, /* steps skipped so far */
  DN_LOSS_SCALE_SKIP,    /* is this one? 2: at the least scale, where halving does not help */
  DN_LOSS_SCALE_FIELDS
};

#define DN_LOSS_SCALE_LEAST 1.0
#define DN_LOSS_SCALE_MOST 16777216.0
#define DN_LOSS_SCALE_STEPS 2000

/* Behind a backward pass; sum: of all gradients, which is finite where each of them is. */
DN_SHARED_INLINE void dn_loss_scale_move(double *state, double sum) {
  const double scale = state[DN_LOSS_SCALE_NOW];
  if (sum - sum != 0) {
    state[DN_LOSS_SCALE_SKIP] = scale == DN_LOSS_SCALE_LEAST ? 2 : 1;
    state[DN_LOSS_SCALE_NOW] = scale / 2 > DN_LOSS_SCALE_LEAST ? scale / 2 : DN_LOSS_SCALE_LEAST;
    state[DN_LOSS_SCALE_GOOD] = 0;
    state[DN_LOSS_SCALE_SKIPPED] += 1;
    return;
  }
  state[DN_LOSS_SCALE_SKIP] = 0;
  state[DN_LOSS_SCALE_GOOD] += 1;
  if (state[DN_LOSS_SCALE_GOOD] >= DN_LOSS_SCALE_STEPS) {
    state[DN_LOSS_SCALE_NOW] = 2 * scale < DN_LOSS_SCALE_MOST ? 2 * scale : DN_LOSS_SCALE_MOST;
    state[DN_LOSS_SCALE_GOOD] = 0;
  }
}

#endif
