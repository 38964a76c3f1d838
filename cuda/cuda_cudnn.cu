#include "cuda_cudnn.h"

#include <cudnn.h>
#include <stdlib.h>

#include "cuda_described.h"

/*
** A device that is lost says so at its next call. The library tries things out, and what failed there must
** not be taken for our next launch's failure.
*/
dn_status cuda_cudnn_check(int status, const char *call) {
  (void)cudaGetLastError();
  if (status == CUDNN_STATUS_SUCCESS) return DN_OK;
  return dn_error(DN_EDEVICE, "%s: %.*s failed: %s",
                  cuda_current() ? cuda_current()->device->name : "a planned GPU",
                  (int)strcspn(call, "("), call, cudnnGetErrorString((cudnnStatus_t)status));
}

#define CUDNN_TRY(call) DN_TRY(cuda_cudnn_check((call), #call))

dn_status cuda_cudnn_release(int release[3]) {
  CUDNN_TRY(cudnnGetProperty(MAJOR_VERSION, &release[0]));
  CUDNN_TRY(cudnnGetProperty(MINOR_VERSION, &release[1]));
  CUDNN_TRY(cudnnGetProperty(PATCH_LEVEL, &release[2]));
  return DN_OK;
}

dn_status cuda_cudnn_state(struct cuda_cudnn **state) {
  cuda_device *device = cuda_current();
  if (!device->cudnn) {
    cudnnHandle_t created;
    CUDNN_TRY(cudnnCreate(&created));
    dn_status status = cuda_cudnn_check(cudnnSetStream(created, cuda_stream()), "cudnnSetStream");
    if (status == DN_OK) device->cudnn = (struct cuda_cudnn *)calloc(1, sizeof *device->cudnn);
    if (status == DN_OK && !device->cudnn)
      status = dn_error(DN_ENOMEM, "out of memory for a list of plans");
    if (status != DN_OK) {
      (void)cudnnDestroy(created);
      return status;
    }
    device->cudnn->handle = created;
  }
  *state = device->cudnn;
  return DN_OK;
}

/* ---- What a plan depends on ---- */

/* The largest power of two, up to 16, of which all of these are multiples. */
static int64_t common_alignment(int64_t a, int64_t b) {
  int64_t alignment = 16;
  while (alignment > 1 && ((a | b) & (alignment - 1)) != 0) alignment /= 2;
  return alignment;
}

/* Of these images, and of any part of them. */
static int64_t alignment_of(const cuda_images *x) {
  return common_alignment((int64_t)(intptr_t)x->data,
                          x->image_stride * (int64_t)dn_dtype_size(x->dtype));
}

static void set_key(cuda_cudnn_key *key, const cuda_cudnn_call *call, int64_t most_bytes) {
  const cuda_images *x = call->x, *y = call->y;
  const dn_conv2d *options = &call->conv->options;
  const bool adds = call->direction == CUDA_CONV2D_BACKWARD_WEIGHT;
  memset(key, 0, sizeof *key);
  key->direction = call->direction;
  key->dtype = x->dtype;
  key->rounds =
      call->are_narrow || (cuda_current() ? cuda_current()->uses_tf32 : cuda_described_tf32());
  key->n = x->n, key->c = x->c, key->h = x->h, key->w = x->w;
  key->k = y->c, key->p = y->h, key->q = y->w;
  key->r = call->conv->r, key->s = call->conv->s;
  key->x_stride[0] = x->image_stride, key->x_stride[1] = x->channel_stride;
  key->y_stride[0] = y->image_stride, key->y_stride[1] = y->channel_stride;
  key->pad[0] = options->pad_h, key->pad[1] = options->pad_w;
  key->stride[0] = options->stride_h, key->stride[1] = options->stride_w;
  key->groups = options->groups;
  key->x_alignment = alignment_of(x), key->y_alignment = alignment_of(y);
  key->weight_alignment = common_alignment((int64_t)(intptr_t)call->weight, 0);
  key->most_bytes = most_bytes;
  key->alpha = adds ? call->scale : 1;
  key->beta = adds ? 1 : 0;
}

