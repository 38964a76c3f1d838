/*
** A GPU as the backend keeps it. There is one stream, on which everything is done in the order in
** which it was asked for, and one beside it for copies from pinned memory.
**
** A failure that CUDA does not recover from (an illegal address, a fault of the hardware) marks the
** device as failed: it is refused afterwards, with that reason.
*/
#ifndef CUDA_DEVICE_H
#define CUDA_DEVICE_H

#include <cuda_runtime.h>

#include "cuda_memory.h"

struct cuda_fault;
struct cuda_fault_turn;
struct cublasContext;
struct cuda_graph;
struct cuda_cudnn;
struct cuda_narrow;
struct cuda_launched;
struct cuda_shared_memory;

/* Kernels whose last block adds up what the others left count blocks with these. */
static const int CUDA_TICKETS = 1 << 14;

typedef struct cuda_device {
  int ordinal;
  dn_device *device;
  pthread_mutex_t lock; /* held while an operation is enqueued */
  cudaStream_t stream, side_stream;
  dn_device_check *check;      /* asked while the host waits; NULL: nobody */
  cudaEvent_t reached;         /* a place in `stream` that others wait for */
  cudaEvent_t side_done;       /* behind the last copy on the side */
  bool side_is_open;           /* copies were started that `stream` does not wait for yet */
  int64_t n_started, n_waited; /* copies on the side, and those the host has waited for */
  bool is_failed;
  char reason[400];
  cuda_pool memory, pinned;
  dn_storage *scratch;                /* NULL until something asks for it */
  struct cuda_fault *fault;           /* host memory that kernels see */
  struct cuda_fault_turn *fault_turn; /* the device's */
  unsigned *tickets;                  /* CUDA_TICKETS counters of the device, 0 between kernels */
  uint64_t sequence;                  /* operations so far */
  struct cublasContext *cublas;       /* NULL until the first product */
  struct cuda_cudnn *cudnn;           /* its plans; NULL until the first convolution */
  int64_t n_refused, n_direct; /* plans and calls that cuDNN refused; convolutions without it */
  struct cuda_narrow *narrow;  /* vectors with 16-bit weights beside them (cuda_narrow.h) */
  int n_narrow;
  pthread_mutex_t narrow_lock;
  bool uses_tf32;               /* products and convolutions of float may round factors to TF32 */
  struct cuda_graph *capturing; /* the step that is being captured, or NULL */
  struct cuda_graph *freed;     /* graphs whose last launch may not be over */
  int capability[2];            /* compute capability */
  int n_multiprocessors;
  int n_shared_bytes;                       /* of a block at most */
  struct cuda_shared_memory *shared_memory; /* what kernels were allowed */
  int n_shared_memory;
  cudaEvent_t marks[2]; /* on `stream`, to take time between; NULL until then (cuda_probe.h) */
  struct cuda_launched *launched; /* launches by name; NULL while nobody counts (cuda_launched.h) */
} cuda_device;

/* dn_plugin's. */
dn_status cuda_device_open(dn_device *device, int ordinal);
dn_status cuda_device_count(int *n);

/*
** Around everything that is done on a device: makes it this thread's current one and locks it.
** Returns DN_EDEVICE for a failed device, and then there is nothing to leave.
*/
dn_status cuda_enter(dn_device *device);
void cuda_leave(void);

/* Between cuda_enter and cuda_leave: the device, and its stream. */
cuda_device *cuda_current(void);
cudaStream_t cuda_stream(void);

/*
** DN_OK for cudaSuccess; else the error is cleared and DN_EDEVICE (DN_ENOMEM for memory) names
** `call`, up to its parenthesis. Good inside and outside of cuda_enter.
*/
dn_status cuda_check(cudaError_t error, const char *call);

dn_status cuda_describe(dn_device *device, dn_device_info *info);
dn_status cuda_synchronize(dn_device *device);
dn_status cuda_tf32(dn_device *device, bool on);

static inline cuda_device *cuda_state(const dn_device *device) {
  return (cuda_device *)device->state;
}

#endif
