/*
** Dropout keeps no mask: the forward and the backward pass read the same random words from the same
** place of the generator's sequence, so both are one operation. Four elements share a position.
*/
#include "cpu_backend.h"
#include "cpu_element.h"
#include "cpu_parallel.h"
#include "cpu_planes.h"

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

enum { MASK_RUN = 1024 };

static dn_status apply(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng) {
  const uint32_t threshold = dn_dropout_threshold(probability);
  const double scale = 1 / (1 - probability);
  if (x->dtype != DN_FLOAT || dn_reference()) {
    apply_reference(y, x, threshold, scale, rng);
    return DN_OK;
  }
  const bool joined = dn_tensor_is_contiguous(x) && dn_tensor_is_contiguous(y);
  const cpu_planes from = cpu_planes_joined(x, joined), to = cpu_planes_joined(y, joined);
  const float *const x_data = dn_tensor_data(x);
  float *const y_data = dn_tensor_data(y);
  const int64_t count = dn_tensor_count(x);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int t = 0; t < n_threads; t++) {
    float mask[MASK_RUN];
    int64_t i, end;
    cpu_share(count, n_threads, t, &i, &end);
    while (i < end) {
      int64_t x_at, y_at;
      int64_t run = cpu_planes_run(&from, i, end, &x_at);
      cpu_planes_run(&to, i, end, &y_at);
      if (run > MASK_RUN) run = MASK_RUN;
      mask_fill(mask, i, run, threshold, (float)scale, rng);
      const float *const in = x_data + x_at;
      float *const out = y_data + y_at;
      /* a dropped element is 0 even where the input is not finite */
#pragma omp simd
      for (int64_t j = 0; j < run; j++) out[j] = mask[j] > 0 ? in[j] * mask[j] : 0;
      i += run;
    }
  }
  return DN_OK;
}

dn_status cpu_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng) {
  return apply(y, x, probability, rng);
}

dn_status cpu_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng) {
  return apply(dx, dy, probability, rng);
}
