/*
** Collectives as work of an emulated stream that advances when all ranks have come as far. Numbers are
** added in the order of ranks, and rounded to their type after each addition.
*/
#include "nccl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "emulated_nccl_board.h"
#include "emulated_numbers.h"

namespace {

enum kind { ALL_REDUCE, ALL_GATHER, BROADCAST };
enum phase { FRESH, JOINING, READY, FINALIZING, FINALIZED, OVER };

const char *const KINDS[] = {"ncclAllReduce", "ncclAllGather", "ncclBroadcast"};

/* What outlives the handle: work on a stream may hold it still. */
struct ranks {
  nccl_board board;
  uint64_t n_steps = 0; /* of all collectives so far; each takes one or more */
  bool is_over = false; /* aborted: work ends without results */
  ncclResult_t failure = ncclSuccess;
  std::string reason;
};

struct collective {
  nccl_call call;
  const char *from;
  char *to;
  int device;
  bool never_ends;
};

int n_graphs() { return (int)emulation_hook_value("hold nccl"); }

size_t size_of(int type) {
  return type == ncclUint8                          ? 1
         : type == ncclInt64 || type == ncclFloat64 ? 8
         : type == ncclFloat32                      ? 4
                                                    : 2;
}

const char *name_of(int type) {
  switch (type) {
    case ncclUint8:
      return "ncclUint8";
    case ncclInt64:
      return "ncclInt64";
    case ncclFloat16:
      return "ncclFloat16";
    case ncclFloat32:
      return "ncclFloat32";
    case ncclFloat64:
      return "ncclFloat64";
    default:
      return "ncclBfloat16";
  }
}

void fail(ranks &all, ncclResult_t failure, const std::string &reason) {
  if (all.failure != ncclSuccess) return;
  all.failure = failure;
  all.reason = reason;
}

/* ---- One step of a collective ---- */

int64_t joined(int64_t a, int64_t b, int op) {
  return op == ncclSum ? (int64_t)((uint64_t)a + (uint64_t)b) : a > b ? a : b;
}

emulated_type real_type(int type) {
  return type == ncclFloat32   ? EMULATED_FLOAT
         : type == ncclFloat64 ? EMULATED_DOUBLE
         : type == ncclFloat16 ? EMULATED_HALF
                               : EMULATED_BFLOAT16;
}

void reduce(const nccl_board &board, const nccl_call &call, char *to, size_t n_bytes) {
  const size_t n = n_bytes / size_of(call.type);
  memmove(to, board.box(0).bytes, n_bytes);
  for (int r = 1; r < board.n_ranks(); r++)
    for (size_t i = 0; i < n; i++) {
      const char *given = board.box(r).bytes;
      if (call.type == ncclInt64) {
        ((int64_t *)to)[i] = joined(((int64_t *)to)[i], ((const int64_t *)given)[i], call.op);
        continue;
      }
      const emulated_type type = real_type(call.type);
      const double a = emulated_load(to, type, (int64_t)i),
                   b = emulated_load(given, type, (int64_t)i);
      emulated_store(to, type, (int64_t)i, call.op == ncclSum ? a + b : fmax(a, b));
    }
  emulation_races_written(to, n_bytes);
}

/* Bytes `at` to `at` + n_bytes of what each rank gives, to where they belong. */
void receive(const nccl_board &board, const collective &c, size_t at, size_t n_bytes) {
  const size_t whole = c.call.count * size_of(c.call.type);
  if (c.call.kind == ALL_REDUCE) reduce(board, c.call, c.to + at, n_bytes);
  for (int r = 0; r < board.n_ranks(); r++) {
    const bool is_taken =
        c.call.kind == ALL_GATHER || (c.call.kind == BROADCAST && r == c.call.root);
    if (!is_taken) continue;
    char *const to = c.to + at + (c.call.kind == ALL_GATHER ? (size_t)r * whole : 0);
    memmove(to, board.box(r).bytes, n_bytes);
    emulation_races_written(to, n_bytes);
  }
}

bool is_same(const nccl_call &a, const nccl_call &b) {
  return a.kind == b.kind && a.type == b.type && a.op == b.op && a.root == b.root &&
         a.count == b.count;
}

/*
** What a rank learns of others: that one has left for good. To leave in good order is an end as well for
** those that wait for more of that rank.
*/
void look_around(ranks &all, bool is_waiting) {
  if (emulation_hook_value("deaf nccl") != 0) return;
  for (int r = 0; r < all.board.n_ranks(); r++) {
    const int presence = all.board.box(r).presence;
    if (presence == NCCL_ABORTED ||
        (presence == NCCL_FINALIZED && is_waiting && r != all.board.rank()) ||
        (presence == NCCL_PRESENT && all.board.has_ended(r)))
      fail(all, ncclRemoteError, "Connection closed by remote peer");
  }
}

bool have_all(const nccl_board &board, std::atomic<uint64_t> nccl_box::*counter, uint64_t step) {
  for (int r = 0; r < board.n_ranks(); r++)
    if (board.box(r).*counter < step) return false;
  return true;
}

bool is_agreed(const nccl_board &board, const nccl_call &call) {
  for (int r = 0; r < board.n_ranks(); r++) {
    const nccl_call &other = board.box(r).call;
    if (is_same(call, other)) continue;
    emulation_fail(cudaErrorLaunchFailure, "rank %d calls %s of %llu %s, rank %d %s of %llu %s",
                   board.rank(), KINDS[call.kind], (unsigned long long)call.count,
                   name_of(call.type), r, KINDS[other.kind], (unsigned long long)other.count,
                   name_of(other.type));
    return false;
  }
  return true;
}

/* The work: a collective from its first step to its last. True when done. */
struct work {
  std::shared_ptr<ranks> all;
  collective c;
  size_t at = 0;
  uint64_t step = 0; /* the one that is under way; 0: none */

