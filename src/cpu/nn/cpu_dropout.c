/*
** Dropout keeps no mask: the forward and the backward pass read the same random words from the same
** place of the generator's sequence, so both are one operation. Four elements share a position.
*/
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "../elements/cpu_rows.h"

static void apply_reference(dn_tensor *y, const dn_tensor *x, uint32_t threshold, double scale,
                            dn_rng rng) {
  const int64_t count = dn_tensor_count(x);
  const int n_threads = cpu_team(count);
  void *const to = dn_tensor_data(y);
  const void *const from = dn_tensor_data(x);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const double value = cpu_load(from, x->dtype, cpu_offset(x, x, i));
    const bool kept = dn_dropout_keeps(rng, (uint64_t)i, threshold);
    cpu_store(to, y->dtype, cpu_offset(y, y, i), kept ? value * scale : 0);
  }
}

/* Elements first, first + 1, ... of the mask, as factors. */
static void mask_fill(float *mask, int64_t first, int64_t n, uint32_t threshold, float scale,
                      dn_rng rng) {
  int64_t i = 0;
  while (i < n) {
    const uint64_t place = (uint64_t)(first + i);
    const dn_philox_words words = dn_philox(rng, place / 4);
    for (uint64_t w = place % 4; w < 4 && i < n; w++, i++)
      mask[i] = words.word[w] >= threshold ? scale : 0;
  }
}

enum {
  MASK_RUN = 1024,
  PHILOX_STEPS = 4 /* an element's share of the words costs about four additions */
};

/* What is drawn, and the factor of what is kept. */
typedef struct draw {
  uint32_t threshold;
  float scale;
  dn_rng rng;
} draw;

static void apply_row(const cpu_row *row, void *context) {
  const draw *const drawn = context;
  float *const out = (void *)row->data[0];
  const float *const in = (const void *)row->data[1];
  const int64_t out_step = row->stride[0], in_step = row->stride[1];
  float mask[MASK_RUN];
  for (int64_t begin = 0; begin < row->length; begin += MASK_RUN) {
    const int64_t left = row->length - begin, run = left < MASK_RUN ? left : MASK_RUN;
    mask_fill(mask, row->first + begin, run, drawn->threshold, drawn->scale, drawn->rng);
    const float *const x = in + begin * in_step;
    float *const y = out + begin * out_step;
    /* a dropped element is 0 even where the input is not finite */
    for (int64_t i = 0; i < run; i++) y[i * out_step] = mask[i] > 0 ? x[i * in_step] * mask[i] : 0;
  }
}

static dn_status apply(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng) {
  const uint32_t threshold = dn_dropout_threshold(probability);
  const double scale = 1 / (1 - probability);
  if (x->dtype != DN_FLOAT || dn_reference()) {
    apply_reference(y, x, threshold, scale, rng);
    return DN_OK;
  }
  draw drawn = {threshold, (float)scale, rng};
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ROW_MAJOR, 2, (const dn_tensor *const[]){y, x});
  cpu_rows_run(&rows, PHILOX_STEPS, apply_row, &drawn);
  return DN_OK;
}

dn_status cpu_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng) {
  return apply(y, x, probability, rng);
}

dn_status cpu_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng) {
  return apply(dx, dy, probability, rng);
}
