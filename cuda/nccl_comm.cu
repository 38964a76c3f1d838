#include "nccl_comm.h"

#include "nccl_order.h"
#include "nccl_wait.h"

/* At the end others may be gone, and work of theirs missing. */
static const double LONGEST_END_SECONDS = 10;

static int64_t count_of(const dn_tensor *x) {
  int64_t n = 1;
  for (int d = 0; d < x->n_dim; d++) n *= x->size[d];
  return n;
}

static void *data_of(const dn_tensor *x) {
  static const int64_t sizes[DN_DTYPE_COUNT] = {4, 8, 2, 2, 8, 1};
  return (char *)x->storage->data + x->offset * sizes[x->dtype];
}

static ncclDataType_t type_of(dn_dtype dtype) {
  static const ncclDataType_t types[DN_DTYPE_COUNT] = {ncclFloat32,  ncclFloat64, ncclFloat16,
                                                       ncclBfloat16, ncclInt64,   ncclUint8};
  return types[dtype];
}

/* ---- Around calls ---- */

/* Does `what(stream of the device)` with the device current and locked. */
template <typename What>
static dn_status on_device(const nccl_comm *self, What what) {
  dn_device *device = self->head.device;
  void *queue = NULL;
  DN_TRY(device->backend->queue_enter(device, &queue));
  const dn_status status = what((cudaStream_t)queue);
  device->backend->queue_leave(device);
  return status;
}

/* `call` on the side, behind all that is on `main`. What it puts there is there when it is not in progress. */
template <typename Call>
static dn_status start(nccl_comm *self, cudaStream_t main, const char *name, Call call) {
  DN_TRY(nccl_wait_probe(self, false));
  bool is_idle = cudaEventQuery(self->done) == cudaSuccess;
  (void)cudaGetLastError();
  if (is_idle) self->progress_since = nccl_now();
  CUDA_TRY(cudaEventRecord(self->reached, main));
  CUDA_TRY(cudaStreamWaitEvent(self->side, self->reached, 0));
  DN_TRY(nccl_wait_call(self, call(), name));
  CUDA_TRY(cudaEventRecord(self->done, self->side));
  return nccl_wait_probe(self, true);
}

static dn_status wait_for_side(nccl_comm *self, cudaStream_t main) {
  CUDA_TRY(cudaStreamWaitEvent(main, self->done, 0));
  return DN_OK;
}

static dn_status join(nccl_comm *self, cudaStream_t main) {
  DN_TRY(wait_for_side(self, main));
  for (nccl_maximum *each = self->maxima; each; each = each->next)
    DN_TRY(nccl_order_unrank(each->reals, each->ranked, each->dtype, each->n, main));
  return DN_OK;
}

/* ---- Collectives ---- */

static dn_status reduce(nccl_comm *self, void *x, int64_t n, ncclDataType_t type, ncclRedOp_t op) {
  return on_device(self, [=](cudaStream_t main) {
    return start(self, main, "ncclAllReduce", [=]() {
      return ncclAllReduce(x, x, (size_t)n, type, op, self->comm, self->side);
    });
  });
}

dn_status nccl_comm_gather_plain(nccl_comm *self, void *all, const void *x, int64_t n,
                                 dn_dtype dtype) {
  return on_device(self, [=](cudaStream_t main) {
    DN_TRY(start(self, main, "ncclAllGather", [=]() {
      return ncclAllGather(x, all, (size_t)n, type_of(dtype), self->comm, self->side);
    }));
    return wait_for_side(self, main);
  });
}

static void forget_maxima(nccl_comm *self) {
  dn_device *device = self->head.device;
  while (self->maxima) {
    nccl_maximum *first = self->maxima;
    self->maxima = first->next;
    nccl_free(device, first->ranked, first->n * (int64_t)sizeof *first->ranked);
    nccl_free(device->host, first, (int64_t)sizeof *first);
  }
}

static dn_status reduce_maximum(nccl_comm *self, dn_tensor *x) {
  dn_device *device = self->head.device;
  const int64_t n = count_of(x);
  void *block = NULL, *ranked = NULL;
  DN_TRY(nccl_alloc(device->host, (int64_t)sizeof(nccl_maximum), &block));
  const dn_status status = nccl_alloc(device, n * (int64_t)sizeof(int64_t), &ranked);
  if (status != DN_OK) {
    nccl_free(device->host, block, (int64_t)sizeof(nccl_maximum));
    return status;
  }
  nccl_maximum *made = (nccl_maximum *)block;
  made->next = self->maxima;
  made->dtype = x->dtype;
  made->reals = data_of(x);
  made->ranked = (int64_t *)ranked;
  made->n = n;
  self->maxima = made;
  DN_TRY(on_device(self, [=](cudaStream_t main) {
    return nccl_order_rank(made->ranked, made->reals, made->dtype, n, main);
  }));
  return reduce(self, ranked, n, ncclInt64, ncclMax);
}