  size_t n_bytes() const {
    const size_t left = c.call.count * size_of(c.call.type) - at;
    return left < nccl_box::N_BYTES ? left : nccl_box::N_BYTES;
  }

  bool gives() {
    nccl_board &board = all->board;
    if (!have_all(board, &nccl_box::read, all->n_steps)) return false;
    step = ++all->n_steps;
    const bool has_something = c.call.kind != BROADCAST || board.rank() == c.call.root;
    if (has_something) memcpy(board.own().bytes, c.from + at, n_bytes());
    board.own().call = c.call;
    board.own().written = step;
    return true;
  }

  bool takes() {
    nccl_board &board = all->board;
    if (!have_all(board, &nccl_box::written, step)) return false;
    if (!is_agreed(board, c.call)) return true;
    receive(board, c, at, n_bytes());
    board.own().read = step;
    at += n_bytes();
    step = 0;
    return true;
  }

  bool goes_on() {
    while (!all->is_over && at < c.call.count * size_of(c.call.type)) {
      if (c.never_ends || (step == 0 && !gives()) || !takes()) {
        look_around(*all, true);
        if (c.never_ends)
          fail(*all, ncclRemoteError, "Connection closed by remote peer, as told to");
        return false;
      }
      if (emulation_lost(c.device) != cudaSuccess) return true;
    }
    return true;
  }
};

}  // namespace

struct ncclComm {
  phase is = FRESH;
  std::shared_ptr<ranks> all = std::make_shared<ranks>();
  int device = 0;
  bool is_pending = false; /* the call before was not asked about yet */
  bool has_waiting = false;
  collective waiting; /* what that call was */
  cudaStream_t stream = nullptr;
};

namespace {

/* Handles are never given back, so that one that is over is still known as such; nor is their list. */
std::vector<ncclComm_t> &handles = *new std::vector<ncclComm_t>();

ncclResult_t refused(ncclComm_t comm, ncclResult_t result, const std::string &reason) {
  comm->all->reason = reason;
  return result;
}

void enqueue(ncclComm_t comm) {
  const std::shared_ptr<work> doing = std::make_shared<work>();
  doing->all = comm->all;
  doing->c = comm->waiting;
  emulation_enqueue_until(comm->stream, [doing]() { return doing->goes_on(); });
  comm->has_waiting = false;
}

/* Two ranks on one GPU, or that were told different numbers of ranks. */
void check_places(ranks &all) {
  const nccl_board &board = all.board;
  for (int r = 0; r < board.n_ranks(); r++) {
    if (board.box(r).n_ranks != board.n_ranks())
      fail(all, ncclInvalidArgument, "ranks were told different numbers of ranks");
    for (int other = 0; other < r; other++)
      if (board.box(r).gpu == board.box(other).gpu)
        fail(all, ncclInvalidUsage,
             "Duplicate GPU detected : rank " + std::to_string(r) + " and rank " +
                 std::to_string(other) + " both on CUDA device " +
                 std::to_string(board.box(r).gpu));
  }
}

ncclResult_t call(ncclComm_t comm, const collective &c, cudaStream_t stream) {
  emulation_locked here;
  if (comm->is == OVER) return refused(comm, ncclInvalidArgument, "the communicator is over");
  if (comm->is != READY || comm->is_pending)
    return refused(comm, ncclInvalidArgument, "the call before is still in progress");
  if (comm->all->failure != ncclSuccess) return comm->all->failure;
  if (emulation_current() != comm->device || emulation_device_of_stream(stream) != comm->device)
    return refused(comm, ncclInvalidUsage, "another device is current, or the stream's");
  const int64_t n_bytes = (int64_t)(c.call.count * size_of(c.call.type));
  const bool gives = c.call.kind != BROADCAST || c.call.root == comm->all->board.rank();
  const int64_t n_ranks = c.call.kind == ALL_GATHER ? comm->all->board.n_ranks() : 1;
  if (c.call.root < 0 || c.call.root >= comm->all->board.n_ranks() ||
      (gives && !emulated_is_there(c.from, n_bytes, comm->device)) ||
      !emulated_is_there(c.to, n_ranks * n_bytes, comm->device))
    return refused(comm, ncclInvalidArgument, "a root or a pointer that is no good");
  if (emulation_is_ordered("refuse nccl"))
    return refused(comm, ncclSystemError, "Call to nothing failed, as it was told to");
  comm->waiting = c;
  comm->waiting.device = comm->device;
  comm->waiting.never_ends = emulation_is_ordered("fail nccl");
  comm->stream = stream;
  comm->is_pending = comm->has_waiting = true;
  return ncclInProgress;
}

}  // namespace

