/*
** A communicator of NCCL as this engine keeps it. Its files: nccl_comm.cu calls NCCL, nccl_wait.cu waits for it
** and finds out what has failed, nccl_engine.cu is the table that the library sees.
**
** NCCL works on one stream of its own, the side. A collective there waits for what is on the device's stream
** when it is asked for; joining makes the device's stream wait for the side. The communicator does not
** block: each call may be in progress, and then nothing may follow before it is not.
**
** nccl.so is an object of its own, loaded when ranks on GPUs are first joined (dn_comm.h). Streams and
** pointers of cuda.so reach it through the GPU's backend table (queue_enter and watch, dn_backend.h), which
** is there with each tensor's device: so neither object links the other, and each does without it.
*/
#ifndef NCCL_COMM_H
#define NCCL_COMM_H

#include "nccl_host.h"
#include "nccl_peer.h"

/* A largest of reals that is under way (nccl_order.h). */
typedef struct nccl_maximum {
  struct nccl_maximum *next;
  dn_dtype dtype;
  void *reals;     /* n of dtype */
  int64_t *ranked; /* n */
  int64_t n;
} nccl_maximum;

typedef struct nccl_comm {
  dn_comm head;
  struct nccl_comm *other; /* the next open one of this process */
  ncclComm_t comm;         /* NULL: not there yet, or not any more */
  cudaStream_t side;
  cudaEvent_t reached;   /* a place in the device's stream, for which the side waits */
  cudaEvent_t done;      /* behind the last collective */
  cudaEvent_t probe;     /* behind an earlier one, to see that they go on */
  bool is_probing;       /* the probe has not been seen to be passed */
  double progress_since; /* when something was last seen to be done */
  double
      missing_since; /* when a peer was first seen to have ended while there was work; 0: none was */
  nccl_peer *peers;  /* of each rank; NULL: not known yet */
  nccl_maximum *maxima;
} nccl_comm;

/* Stream, events and NCCL's communicator; when it fails, nccl_comm_free cleans up, too. */
dn_status nccl_comm_open(nccl_comm *self, const ncclUniqueId *id);

/* In good order if `waits` and nothing has failed: finalized, with work that is under way done. Else aborted. */
void nccl_comm_free(nccl_comm *self, bool waits);

dn_status nccl_comm_reduce(nccl_comm *self, dn_tensor *x, dn_comm_op op);
dn_status nccl_comm_gather(nccl_comm *self, dn_tensor *all, const dn_tensor *x);
dn_status nccl_comm_gather_plain(nccl_comm *self, void *all, const void *x, int64_t n,
                                 dn_dtype dtype); /* of n elements of each rank */
dn_status nccl_comm_broadcast(nccl_comm *self, dn_tensor *x, int root);
dn_status nccl_comm_join(nccl_comm *self);

#endif