dn_status nccl_comm_reduce(nccl_comm *self, dn_tensor *x, dn_comm_op op) {
  if (op == DN_COMM_MAX && x->dtype != DN_LONG) return reduce_maximum(self, x);
  return reduce(self, data_of(x), count_of(x), type_of(x->dtype),
                op == DN_COMM_MAX ? ncclMax : ncclSum);
}

dn_status nccl_comm_gather(nccl_comm *self, dn_tensor *all, const dn_tensor *x) {
  return nccl_comm_gather_plain(self, data_of(all), data_of(x), count_of(x), x->dtype);
}

dn_status nccl_comm_broadcast(nccl_comm *self, dn_tensor *x, int root) {
  void *data = data_of(x);
  const int64_t n = count_of(x);
  const ncclDataType_t type = type_of(x->dtype);
  return on_device(self, [=](cudaStream_t main) {
    DN_TRY(start(self, main, "ncclBroadcast", [=]() {
      return ncclBroadcast(data, data, (size_t)n, type, root, self->comm, self->side);
    }));
    return wait_for_side(self, main);
  });
}

/* Freed memory may be written anew by what comes on the device's stream, which is behind the side by now. */
dn_status nccl_comm_join(nccl_comm *self) {
  const dn_status status = on_device(self, [=](cudaStream_t main) { return join(self, main); });
  forget_maxima(self);
  return status;
}

/* ---- The beginning ---- */

/* Of the highest priority: what others wait for goes first. */
static dn_status make_stream(nccl_comm *self) {
  int least = 0, greatest = 0;
  CUDA_TRY(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  CUDA_TRY(cudaStreamCreateWithPriority(&self->side, cudaStreamNonBlocking, greatest));
  CUDA_TRY(cudaEventCreateWithFlags(&self->reached, cudaEventDisableTiming));
  CUDA_TRY(cudaEventCreateWithFlags(&self->done, cudaEventDisableTiming));
  CUDA_TRY(cudaEventCreateWithFlags(&self->probe, cudaEventDisableTiming));
  return DN_OK;
}

static dn_status join_ranks(nccl_comm *self, const ncclUniqueId *id) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
  config.commName = "densenet";
#endif
  const ncclResult_t result =
      ncclCommInitRankConfig(&self->comm, self->head.size, *id, self->head.rank, &config);
  return nccl_wait_call(self, result, "ncclCommInitRankConfig");
}

dn_status nccl_comm_open(nccl_comm *self, const ncclUniqueId *id) {
  self->progress_since = nccl_now();
  return on_device(self, [=](cudaStream_t) {
    DN_TRY(make_stream(self));
    return join_ranks(self, id);
  });
}

/* ---- The end ---- */

/* Graphs that hold collectives have been given back by then: NCCL would wait for them for ever. */
static void leave(nccl_comm *self) {
  const double patience = self->head.timeout_seconds < LONGEST_END_SECONDS
                              ? self->head.timeout_seconds
                              : LONGEST_END_SECONDS;
  if (nccl_wait_quietly(self, ncclCommFinalize(self->comm), patience))
    (void)ncclCommDestroy(
        self->comm); /* where it fails the communicator may be gone all the same */
  else
    (void)ncclCommAbort(self->comm);
}

void nccl_comm_free(nccl_comm *self, bool waits) {
  dn_device *device = self->head.device;
  if (self->comm && waits && !self->head.is_broken)
    leave(self);
  else if (self->comm)
    (void)ncclCommAbort(self->comm);
  self->comm = NULL;
  forget_maxima(self);
  if (self->probe) (void)cudaEventDestroy(self->probe);
  if (self->done) (void)cudaEventDestroy(self->done);
  if (self->reached) (void)cudaEventDestroy(self->reached);
  if (self->side) (void)cudaStreamDestroy(self->side);
  (void)cudaGetLastError();
  nccl_free(device->host, self->peers, self->head.size * (int64_t)sizeof(nccl_peer));
  nccl_free(device->host, self, (int64_t)sizeof *self);
}
