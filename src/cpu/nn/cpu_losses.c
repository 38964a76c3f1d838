/*
** Losses: negative log-likelihood of the target's class, and mean squared error. Sums are kept in
** double and made by one thread in order, so a loss does not depend on the number of threads.
*/
#include <inttypes.h>

#include "../cpu_backend.h"
#include "../elements/cpu_element.h"
#include "../cpu_parallel.h"

/* `argument`: where the target stands among the operation's arguments. */
static dn_status check_labels(int argument, const dn_tensor *target, int64_t n_classes) {
  const int64_t *const labels = dn_tensor_data(target);
  for (int64_t n = 0; n < target->size[0]; n++)
    if (labels[n] < 1 || labels[n] > n_classes)
      return dn_error_argument(argument,
                               "label %" PRId64 " in row %" PRId64 "; labels are 1 to %" PRId64,
                               labels[n], n + 1, n_classes);
  return DN_OK;
}

static double weight_of(const dn_tensor *class_weight, int64_t label) {
  if (!class_weight) return 1;
  return cpu_load(dn_tensor_data(class_weight), class_weight->dtype, label - 1);
}

static double weight_sum(const dn_tensor *class_weight, const dn_tensor *target) {
  const int64_t *const labels = dn_tensor_data(target);
  double sum = 0;
  for (int64_t n = 0; n < target->size[0]; n++) sum += weight_of(class_weight, labels[n]);
  return sum;
}

dn_status cpu_nll_forward(dn_tensor *loss, const dn_tensor *log_probabilities,
                          const dn_tensor *target, const dn_tensor *class_weight, bool average) {
  const int64_t n_classes = log_probabilities->size[1];
  DN_TRY(check_labels(3, target, n_classes));
  const int64_t *const labels = dn_tensor_data(target);
  const void *const data = dn_tensor_data(log_probabilities);
  double sum = 0;
  for (int64_t n = 0; n < target->size[0]; n++)
    sum -= weight_of(class_weight, labels[n]) *
           cpu_load(data, log_probabilities->dtype, n * n_classes + labels[n] - 1);
  if (average) sum /= weight_sum(class_weight, target);
  cpu_store(dn_tensor_data(loss), loss->dtype, 0, sum);
  return DN_OK;
}

dn_status cpu_nll_backward(dn_tensor *dx, const dn_tensor *target, const dn_tensor *class_weight,
                           bool average) {
  const int64_t n_classes = dx->size[1];
  DN_TRY(check_labels(2, target, n_classes));
  const int64_t *const labels = dn_tensor_data(target);
  void *const data = dn_tensor_data(dx);
  const double divisor = average ? weight_sum(class_weight, target) : 1;
  for (int64_t n = 0; n < target->size[0]; n++)
    for (int64_t c = 0; c < n_classes; c++) {
      const bool is_target = c == labels[n] - 1;
      const double slope = is_target ? -weight_of(class_weight, labels[n]) / divisor : 0;
      cpu_store(data, dx->dtype, n * n_classes + c, slope);
    }
  return DN_OK;
}

dn_status cpu_mse_forward(dn_tensor *loss, const dn_tensor *x, const dn_tensor *target,
                          bool average) {
  const int64_t count = dn_tensor_count(x);
  const void *const x_data = dn_tensor_data(x), *const target_data = dn_tensor_data(target);
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    const double off = cpu_load(x_data, x->dtype, cpu_offset(x, x, i)) -
                       cpu_load(target_data, target->dtype, cpu_offset(target, target, i));
    sum += off * off;
  }
  if (average) sum /= (double)count;
  cpu_store(dn_tensor_data(loss), loss->dtype, 0, sum);
  return DN_OK;
}

dn_status cpu_mse_backward(dn_tensor *dx, const dn_tensor *x, const dn_tensor *target,
                           bool average) {
  const int64_t count = dn_tensor_count(x);
  const double scale = average ? 2 / (double)count : 2;
  void *const dx_data = dn_tensor_data(dx);
  const void *const x_data = dn_tensor_data(x), *const target_data = dn_tensor_data(target);
  const int n_threads = cpu_team(count);
#pragma omp parallel for schedule(static) num_threads(n_threads)
  for (int64_t i = 0; i < count; i++) {
    const double off = cpu_load(x_data, x->dtype, cpu_offset(x, x, i)) -
                       cpu_load(target_data, target->dtype, cpu_offset(target, target, i));
    cpu_store(dx_data, dx->dtype, cpu_offset(dx, dx, i), scale * off);
  }
  return DN_OK;
}
