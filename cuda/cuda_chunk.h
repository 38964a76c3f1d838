/*
** How many bytes of scale-shift-ReLU's results are made at a time before a product reads them. Fewer may
** stay in a GPU's second cache on their way (60 MB of it on an H200), more make fewer launches. Which is
** best, timings tell: DENSENET_CUDA_CHUNK_MB in the environment tries another figure, in MB of 2^20 bytes.
*/
#ifndef CUDA_CHUNK_H
#define CUDA_CHUNK_H

#include "cuda_backend.h"

#include <stdlib.h>

/* The emulation is built with less. */
#ifndef CUDA_CHUNK_BYTES
#define CUDA_CHUNK_BYTES (64 << 20)
#endif

/* *n_bytes is that figure. Returns DN_EARG for what is no whole number from 1 to 65536. */
static inline dn_status cuda_chunk_bytes(int64_t *n_bytes) {
  *n_bytes = CUDA_CHUNK_BYTES;
  const char *const given = getenv("DENSENET_CUDA_CHUNK_MB");
  if (!given) return DN_OK;
  char *end;
  const long megabytes = strtol(given, &end, 10);
  if (end == given || *end || megabytes < 1 || megabytes > 65536)
    return dn_error(DN_EARG,
                    "DENSENET_CUDA_CHUNK_MB is '%s'; expected a whole number of MB, 1 to 65536",
                    given);
  *n_bytes = (int64_t)megabytes << 20;
  return DN_OK;
}

#endif
