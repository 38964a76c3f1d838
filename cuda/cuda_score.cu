/*
** A batch's score and the loss scale that follows it, for steps that do not wait: what the host would ask the
** GPU for after each step stays there, in a few doubles that it reads later.
*/
#include "cuda_number.h"
#include "cuda_order.h"
#include "cuda_reduce.h"

extern "C" {
#include "../src/dn_loss_scale.h"
}

enum { BEST = 5 };

/* One block; a warp takes an image after the other, its lanes the classes. best: 5, or all classes. */
template <typename T>
__global__ void score_kernel(double *result, const T *output, const int64_t *target,
                             int64_t n_images, int64_t n_classes, int64_t best, double loss_value,
                             const double *loss_at, const cuda_reporter reporter) {
  CUDA_SHARED(double, shared, CUDA_MOST_WARPS);
  const int lane = (int)threadIdx.x % CUDA_WARP;
  double wrong = 0, wrong_best = 0;
  for (int64_t n = threadIdx.x / CUDA_WARP; n < n_images; n += blockDim.x / CUDA_WARP) {
    const int64_t label = target[n];
    if (label < 1 || label > n_classes) {
      if (lane == 0) cuda_fault_report(reporter, n, label);
      continue;
    }
    const T *row = output + n * n_classes;
    const cuda_candidate own = {cuda_key_of(cuda_load(row[label - 1]), 0), label - 1};
    int rank = 0;
    for (int64_t c = lane; c < n_classes; c += CUDA_WARP) {
      const cuda_candidate other = {cuda_key_of(cuda_load(row[c]), 0), c};
      rank += cuda_comes_before(other, own);
    }
    rank = cuda_warp_reduce(rank, cuda_add());
    if (lane == 0) wrong += rank >= 1, wrong_best += rank >= best;
  }
  wrong = cuda_block_reduce(wrong, 0.0, shared, cuda_add());
  wrong_best = cuda_block_reduce(wrong_best, 0.0, shared, cuda_add());
  if (threadIdx.x > 0) return;
  const double loss = cuda_number_of(loss_value, loss_at);
  result[0] = loss * (double)n_images;
  result[1] = wrong;
  result[2] = wrong_best;
  result[3] = (double)n_images;
  result[4] = loss - loss != 0;
}

dn_status cuda_score(dn_tensor *result, const dn_tensor *output, const dn_tensor *target,
                     dn_number loss) {
  const int64_t n_images = output->size[0], n_classes = output->size[1];
  const int64_t n_lanes = n_images * CUDA_WARP;
  const int threads = n_lanes < 1024 ? (int)n_lanes : 1024;
  const cuda_reporter reporter = cuda_fault_reporter(CUDA_FAULT_LABEL, DN_OP_score, 3, n_classes);
  CUDA_FOR_REAL(
      output->dtype, T,
      CUDA_LAUNCH((score_kernel<T>), 1, threads, 0, cuda_stream(), (double *)dn_tensor_data(result),
                  (const T *)dn_tensor_data(output), (const int64_t *)dn_tensor_data(target),
                  n_images, n_classes, n_classes < BEST ? n_classes : (int64_t)BEST, loss.value,
                  cuda_number_at(loss), reporter));
  return DN_OK;
}

__global__ void loss_scale_kernel(double *state, const double *sum) {
  dn_loss_scale_move(state, *sum);
}

dn_status cuda_loss_scale(dn_tensor *state, const dn_tensor *sum) {
  CUDA_LAUNCH(loss_scale_kernel, 1, 1, 0, cuda_stream(), (double *)dn_tensor_data(state),
              (const double *)dn_tensor_data(sum));
  return DN_OK;
}
