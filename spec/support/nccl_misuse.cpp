/*
** Does to NCCL what nccl.so never does, and prints what NCCL says, a line each, for spec/cuda/cuda_nccl_emulation_
** spec.lua; as one rank alone, or, with an id, a rank of two. Linked with the emulated nccl.so and cuda.so.
*/
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static float *numbers;
static cudaStream_t stream;

static void say(const char *what, ncclResult_t result, ncclComm_t comm) {
  const char *words = result == ncclSuccess ? "" : ncclGetLastError(comm);
  printf("%s: %d%s%s\n", what, (int)result, *words ? " " : "", words);
}

/* Two seconds at most. */
static ncclResult_t wait(ncclComm_t comm) {
  ncclResult_t state = ncclInProgress;
  for (int i = 0; i < 20000 && state == ncclInProgress; i++) {
    if (ncclCommGetAsyncError(comm, &state) != ncclSuccess) break;
    (void)usleep(100);
  }
  return state;
}

static ncclComm_t join(ncclUniqueId id, int n_ranks, int rank, int blocking, ncclResult_t *result) {
  ncclComm_t comm = NULL;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = blocking;
  *result = ncclCommInitRankConfig(&comm, n_ranks, id, rank, &config);
  return comm;
}

static void alone(ncclUniqueId id) {
  ncclResult_t result, state;
  (void)join(id, 1, 0, 1, &result);
  printf("blocking: %d\n", (int)result);
  (void)join(id, 1, 1, 0, &result);
  printf("rank 1 of 1: %d\n", (int)result);
  ncclComm_t comm = join(id, 1, 0, 0, &result);
  printf("init: %d\n", (int)result);
  say("early", ncclAllReduce(numbers, numbers, 4, ncclFloat32, ncclSum, comm, stream), comm);
  (void)ncclCommGetAsyncError(comm, &state);
  printf("state at first: %d, then: %d\n", (int)state, (int)wait(comm));
  printf("reduce: %d\n",
         (int)ncclAllReduce(numbers, numbers, 4, ncclFloat32, ncclSum, comm, stream));
  say("unasked", ncclAllReduce(numbers, numbers, 4, ncclFloat32, ncclSum, comm, stream), comm);
  printf("is nothing on the stream: %d\n", cudaStreamQuery(stream) == cudaSuccess);
  printf("state: %d\n", (int)wait(comm));
  printf("is something on the stream: %d\n", cudaStreamQuery(stream) == cudaErrorNotReady);
  float outside[4];
  say("host memory", ncclBroadcast(outside, outside, 4, ncclFloat32, 0, comm, stream), comm);
  say("root", ncclBroadcast(numbers, numbers, 4, ncclFloat32, 1, comm, stream), comm);
  say("destroyed too early", ncclCommDestroy(comm), comm);
  printf("finalize: %d\n", (int)ncclCommFinalize(comm));
  say("behind the end", ncclAllReduce(numbers, numbers, 4, ncclFloat32, ncclSum, comm, stream),
      comm);
  printf("state: %d\n", (int)wait(comm));
  (void)emulation_hook("hold nccl", 1, NULL);
  say("held", ncclCommDestroy(comm), comm);
  (void)emulation_hook("hold nccl", 0, NULL);
  say("destroy", ncclCommDestroy(comm), comm);
  say("again", ncclCommDestroy(comm), comm);
  ncclUniqueId other;
  (void)ncclGetUniqueId(&other);
  comm = join(other, 1, 0, 0, &result);
  (void)wait(comm);
  say("abort", ncclCommAbort(comm), comm);
  say("after abort", ncclAllReduce(numbers, numbers, 4, ncclFloat32, ncclSum, comm, stream), comm);
  say("asked after abort", ncclCommGetAsyncError(comm, &state), comm);
  say("aborted again", ncclCommAbort(comm), comm);
}

/* Of two: rank 1 calls with another count, type or collective. */
static void differ(ncclUniqueId id, int rank, const char *how) {
  ncclResult_t result;
  ncclComm_t comm = join(id, how[0] == 'n' ? 2 + rank : 2, how[0] == 'r' ? 0 : rank, 0, &result);
  say("init", wait(comm), comm);
  const size_t n = rank == 1 && how[0] == 'c' ? 3 : 4;
  const ncclDataType_t type = rank == 1 && how[0] == 't' ? ncclInt64 : ncclFloat32;
  if (rank == 1 && how[0] == 'k')
    (void)ncclBroadcast(numbers, numbers, n, type, 0, comm, stream);
  else
    (void)ncclAllReduce(numbers, numbers, n, type, ncclSum, comm, stream);
  (void)wait(comm);
  const cudaError_t error = cudaStreamSynchronize(stream);
  printf("wait: %s\n", cudaGetErrorString(error));
  (void)ncclCommAbort(comm);
}

int main(int n_arguments, char **arguments) {
  ncclUniqueId id;
  (void)ncclGetUniqueId(&id);
  const int rank = n_arguments > 1 ? atoi(arguments[1]) : 0;
  if (cudaSetDevice(rank) != cudaSuccess || cudaMalloc((void **)&numbers, 64) != cudaSuccess ||
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess)
    return 1;
  if (n_arguments == 1)
    alone(id);
  else
    differ(id, rank, arguments[2]);
  return 0;
}
