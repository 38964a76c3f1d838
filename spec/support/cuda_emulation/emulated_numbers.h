/*
** What the libraries' stand-ins share: numbers of the four real types in device memory, TF32, and
** whether an address is good. Read and written only by work on a stream.
*/
#ifndef EMULATED_NUMBERS_H
#define EMULATED_NUMBERS_H

#include "cuda_runtime.h"

extern "C" {
#include "../../../src/dn_float16.h"
}

enum emulated_type { EMULATED_FLOAT, EMULATED_DOUBLE, EMULATED_HALF, EMULATED_BFLOAT16 };

static inline size_t emulated_size(emulated_type type) {
  return type == EMULATED_DOUBLE ? 8 : type == EMULATED_FLOAT ? 4 : 2;
}

static inline double emulated_load(const void *numbers, emulated_type type, int64_t at) {
  switch (type) {
    case EMULATED_FLOAT:
      return ((const float *)numbers)[at];
    case EMULATED_DOUBLE:
      return ((const double *)numbers)[at];
    case EMULATED_HALF:
      return dn_half_to_float(((const uint16_t *)numbers)[at]);
    default:
      return dn_bfloat16_to_float(((const uint16_t *)numbers)[at]);
  }
}

static inline void emulated_store(void *numbers, emulated_type type, int64_t at, double value) {
  switch (type) {
    case EMULATED_FLOAT:
      ((float *)numbers)[at] = (float)value;
      break;
    case EMULATED_DOUBLE:
      ((double *)numbers)[at] = value;
      break;
    case EMULATED_HALF:
      ((uint16_t *)numbers)[at] = dn_half_from_float((float)value);
      break;
    default:
      ((uint16_t *)numbers)[at] = dn_bfloat16_from_float((float)value);
      break;
  }
  emulation_races_written((const char *)numbers + at * (int64_t)emulated_size(type),
                          emulated_size(type));
}

/* A float with 10 bits behind the point; ties go away from zero. */
static inline float emulated_tf32(float x) {
  if (!isfinite(x)) return x;
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x1000u) & ~0x1FFFu;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Bytes in the memory of `device`. */
static inline bool emulated_is_there(const void *first, int64_t n_bytes, int device) {
  return first && n_bytes >= 0 && emulation_device_of(first) == device &&
         (n_bytes == 0 || emulation_device_of((const char *)first + n_bytes - 1) == device);
}

#endif
