/*
** The order in which elements are chosen: an int64 key for every element, ordered as the elements
** are, with -0 equal to 0 and NaN above all. For the smallest instead of the largest, every key but
** NaN's is inverted. So one comparison serves all dtypes, and an integer is never rounded on the way.
*/
#ifndef DN_ORDER_H
#define DN_ORDER_H

#include <stdint.h>
#include <string.h>

#include "dn_shared.h"

/* What keys are inverted with. */
DN_SHARED_INLINE int64_t dn_order_inverted(int largest) { return largest ? 0 : -1; }

/* Doubles order like their bits, the negative ones backwards. */
DN_SHARED_INLINE int64_t dn_order_key(double value, int64_t inverted) {
  const double zero_is_positive = value + 0.0;
  int64_t bits;
  memcpy(&bits, &zero_is_positive, sizeof bits);
  const int64_t key = bits ^ (bits >> 63 & INT64_MAX);
  return value != value ? INT64_MAX : key ^ inverted;
}

DN_SHARED_INLINE int64_t dn_order_key_long(int64_t value, int64_t inverted) {
  return value ^ inverted;
}

#endif