static bool fits_int(const cuda_images *x) { return x->n * x->image_stride <= INT32_MAX; }

static cuda_cudnn_outcome judge(const cuda_cudnn_call *call) {
  const cuda_images *x = call->x, *y = call->y;
  const dn_conv2d *options = &call->conv->options;
  if (!cuda_images_lie_apart(x) || !cuda_images_lie_apart(y))
    return CUDA_CUDNN_REFUSED; /* they have no descriptor */
  if (options->pad_h > INT16_MAX || options->pad_w > INT16_MAX || options->stride_h > INT16_MAX ||
      options->stride_w > INT16_MAX || y->c * x->c * call->conv->r * call->conv->s > INT32_MAX)
    return CUDA_CUDNN_REFUSED;
  return fits_int(x) && fits_int(y) ? CUDA_CUDNN_DONE : CUDA_CUDNN_TOO_LARGE;
}

/* No engine will do: would one that takes fewer images? One image has no fewer. */
static dn_status find(const cuda_cudnn_call *call, int64_t most_bytes, const cuda_cudnn_plan **plan,
                      cuda_cudnn_outcome *outcome) {
  *outcome = judge(call);
  if (*outcome != CUDA_CUDNN_DONE) return DN_OK;
  cuda_cudnn_key key;
  set_key(&key, call, most_bytes);
  DN_TRY(cuda_cudnn_find_plan(&key, plan));
  if ((*plan)->is_refused) *outcome = call->x->n > 1 ? CUDA_CUDNN_TOO_LARGE : CUDA_CUDNN_REFUSED;
  return DN_OK;
}

dn_status cuda_cudnn_workspace(const cuda_cudnn_call *call, int64_t *n_bytes,
                               cuda_cudnn_outcome *outcome) {
  const cuda_cudnn_plan *plan = NULL;
  DN_TRY(find(call, CUDA_CUDNN_WORKSPACE, &plan, outcome));
  *n_bytes = *outcome == CUDA_CUDNN_DONE ? plan->n_bytes : 0;
  return DN_OK;
}

/* ---- Running one ---- */

/* Slices may begin where no vector does. */
static bool is_refusal(cudnnStatus_t status) {
  return (int)status / 1000 == (int)CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
         status == CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
}

static cudnnStatus_t execute(const cuda_cudnn_call *call, const cuda_cudnn_plan *plan,
                             cudnnBackendDescriptor_t pack, void *workspace) {
  static const int64_t names[3] = {CUDA_CUDNN_X, CUDA_CUDNN_Y, CUDA_CUDNN_WEIGHT};
  void *const data[3] = {call->x->data, call->y->data, call->weight};
  cudnnStatus_t status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
                                                  CUDNN_TYPE_INT64, 3, names);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                      CUDNN_TYPE_VOID_PTR, 3, data);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR,
                                      1, &workspace);
  if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendFinalize(pack);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendExecute(cuda_current()->cudnn->handle,
                                 (cudnnBackendDescriptor_t)plan->plan, pack);
  return status;
}

dn_status cuda_cudnn_run(const cuda_cudnn_call *call, void *workspace, int64_t n_bytes,
                         cuda_cudnn_outcome *outcome) {
  const cuda_cudnn_plan *plan = NULL;
  DN_TRY(find(call, CUDA_CUDNN_WORKSPACE, &plan, outcome)); /* the one that was asked about */
  if (*outcome == CUDA_CUDNN_DONE && plan->n_bytes > n_bytes)
    DN_TRY(find(call, n_bytes, &plan, outcome));
  if (*outcome != CUDA_CUDNN_DONE) return DN_OK;
  cudnnBackendDescriptor_t pack = NULL;
  CUDNN_TRY(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
  const cudnnStatus_t status = execute(call, plan, pack, workspace);
  (void)cudnnBackendDestroyDescriptor(pack);
  if (!is_refusal(status)) return cuda_cudnn_check(status, "cudnnBackendExecute");
  (void)cudaGetLastError();
  cuda_current()->n_refused++;
  *outcome = CUDA_CUDNN_REFUSED;
  return DN_OK;
}