/* ---- The library's calls ---- */

ncclResult_t ncclGetVersion(int *version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

/* Who gives ids stays until the ranks have met, or have failed to: it then takes away what is left. */
static struct given_ids {
  std::vector<std::string> names;
  pid_t giver = 0;
  ~given_ids() {
    if (getpid() != giver) return; /* a child that was forked */
    for (const std::string &name : names) (void)shm_unlink(name.c_str());
  }
} given;

static ncclResult_t noted(const ncclUniqueId *id) {
  given.giver = getpid();
  given.names.push_back(id->internal);
  return ncclSuccess;
}

/* Of an address that all were given, the same for all. */
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  memset(id, 0, sizeof *id);
  const char *address = getenv("NCCL_COMM_ID");
  if (address) {
    snprintf(id->internal, sizeof id->internal, "/densenet-nccl-%d-%zx", (int)getuid(),
             std::hash<std::string>()(address));
    return noted(id);
  }
  static unsigned n_given;
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  snprintf(id->internal, sizeof id->internal, "/densenet-nccl-%d-%lx%09lx-%u", (int)getpid(),
           (unsigned long)time.tv_sec, (unsigned long)time.tv_nsec, n_given++);
  return noted(id);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
  emulation_locked here;
  *comm = nullptr;
  const ncclConfig_t expected = NCCL_CONFIG_INITIALIZER;
  if (config->size != sizeof *config || config->magic != expected.magic || config->blocking != 0)
    return ncclInvalidArgument;
  if (n_ranks < 1 || rank < 0 || rank >= n_ranks || id.internal[0] != '/')
    return ncclInvalidArgument;
  *comm = new ncclComm();
  handles.push_back(*comm);
  (*comm)->device = emulation_current();
  const std::string wrong =
      (*comm)->all->board.join(id.internal, n_ranks, rank, emulation_current());
  if (!wrong.empty()) fail(*(*comm)->all, ncclSystemError, wrong);
  (*comm)->is = JOINING;
  (*comm)->is_pending = true;
  return ncclInProgress;
}

/* In progress first, whatever it is. */
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state) {
  emulation_locked here;
  if (comm->is == OVER) return refused(comm, ncclInvalidArgument, "the communicator is over");
  ranks &all = *comm->all;
  *state = ncclInProgress;
  if (comm->is_pending) {
    comm->is_pending = false;
    return ncclSuccess;
  }
  if (comm->is == JOINING && all.failure == ncclSuccess && all.board.is_complete()) {
    check_places(all);
    comm->is = READY;
  }
  if (all.board.is_joined()) look_around(all, false);
  if (comm->is == JOINING && all.failure == ncclSuccess) return ncclSuccess;
  if (comm->has_waiting) enqueue(comm);
  if (comm->is == FINALIZING) {
    const cudaError_t left = comm->stream ? cudaStreamQuery(comm->stream) : cudaSuccess;
    if (left != cudaSuccess && all.failure == ncclSuccess) {
      (void)cudaGetLastError();
      (void)emulation_advance(comm->stream);
      return ncclSuccess;
    }
    all.board.own().presence = NCCL_FINALIZED;
    comm->is = FINALIZED;
  }
  *state = all.failure;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  emulation_locked here;
  if (comm->is != READY || comm->is_pending)
    return refused(comm, ncclInvalidArgument, "the communicator is not ready");
  comm->is = FINALIZING;
  comm->is_pending = true;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  emulation_locked here;
  if (comm->is != FINALIZED)
    return refused(comm, ncclInvalidArgument, "the communicator is not finalized");
  if (n_graphs() > 0) return refused(comm, ncclInvalidUsage, "graphs hold the communicator");
  comm->is = OVER;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  emulation_locked here;
  if (comm->is == OVER) return refused(comm, ncclInvalidArgument, "the communicator is over");
  comm->is = OVER;
  comm->all->is_over = true;
  comm->all->board.forget_name();
  if (comm->all->board.is_joined()) comm->all->board.own().presence = NCCL_ABORTED;
  return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "NCCL operation in progress";
  }
}

const char *ncclGetLastError(ncclComm_t comm) { return comm ? comm->all->reason.c_str() : ""; }

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return call(comm, {{ALL_REDUCE, type, op, 0, count}, (const char *)from, (char *)to, 0, false},
              stream);
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return call(comm, {{ALL_GATHER, type, 0, 0, count}, (const char *)from, (char *)to, 0, false},
              stream);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return call(comm, {{BROADCAST, type, 0, root, count}, (const char *)from, (char *)to, 0, false},
              stream);
}
