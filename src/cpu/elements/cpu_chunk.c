#include "cpu_chunk.h"

#include "cpu_element.h"

/* The plain conversions, as names for MOVE. */
static inline float same_float(float value) { return value; }
static inline double same_double(double value) { return value; }
static inline int64_t same_long(int64_t value) { return value; }
static inline float float_from_byte(uint8_t value) { return (float)value; }
static inline float float_from_double(double value) { return (float)value; }
static inline float float_from_long(int64_t value) { return (float)value; }
static inline double double_from_float(float value) { return (double)value; }
static inline double double_from_byte(uint8_t value) { return (double)value; }
static inline double double_from_half(uint16_t value) { return (double)dn_half_to_float(value); }
static inline double double_from_bfloat16(uint16_t value) {
  return (double)dn_bfloat16_to_float(value);
}
static inline double double_from_long(int64_t value) { return (double)value; }
static inline int64_t long_from_byte(uint8_t value) { return value; }
static inline uint16_t half_from_long(int64_t value) { return dn_half_from_double((double)value); }
static inline uint16_t bfloat16_from_long(int64_t value) {
  return dn_bfloat16_from_double((double)value);
}

/* The case without gaps stands apart, because only that one vectorises. */
#define MOVE(n, to_type, to, to_stride, from_type, from, from_stride, convert) \
  do {                                                                         \
    to_type *target = to;                                                      \
    const from_type *source = from;                                            \
    if ((to_stride) == 1 && (from_stride) == 1)                                \
      CPU_VECTOR_LOOP(i, n, target[i] = convert(source[i]));                   \
    else                                                                       \
      for (int64_t i = 0; i < (n); i++)                                        \
        target[i * (to_stride)] = convert(source[i * (from_stride)]);          \
  } while (0)

static void load_float(float *to, dn_dtype dtype, const void *from, int64_t stride, int64_t n) {
  switch (dtype) {
    case DN_FLOAT:
      MOVE(n, float, to, 1, float, from, stride, same_float);
      return;
    case DN_HALF:
      MOVE(n, float, to, 1, uint16_t, from, stride, dn_half_to_float);
      return;
    case DN_BFLOAT16:
      MOVE(n, float, to, 1, uint16_t, from, stride, dn_bfloat16_to_float);
      return;
    default:
      MOVE(n, float, to, 1, uint8_t, from, stride, float_from_byte);
      return;
  }
}

static void load_double(double *to, dn_dtype dtype, const void *from, int64_t stride, int64_t n) {
  switch (dtype) {
    case DN_FLOAT:
      MOVE(n, double, to, 1, float, from, stride, double_from_float);
      return;
    case DN_DOUBLE:
      MOVE(n, double, to, 1, double, from, stride, same_double);
      return;
    case DN_HALF:
      MOVE(n, double, to, 1, uint16_t, from, stride, double_from_half);
      return;
    case DN_BFLOAT16:
      MOVE(n, double, to, 1, uint16_t, from, stride, double_from_bfloat16);
      return;
    case DN_LONG:
      MOVE(n, double, to, 1, int64_t, from, stride, double_from_long);
      return;
    default:
      MOVE(n, double, to, 1, uint8_t, from, stride, double_from_byte);
      return;
  }
}

static void load_long(int64_t *to, dn_dtype dtype, const void *from, int64_t stride, int64_t n) {
  if (dtype == DN_LONG)
    MOVE(n, int64_t, to, 1, int64_t, from, stride, same_long);
  else
    MOVE(n, int64_t, to, 1, uint8_t, from, stride, long_from_byte);
}

static void store_float(dn_dtype dtype, void *to, int64_t stride, const float *from, int64_t n) {
  switch (dtype) {
    case DN_FLOAT:
      MOVE(n, float, to, stride, float, from, 1, same_float);
      return;
    case DN_HALF:
      MOVE(n, uint16_t, to, stride, float, from, 1, dn_half_from_float);
      return;
    case DN_BFLOAT16:
      MOVE(n, uint16_t, to, stride, float, from, 1, dn_bfloat16_from_float);
      return;
    default:
      MOVE(n, uint8_t, to, stride, float, from, 1, dn_byte_from_float);
      return;
  }
}

static void store_double(dn_dtype dtype, void *to, int64_t stride, const double *from, int64_t n) {
  switch (dtype) {
    case DN_FLOAT:
      MOVE(n, float, to, stride, double, from, 1, float_from_double);
      return;
    case DN_DOUBLE:
      MOVE(n, double, to, stride, double, from, 1, same_double);
      return;
    case DN_HALF:
      MOVE(n, uint16_t, to, stride, double, from, 1, dn_half_from_double);
      return;
    case DN_BFLOAT16:
      MOVE(n, uint16_t, to, stride, double, from, 1, dn_bfloat16_from_double);
      return;
    case DN_LONG:
      MOVE(n, int64_t, to, stride, double, from, 1, dn_long_from_double);
      return;
    default:
      MOVE(n, uint8_t, to, stride, double, from, 1, dn_byte_from_double);
      return;
  }
}

static void store_long(dn_dtype dtype, void *to, int64_t stride, const int64_t *from, int64_t n) {
  switch (dtype) {
    case DN_FLOAT:
      MOVE(n, float, to, stride, int64_t, from, 1, float_from_long);
      return;
    case DN_DOUBLE:
      MOVE(n, double, to, stride, int64_t, from, 1, double_from_long);
      return;
    case DN_HALF:
      MOVE(n, uint16_t, to, stride, int64_t, from, 1, half_from_long);
      return;
    case DN_BFLOAT16:
      MOVE(n, uint16_t, to, stride, int64_t, from, 1, bfloat16_from_long);
      return;
    case DN_LONG:
      MOVE(n, int64_t, to, stride, int64_t, from, 1, same_long);
      return;
    default:
      MOVE(n, uint8_t, to, stride, int64_t, from, 1, dn_byte_from_long);
      return;
  }
}

void cpu_chunk_load(dn_dtype computing, void *to, dn_dtype dtype, const void *from, int64_t stride,
                    int64_t n) {
  switch (computing) {
    case DN_FLOAT:
      load_float(to, dtype, from, stride, n);
      return;
    case DN_DOUBLE:
      load_double(to, dtype, from, stride, n);
      return;
    default:
      load_long(to, dtype, from, stride, n);
      return;
  }
}

void cpu_chunk_store(dn_dtype dtype, void *to, int64_t stride, dn_dtype computing, const void *from,
                     int64_t n) {
  switch (computing) {
    case DN_FLOAT:
      store_float(dtype, to, stride, from, n);
      return;
    case DN_DOUBLE:
      store_double(dtype, to, stride, from, n);
      return;
    default:
      store_long(dtype, to, stride, from, n);
      return;
  }
}

const void *cpu_chunk_read(dn_dtype computing, dn_dtype dtype, const void *from, int64_t stride,
                           int64_t n, cpu_chunk *chunk) {
  if (dtype == computing && stride == 1) return from;
  cpu_chunk_load(computing, chunk, dtype, from, stride, n);
  return chunk;
}

void cpu_chunk_repeat(dn_dtype computing, cpu_chunk *chunk, double real, int64_t whole) {
  for (int i = 0; i < CPU_CHUNK; i++) {
    if (computing == DN_FLOAT) chunk->in_float[i] = (float)real;
    if (computing == DN_DOUBLE) chunk->in_double[i] = real;
    if (computing == DN_LONG) chunk->in_long[i] = whole;
  }
}
