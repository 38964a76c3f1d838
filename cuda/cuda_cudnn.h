/*
** Convolutions by cuDNN: with cuda_cudnn_plan.cu the only file that calls it. There is a handle per device,
** made when the first convolution is asked for, on the device's stream.
**
** Engines and workspaces are chosen once for each shape (cuda_cudnn_plan.h), so results are the same bits at
** every run, and what a convolution takes is known without a GPU. Workspaces are scratch, of at most
** CUDA_CUDNN_WORKSPACE bytes: when a call would need more, it is not made, and fewer images are taken at a time.
**
** float is IEEE float (cuDNN left alone would round to TF32), or TF32 where the device was told so.
*/
#ifndef CUDA_CUDNN_H
#define CUDA_CUDNN_H

#include "cuda_cudnn_plan.h"

/* A workspace is as large as its shape wants, and no larger than this. */
#ifndef CUDA_CUDNN_WORKSPACE
#define CUDA_CUDNN_WORKSPACE (256 << 20)
#endif

/* Names of a plan's tensors. */
enum { CUDA_CUDNN_X = 1, CUDA_CUDNN_Y = 2, CUDA_CUDNN_WEIGHT = 3 };

/* What became of a call. Only the first has touched an output. */
typedef enum cuda_cudnn_outcome {
  CUDA_CUDNN_DONE,
  CUDA_CUDNN_TOO_LARGE, /* no workspace has room, or sizes exceed an int: fewer images may do */
  CUDA_CUDNN_REFUSED    /* not supported */
} cuda_cudnn_outcome;

/* A call: a direction between images. */
typedef struct cuda_cudnn_call {
  cuda_conv2d_direction direction;
  const cuda_images *x, *y; /* dx or x, dy or y */
  void *weight;             /* written by backward_weight alone, where it counts: dweight += */
  const cuda_conv2d *conv;
  double scale; /* of backward_weight */
  bool
      are_narrow; /* float images that hold numbers of 16 bits, which TF32 holds as well: its factors are exact */
} cuda_cudnn_call;

/*
** Bytes of workspace that the call takes, which then is DONE; good on a plan device, too, where the data are
** addresses that nobody follows. Returns DN_EDEVICE, DN_ENOMEM, as the others.
*/
dn_status cuda_cudnn_workspace(const cuda_cudnn_call *call, int64_t *n_bytes,
                               cuda_cudnn_outcome *outcome);

/* Makes the call, with a workspace of n_bytes, aligned to 256. */
dn_status cuda_cudnn_run(const cuda_cudnn_call *call, void *workspace, int64_t n_bytes,
                         cuda_cudnn_outcome *outcome);

/* The library's major, minor and patch number. Returns DN_EDEVICE. */
dn_status cuda_cudnn_release(int release[3]);

/* ---- For cuda_cudnn_plan.cu ---- */

/* A failure as a status, with the call (a cudnnStatus_t) named. */
dn_status cuda_cudnn_check(int status, const char *call);

/* That of the current device, with its handle. */
dn_status cuda_cudnn_state(struct cuda_cudnn **state);

#endif
