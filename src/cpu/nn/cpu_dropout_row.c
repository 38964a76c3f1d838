#include "cpu_dropout_row.h"

#include "../../dn_random.h"

/* Elements first, first + 1, ... of the mask, as factors. */
static void mask_fill(real *mask, int64_t first, int64_t n, uint32_t threshold, real scale,
                      dn_rng rng) {
  int64_t i = 0;
  while (i < n) {
    const uint64_t place = (uint64_t)(first + i);
    const dn_philox_words words = dn_philox(rng, place / 4);
    for (uint64_t w = place % 4; w < 4 && i < n; w++, i++)
      mask[i] = words.word[w] >= threshold ? scale : 0;
  }
}

enum { MASK_RUN = 1024 };

void CPU_REAL(cpu_dropout_row)(const cpu_row *row, void *context) {
  const cpu_draw *const drawn = context;
  real *const out = (void *)row->data[0];
  const real *const in = (const void *)row->data[1];
  const int64_t out_step = row->stride[0], in_step = row->stride[1];
  real mask[MASK_RUN];
  for (int64_t begin = 0; begin < row->length; begin += MASK_RUN) {
    const int64_t left = row->length - begin, run = left < MASK_RUN ? left : MASK_RUN;
    mask_fill(mask, row->first + begin, run, drawn->threshold, (real)drawn->scale, drawn->rng);
    const real *const x = in + begin * in_step;
    real *const y = out + begin * out_step;
    /* a dropped element is 0 even where the input is not finite */
    for (int64_t i = 0; i < run; i++) y[i * out_step] = mask[i] > 0 ? x[i * in_step] * mask[i] : 0;
  }
}
