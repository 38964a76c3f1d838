/*
** A batch's score, and the loss scale that follows it: small sums, by one thread.
*/
#include <inttypes.h>

#include "../../dn_loss_scale.h"
#include "../../dn_order.h"
#include "../cpu_backend.h"
#include "../elements/cpu_element.h"

enum { BEST = 5 };

/* How many classes of the row come before the label's, as topk orders them. */
static int64_t rank_of(const dn_tensor *output, int64_t row, int64_t label) {
  const int64_t n_classes = output->size[1], first = row * n_classes;
  const void *const data = dn_tensor_data(output);
  const int64_t own = dn_order_key(cpu_load(data, output->dtype, first + label - 1), 0);
  int64_t rank = 0;
  for (int64_t c = 0; c < n_classes; c++) {
    const int64_t key = dn_order_key(cpu_load(data, output->dtype, first + c), 0);
    rank += key > own || (key == own && c < label - 1);
  }
  return rank;
}

dn_status cpu_score(dn_tensor *result, const dn_tensor *output, const dn_tensor *target,
                    dn_number loss) {
  const int64_t n_images = output->size[0], n_classes = output->size[1];
  const int64_t best = n_classes < BEST ? n_classes : BEST;
  const int64_t *const labels = dn_tensor_data(target);
  double wrong[2] = {0, 0};
  for (int64_t n = 0; n < n_images; n++) {
    if (labels[n] < 1 || labels[n] > n_classes)
      return dn_error_argument(3, "label %" PRId64 " in row %" PRId64 "; labels are 1 to %" PRId64,
                               labels[n], n + 1, n_classes);
    const int64_t rank = rank_of(output, n, labels[n]);
    wrong[0] += rank >= 1;
    wrong[1] += rank >= best;
  }
  double *const to = dn_tensor_data(result);
  to[0] = loss.value * (double)n_images;
  to[1] = wrong[0];
  to[2] = wrong[1];
  to[3] = (double)n_images;
  to[4] = loss.value - loss.value != 0;
  return DN_OK;
}

dn_status cpu_loss_scale(dn_tensor *state, const dn_tensor *sum) {
  dn_loss_scale_move(dn_tensor_data(state), *(const double *)dn_tensor_data(sum));
  return DN_OK;
}
