/*
** Dropout keeps no mask: the forward and the backward pass read the same random words from the same
** place of the generator's sequence, so both are one operation. Four elements share a position.
*/
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"
#include "cpu_dropout_row.h"

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

enum { PHILOX_STEPS = 4 /* an element's share of the words costs about four additions */ };

static dn_status apply(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                       dn_number base) {
  rng.position += (uint64_t)base.value;
  const uint32_t threshold = dn_dropout_threshold(probability);
  const double scale = 1 / (1 - probability);
  if (!cpu_is_real(x->dtype) || dn_reference()) {
    apply_reference(y, x, threshold, scale, rng);
    return DN_OK;
  }
  cpu_draw drawn = {threshold, scale, rng};
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ROW_MAJOR, 2, (const dn_tensor *const[]){y, x});
  cpu_rows_run(&rows, PHILOX_STEPS, CPU_REAL_OF(x->dtype, cpu_dropout_row), &drawn);
  return DN_OK;
}

dn_status cpu_dropout_forward(dn_tensor *y, const dn_tensor *x, double probability, dn_rng rng,
                              dn_number base) {
  return apply(y, x, probability, rng, base);
}

dn_status cpu_dropout_backward(dn_tensor *dx, const dn_tensor *dy, double probability, dn_rng rng,
                               dn_number base) {
  return apply(dx, dy, probability, rng, base);
}
