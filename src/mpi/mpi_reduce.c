#include "mpi_reduce.h"

#include "../dn_float16.h"

/* Largest, where one that is no number is larger than all. */
#define LARGEST(a, b) ((a) != (a) || (a) > (b) ? (a) : (b))
#define SUM(a, b) ((a) + (b))

/* A loop over the vector for each rank: it vectorizes. */
#define DEFINE_PLAIN(name, type, join)                                           \
  static void name(type *y, const type *parts, int64_t n, int size) {            \
    for (int64_t i = 0; i < n; i++) y[i] = parts[i];                             \
    for (int r = 1; r < size; r++)                                               \
      for (int64_t i = 0; i < n; i++) y[i] = (type)join(y[i], parts[r * n + i]); \
  }

#define DEFINE_16(name, widen, narrow, join)                                  \
  static void name(uint16_t *y, const uint16_t *parts, int64_t n, int size) { \
    for (int64_t i = 0; i < n; i++) {                                         \
      float sum = widen(parts[i]);                                            \
      for (int r = 1; r < size; r++) {                                        \
        const float next = widen(parts[r * n + i]);                           \
        sum = join(sum, next);                                                \
      }                                                                       \
      y[i] = narrow(sum);                                                     \
    }                                                                         \
  }

/* Sums of long wrap around, as the library's do. */
#define WRAPPED_SUM(a, b) ((uint64_t)(a) + (uint64_t)(b))

DEFINE_PLAIN(sum_float, float, SUM)
DEFINE_PLAIN(max_float, float, LARGEST)
DEFINE_PLAIN(sum_double, double, SUM)
DEFINE_PLAIN(max_double, double, LARGEST)
DEFINE_PLAIN(sum_long, int64_t, WRAPPED_SUM)
DEFINE_PLAIN(max_long, int64_t, LARGEST)
DEFINE_16(sum_half, dn_half_to_float, dn_half_from_float, SUM)
DEFINE_16(max_half, dn_half_to_float, dn_half_from_float, LARGEST)
DEFINE_16(sum_bfloat16, dn_bfloat16_to_float, dn_bfloat16_from_float, SUM)
DEFINE_16(max_bfloat16, dn_bfloat16_to_float, dn_bfloat16_from_float, LARGEST)

void mpi_reduce(dn_dtype dtype, dn_comm_op op, void *y, const void *parts, int64_t n, int size) {
  const bool is_sum = op == DN_COMM_SUM;
  switch (dtype) {
    case DN_FLOAT:
      (is_sum ? sum_float : max_float)(y, parts, n, size);
      break;
    case DN_DOUBLE:
      (is_sum ? sum_double : max_double)(y, parts, n, size);
      break;
    case DN_HALF:
      (is_sum ? sum_half : max_half)(y, parts, n, size);
      break;
    case DN_BFLOAT16:
      (is_sum ? sum_bfloat16 : max_bfloat16)(y, parts, n, size);
      break;
    case DN_LONG:
      (is_sum ? sum_long : max_long)(y, parts, n, size);
      break;
    case DN_BYTE:
    case DN_DTYPE_COUNT:
      break; /* dn_comm.c has refused it */
  }
}
