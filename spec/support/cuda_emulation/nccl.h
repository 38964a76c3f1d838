/*
** NCCL between processes of this machine, as far as cuda/ uses it; names and meanings are NVIDIA's. Each
** process is a rank with an emulated GPU of its own; numbers cross by shared memory (emulated_nccl.cpp).
** It is not built on MPI: ranks are started by our own launcher as well, and a launcher of MPI ends all
** when one of them fails, so that no rank would ever see what NCCL tells about another one.
**
** It is as strict as the library, and stricter:
**   states     communicators do not block: each call is in progress first, and nothing of it is on the
**              stream before somebody has asked ncclCommGetAsyncError and heard ncclSuccess.
**   mismatch   ranks that call different collectives, counts or types lose their GPUs, with a sentence.
**   GPUs       two ranks on one are refused, by NCCL 2.28's sentence.
**   the end    ncclCommDestroy refuses a communicator that is not finalized or is held by a graph; one
**              that was destroyed or aborted is refused by every call.
**   maximum    NaN loses against a number, as it does on a GPU.
**
** Hooks: "refuse nccl" n lets the n-th collective from now return ncclSystemError; "fail nccl" n lets the
** n-th never come to its end, and the communicator learn of an ncclRemoteError; "deaf nccl" 1 hides what
** becomes of other ranks, so that only a timeout is left; "hold nccl" n lets n graphs hold communicators.
*/
#ifndef EMULATED_NCCL_H
#define EMULATED_NCCL_H

#include <limits.h>

#include "cuda_runtime.h"

#define NCCL_MAJOR 2
#define NCCL_MINOR 28
#define NCCL_PATCH 9
#define NCCL_VERSION_CODE 22809
#define NCCL_VERSION(X, Y, Z) ((X)*10000 + (Y)*100 + (Z))

typedef struct ncclComm *ncclComm_t;

#define NCCL_UNIQUE_ID_BYTES 128
typedef struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
} ncclResult_t;

typedef struct ncclConfig_t {
  size_t size;
  unsigned magic, version;
  int blocking;
  const char *commName;
} ncclConfig_t;

#define NCCL_CONFIG_INITIALIZER \
  { sizeof(ncclConfig_t), 0xcafebeef, NCCL_VERSION_CODE, INT_MIN, NULL }

typedef enum ncclRedOp_t { ncclSum = 0, ncclMax = 2 } ncclRedOp_t;

typedef enum ncclDataType_t {
  ncclUint8 = 1,
  ncclInt64 = 4,
  ncclFloat16 = 6,
  ncclFloat32 = 7,
  ncclFloat64 = 8,
  ncclBfloat16 = 9
} ncclDataType_t;

extern "C" {
ncclResult_t ncclGetVersion(int *version);
ncclResult_t ncclGetUniqueId(ncclUniqueId *id);
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state);
const char *ncclGetErrorString(ncclResult_t result);
const char *ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream);
}

#endif
