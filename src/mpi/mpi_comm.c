/*
** The engine "mpi": ranks that an MPI launcher has started, on CPUs. Only calls of the MPI standard (3.1)
** are used, so it builds with any; mpi.so then works with that one alone and says which it is.
**
** Sums. MPI leaves open in which order it adds, so the adding is done here, in the order of ranks: each
** rank gets its part of the vector from every other (alltoallv), adds, and all get all parts
** (allgatherv), which moves no more bytes than the best all-reduce. Of short vectors everybody
** gets all. So bits depend neither on the MPI nor on how a vector is cut into calls.
**
** Waiting. No call of MPI that waits is used once a communicator is open: requests are tested with pauses
** between, so that a rank that is missing is noticed. Ranks tell each other two things aside, as short messages:
** that they have left (and why), and, when they have waited long, at which call they stand. So the one
** for which the others wait can be named.
**
** Device tensors go through host memory.
*/
#define _POSIX_C_SOURCE 200809L
#include "../dn_comm.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../dn_backend.h"
#include "mpi_reduce.h"

enum {
  SHORT_BYTES = 16384, /* up to here everybody gets every rank's vector */
  WHY_BYTES = 240,
  TAG = 1
};

/* A pause while waiting, and how long a rank tries before the first. */
static const double SPIN_SECONDS = 100e-6, SHORTEST_PAUSE = 20e-6, LONGEST_PAUSE = 1e-3;
/* At the end of a process that has not closed by itself: the longest wait for others to hear of it. */
static const double PATIENCE_AFTER_FAILURE = 10, PATIENCE_WHEN_BROKEN = 2;

typedef enum word { WORD_LEFT = 1, WORD_WAITING = 2 } word;

/* What ranks tell each other aside. */
typedef struct note {
  int64_t word, call;
  char why[WHY_BYTES];
} note;

typedef struct peer {
  bool has_left;
  int64_t left_after; /* calls that it had finished by then: for those nobody waits in vain */
  int64_t waits_at;   /* the call at which it said that it waits; 0: has said nothing */
  char why[WHY_BYTES];
} peer;

typedef enum phase { PHASE_PARTS, PHASE_RESULT, PHASE_DONE } phase;

/* A collective under way. */
typedef struct work {
  struct work *next;
  phase at;
  dn_comm_op op;
  MPI_Request request;
  dn_tensor tensor; /* the caller's; no reference */
  void *data;       /* tensor's elements in host memory: its own or `staged` */
  void *staged, *parts;
  int64_t n_staged, n_parts; /* bytes */
  int64_t n, first, own;     /* elements; those that this rank adds */
  int *counts;               /* 4 arrays of `size`: counts and displacements of both phases */
} work;

typedef struct mpi_comm {
  dn_comm head;
  /* Calls and first phases; second phases; notes. Each is used in the same order by all ranks. */
  MPI_Comm calls, results, notes;
  work *oldest, *newest;
  int64_t n_started, n_finished; /* calls, which is what notes count by */
  peer *peers;
  note *sent;           /* of this rank, to each: size that say it waits, size that say it leaves */
  MPI_Request *sending; /* of them */
  note received;
  bool has_told, has_left, closes_well;
  struct mpi_comm *other; /* the next of the process's, closed ones included */
} mpi_comm;

static const dn_comm_host *host;
static mpi_comm *all_comms;

static dn_status fail(dn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  host->error_list(status, 0, format, arguments);
  va_end(arguments);
  return status;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void sleep_for(double seconds) {
  const struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)(1e9 * seconds)};
  nanosleep(&pause, NULL);
}

static dn_status fail_mpi(dn_comm *comm, int code) {
  char text[MPI_MAX_ERROR_STRING + 1] = "";
  int n = 0;
  MPI_Error_string(code, text, &n);
  comm->is_broken = true;
  return fail(DN_EDEVICE, "rank %d of %d: MPI failed: %s", comm->rank, comm->size, text);
}

#define MPI_TRY(comm, call)                               \
  do {                                                    \
    const int code = (call);                              \
    if (code != MPI_SUCCESS) return fail_mpi(comm, code); \
  } while (0)

/* The MPI that this is compiled against, which is the only one that it works with. */
#if defined OPEN_MPI
#define TEXT_OF(number) #number
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#define DN_MPI_NAME \
  "Open MPI " VERSION_TEXT(OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION)
#elif defined MPICH_VERSION
#define DN_MPI_NAME "MPICH " MPICH_VERSION
#else
#define DN_MPI_NAME "an MPI of another name"
#endif

/* ---- Notes ---- */

static void tell_all(mpi_comm *self, word what, const char *why) {
  const int size = self->head.size;
  /* The words of one kind are sent once each, or are done before the next of their kind. */
  note *notes = self->sent + (what == WORD_LEFT ? size : 0);
  MPI_Request *sending = self->sending + (what == WORD_LEFT ? size : 0);
  for (int r = 0; r < size; r++) {
    int is_done = 1;
    if (r == self->head.rank) continue;
    MPI_Test(&sending[r], &is_done, MPI_STATUS_IGNORE);
    if (!is_done) continue; /* it has not read the one before */
    memset(&notes[r], 0, sizeof notes[r]);
    notes[r].word = what;
    notes[r].call = what == WORD_LEFT ? self->n_finished : self->n_started;
    if (why) snprintf(notes[r].why, sizeof notes[r].why, "%s", why);
    MPI_Isend(&notes[r], (int)sizeof notes[r], MPI_BYTE, r, TAG, self->notes, &sending[r]);
  }
}

static void read_notes(mpi_comm *self) {
  for (;;) {
    int is_there = 0;
    MPI_Status status;
    MPI_Message message;
    if (MPI_Improbe(MPI_ANY_SOURCE, TAG, self->notes, &is_there, &message, &status) !=
            MPI_SUCCESS ||
        !is_there)
      return;
    MPI_Mrecv(&self->received, (int)sizeof self->received, MPI_BYTE, &message, &status);
    peer *from = &self->peers[status.MPI_SOURCE];
    if (self->received.word == WORD_LEFT) {
      from->has_left = true;
      from->left_after = self->received.call;
      memcpy(from->why, self->received.why, sizeof from->why);
    } else {
      from->waits_at = self->received.call;
    }
  }
}

/* ---- Who is missing ---- */

/* "rank 3", "ranks 1, 3" of those for which is_it(self, r); "" for none. Returns how many. */
static int list_ranks(const mpi_comm *self, bool (*is_it)(const mpi_comm *, int), char *text,
                      size_t room) {
  int n = 0;
  for (int r = 0; r < self->head.size; r++) n += r != self->head.rank && is_it(self, r);
  size_t at = (size_t)snprintf(text, room, "%s", n == 0 ? "" : n == 1 ? "rank " : "ranks ");
  const char *between = "";
  for (int r = 0; r < self->head.size && at < room; r++) {
    if (r == self->head.rank || !is_it(self, r)) continue;
    at += (size_t)snprintf(text + at, room - at, "%s%d", between, r);
    between = ", ";
  }
  return n;
}

/* It has ended before it took part in the last call here. */
static bool is_gone(const mpi_comm *self, int r) {
  return self->peers[r].has_left && self->peers[r].left_after < self->n_started;
}

static bool has_left(const mpi_comm *self, int r) { return self->peers[r].has_left; }

static bool is_silent(const mpi_comm *self, int r) {
  return self->peers[r].waits_at < self->n_started;
}

static dn_status fail_gone(mpi_comm *self) {
  char ranks[160];
  const char *why = "";
  for (int r = 0; r < self->head.size && !*why; r++)
    if (self->peers[r].has_left) why = self->peers[r].why;
  const int n = list_ranks(self, has_left, ranks, sizeof ranks);
  self->head.is_broken = true;
  return fail(DN_EDEVICE, "rank %d of %d: %s %s ended%s%s", self->head.rank, self->head.size, ranks,
              n == 1 ? "has" : "have", *why ? ": " : "", why);
}

static dn_status fail_silent(mpi_comm *self) {
  char ranks[160];
  const int n = list_ranks(self, is_silent, ranks, sizeof ranks);
  self->head.is_broken = true;
  if (n == 0)
    return fail(
        DN_EDEVICE,
        "rank %d of %d: no answer within %g s, although all ranks wait: their calls differ, or the "
        "connection is cut",
        self->head.rank, self->head.size, self->head.timeout_seconds);
  return fail(DN_EDEVICE, "rank %d of %d: %s %s not answer any more (nothing within %g s)",
              self->head.rank, self->head.size, ranks, n == 1 ? "does" : "do",
              self->head.timeout_seconds);
}

static bool is_any(const mpi_comm *self, bool (*is_it)(const mpi_comm *, int)) {
  for (int r = 0; r < self->head.size; r++)
    if (is_it(self, r)) return true;
  return false;
}

/* ---- Waiting ---- */

/* A wait: since when, and until when a rank is to move something. */
typedef struct patience {
  double since, pause;
} patience;

static patience begin_waiting(mpi_comm *self) {
  self->has_told = false;
  return (patience){.since = now(), .pause = SHORTEST_PAUSE};
}

/* Between two tests of a request that was not done. */
static dn_status wait_on(mpi_comm *self, patience *waiting) {
  const double waited = now() - waiting->since;
  if (waited < SPIN_SECONDS) return DN_OK;
  read_notes(self);
  if (is_any(self, is_gone)) return fail_gone(self);
  const double limit = self->head.timeout_seconds;
  if (!self->has_told && waited > (limit < 2 ? limit / 4 : 0.5)) {
    tell_all(self, WORD_WAITING, NULL);
    self->has_told = true;
  }
  if (waited > limit) return fail_silent(self);
  sleep_for(waiting->pause);
  if (waiting->pause < LONGEST_PAUSE) waiting->pause *= 1.5;
  return DN_OK;
}

/* ---- Memory of a collective ---- */

static int64_t count_of(const dn_tensor *x) {
  int64_t n = 1;
  for (int d = 0; d < x->n_dim; d++) n *= x->size[d];
  return n;
}

static void *data_of(const dn_tensor *x) {
  return (char *)x->storage->data + x->offset * (int64_t)dn_dtype_size(x->dtype);
}

static void work_free(mpi_comm *self, work *done) {
  dn_device *cpu = self->head.device->host;
  host->free(cpu, done->parts, done->n_parts);
  host->free(cpu, done->staged, done->n_staged);
  host->free(cpu, done->counts, 4 * self->head.size * (int64_t)sizeof(int));
  host->free(cpu, done, (int64_t)sizeof *done);
}

static bool is_on_host(const dn_tensor *x) {
  return x->storage->device == x->storage->device->host;
}

/* Its elements in host memory, and room for what other ranks send. */
static dn_status fill_work(mpi_comm *self, work *made, const dn_tensor *x) {
  dn_device *cpu = self->head.device->host;
  void *block = NULL;
  made->tensor = *x;
  made->n = count_of(x);
  made->request = MPI_REQUEST_NULL;
  DN_TRY(host->alloc(cpu, 4 * self->head.size * (int64_t)sizeof(int), &block));
  made->counts = block;
  made->data = data_of(x);
  if (is_on_host(x)) return DN_OK;
  const int64_t n_bytes = made->n * (int64_t)dn_dtype_size(x->dtype);
  DN_TRY(host->alloc(cpu, n_bytes, &made->staged));
  made->n_staged = n_bytes;
  made->data = made->staged;
  return x->storage->device->backend->download(x->storage->device, made->staged, data_of(x),
                                               n_bytes);
}

static dn_status work_new(mpi_comm *self, const dn_tensor *x, work **made) {
  void *block = NULL;
  if (count_of(x) > INT_MAX)
    return fail(DN_EARG, "at most %d elements go between ranks in one call, got %lld", INT_MAX,
                (long long)count_of(x));
  DN_TRY(host->alloc(self->head.device->host, (int64_t)sizeof(work), &block));
  memset(block, 0, sizeof(work));
  const dn_status status = fill_work(self, block, x);
  if (status == DN_OK)
    *made = block;
  else
    work_free(self, block);
  return status;
}

static dn_status put_back(work *done, dn_tensor *x) {
  if (!done->staged) return DN_OK;
  dn_device *device = x->storage->device;
  return device->backend->upload(device, data_of(x), done->staged, done->n_staged);
}

/* ---- Reductions ---- */

/* Only moved, never computed with. */
static MPI_Datatype plain_type(dn_dtype dtype) {
  switch (dn_dtype_size(dtype)) {
    case 1:
      return MPI_BYTE;
    case 2:
      return MPI_UINT16_T;
    case 4:
      return MPI_UINT32_T;
    default:
      return MPI_UINT64_T;
  }
}

static int64_t first_of(int64_t n, int rank, int size) { return n * rank / size; }

static dn_status start_short(mpi_comm *self, work *w) {
  const MPI_Datatype type = plain_type(w->tensor.dtype);
  MPI_TRY(&self->head, MPI_Iallgather(w->data, (int)w->n, type, w->parts, (int)w->n, type,
                                      self->calls, &w->request));
  return DN_OK;
}

static dn_status start_long(mpi_comm *self, work *w) {
  const MPI_Datatype type = plain_type(w->tensor.dtype);
  const int size = self->head.size;
  int *to = w->counts, *to_at = to + size, *from = to + 2 * size, *from_at = to + 3 * size;
  for (int r = 0; r < size; r++) {
    to_at[r] = (int)first_of(w->n, r, size);
    to[r] = (int)first_of(w->n, r + 1, size) - to_at[r];
    from[r] = (int)w->own;
    from_at[r] = (int)(r * w->own);
  }
  MPI_TRY(&self->head, MPI_Ialltoallv(w->data, to, to_at, type, w->parts, from, from_at, type,
                                      self->calls, &w->request));
  return DN_OK;
}

static bool is_short(const work *w) {
  return w->n * (int64_t)dn_dtype_size(w->tensor.dtype) <= SHORT_BYTES;
}

static dn_status start_reduction(mpi_comm *self, work *w) {
  const int size = self->head.size, rank = self->head.rank;
  const int64_t n_element = (int64_t)dn_dtype_size(w->tensor.dtype);
  w->first = is_short(w) ? 0 : first_of(w->n, rank, size);
  w->own = is_short(w) ? w->n : first_of(w->n, rank + 1, size) - w->first;
  if (w->own * size > INT_MAX)
    return fail(DN_EARG, "a vector of %lld elements is too long for %d ranks", (long long)w->n,
                size);
  const int64_t n_bytes = w->own * size * n_element;
  DN_TRY(host->alloc(self->head.device->host, n_bytes, &w->parts));
  w->n_parts = n_bytes;
  DN_TRY(is_short(w) ? start_short(self, w) : start_long(self, w));
  w->at = PHASE_PARTS;
  return DN_OK;
}

/* The parts have come. Adds them; a long vector's then go to all. */
static dn_status add_parts(mpi_comm *self, work *w) {
  const int64_t n_element = (int64_t)dn_dtype_size(w->tensor.dtype);
  mpi_reduce(w->tensor.dtype, w->op, (char *)w->data + w->first * n_element, w->parts, w->own,
             self->head.size);
  if (is_short(w)) {
    w->at = PHASE_DONE;
    return DN_OK;
  }
  const MPI_Datatype type = plain_type(w->tensor.dtype);
  MPI_TRY(&self->head,
          MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, w->data, w->counts,
                          w->counts + self->head.size, type, self->results, &w->request));
  w->at = PHASE_RESULT;
  return DN_OK;
}

/* Lets `w` go on as far as it can without waiting. */
static dn_status step(mpi_comm *self, work *w) {
  while (w->at == PHASE_PARTS || w->at == PHASE_RESULT) {
    int is_done = 0;
    MPI_TRY(&self->head, MPI_Test(&w->request, &is_done, MPI_STATUS_IGNORE));
    if (!is_done) return DN_OK;
    if (w->at == PHASE_RESULT)
      w->at = PHASE_DONE;
    else
      DN_TRY(add_parts(self, w));
  }
  return DN_OK;
}

/*
** All that is under way, oldest first. Second phases begin in the order of the calls on every rank, as MPI
** asks of collectives, so a call whose parts have come waits until the ones before have gone that far.
*/
static dn_status step_all(mpi_comm *self) {
  for (work *w = self->oldest; w; w = w->next) {
    DN_TRY(step(self, w));
    if (w->at == PHASE_PARTS) return DN_OK;
  }
  return DN_OK;
}

/* The oldest is done: its result goes to its tensor, its memory back. */
static dn_status finish_oldest(mpi_comm *self) {
  work *done = self->oldest;
  self->oldest = done->next;
  if (!self->oldest) self->newest = NULL;
  const dn_status status = put_back(done, &done->tensor);
  work_free(self, done);
  return status;
}

static dn_status join(dn_comm *comm) {
  mpi_comm *self = (mpi_comm *)comm;
  patience waiting = begin_waiting(self);
  while (self->oldest) {
    DN_TRY(step_all(self));
    if (self->oldest->at == PHASE_DONE)
      DN_TRY(finish_oldest(self));
    else
      DN_TRY(wait_on(self, &waiting));
  }
  self->n_finished = self->n_started;
  return DN_OK;
}

static dn_status all_reduce_start(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  mpi_comm *self = (mpi_comm *)comm;
  work *w = NULL;
  DN_TRY(work_new(self, x, &w));
  w->op = op;
  const dn_status status = start_reduction(self, w);
  if (status != DN_OK) {
    work_free(self, w);
    return status;
  }
  self->n_started++;
  if (self->newest)
    self->newest->next = w;
  else
    self->oldest = w;
  self->newest = w;
  return step_all(self);
}

/* The one before the newest, or NULL. */
static work *before_newest(mpi_comm *self) {
  work *w = self->oldest;
  while (w && w->next != self->newest) w = w->next;
  return w;
}

/* A short one needs nobody's second phase, so it does not wait for those that were started before. */
static dn_status finish_newest(mpi_comm *self) {
  work *w = self->newest;
  patience waiting = begin_waiting(self);
  for (;;) {
    DN_TRY(step(self, w));
    if (w->at == PHASE_DONE) break;
    DN_TRY(step_all(self));
    DN_TRY(wait_on(self, &waiting));
  }
  work *before = before_newest(self);
  if (before)
    before->next = NULL;
  else
    self->oldest = NULL;
  self->newest = before;
  if (!before) self->n_finished = self->n_started;
  const dn_status status = put_back(w, &w->tensor);
  work_free(self, w);
  return status;
}

static dn_status all_reduce(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  mpi_comm *self = (mpi_comm *)comm;
  DN_TRY(all_reduce_start(comm, x, op));
  return is_short(self->newest) ? finish_newest(self) : join(comm);
}

/* ---- Collectives that only move ---- */

static dn_status wait_for(mpi_comm *self, work *w) {
  patience waiting = begin_waiting(self);
  for (;;) {
    int is_done = 0;
    MPI_TRY(&self->head, MPI_Test(&w->request, &is_done, MPI_STATUS_IGNORE));
    if (is_done) break;
    DN_TRY(step_all(self));
    DN_TRY(wait_on(self, &waiting));
  }
  if (!self->oldest) self->n_finished = self->n_started;
  return DN_OK;
}

static dn_status gather(mpi_comm *self, work *w, const work *from) {
  const MPI_Datatype type = plain_type(w->tensor.dtype);
  MPI_TRY(&self->head, MPI_Iallgather(from->data, (int)from->n, type, w->data, (int)from->n, type,
                                      self->calls, &w->request));
  self->n_started++;
  return wait_for(self, w);
}

static dn_status all_gather(dn_comm *comm, dn_tensor *all, const dn_tensor *x) {
  mpi_comm *self = (mpi_comm *)comm;
  work *to = NULL, *from = NULL;
  DN_TRY(work_new(self, x, &from));
  dn_status status = work_new(self, all, &to);
  if (status == DN_OK) status = gather(self, to, from);
  if (status == DN_OK) status = put_back(to, all);
  /* A broken communicator's requests are never waited for, and MPI may still write where they point. */
  if (comm->is_broken) return status;
  if (to) work_free(self, to);
  work_free(self, from);
  return status;
}

static dn_status send_from(mpi_comm *self, work *w, int root) {
  MPI_TRY(&self->head, MPI_Ibcast(w->data, (int)w->n, plain_type(w->tensor.dtype), root,
                                  self->calls, &w->request));
  self->n_started++;
  return wait_for(self, w);
}

static dn_status broadcast(dn_comm *comm, dn_tensor *x, int root) {
  mpi_comm *self = (mpi_comm *)comm;
  work *w = NULL;
  DN_TRY(work_new(self, x, &w));
  dn_status status = send_from(self, w, root);
  if (status == DN_OK) status = put_back(w, x);
  if (!comm->is_broken) work_free(self, w);
  return status;
}

static dn_status check(dn_comm *comm) {
  mpi_comm *self = (mpi_comm *)comm;
  DN_TRY(step_all(self));
  read_notes(self);
  return is_any(self, has_left) ? fail_gone(self) : DN_OK;
}

/* ---- Beginning and end ---- */

static dn_status rendezvous(void *bytes, size_t room, size_t *n) {
  (void)bytes;
  (void)room;
  *n = 0;
  return DN_OK;
}

static void leave(mpi_comm *self, const char *why, bool well) {
  if (self->has_left) return;
  self->has_left = true;
  self->closes_well = well;
  tell_all(self, WORD_LEFT, why);
}

static bool all_left(void) {
  for (mpi_comm *each = all_comms; each; each = each->other) {
    read_notes(each);
    for (int r = 0; r < each->head.size; r++)
      if (r != each->head.rank && !each->peers[r].has_left) return false;
  }
  return true;
}

/*
** At the end of the process. MPI_Finalize waits for all ranks, for ever where one hangs; so it is called
** when all have said that they leave. A process that ends without it is what launchers take for a failure,
** and they end the others.
*/
static void end_mpi(void) {
  int is_over = 0;
  MPI_Finalized(&is_over);
  if (is_over) return;
  double limit = PATIENCE_AFTER_FAILURE;
  for (mpi_comm *each = all_comms; each; each = each->other) {
    if (each->head.is_broken) limit = PATIENCE_WHEN_BROKEN;
    if (each->closes_well && each->head.timeout_seconds > limit) limit = each->head.timeout_seconds;
    leave(each, NULL, false);
  }
  const double since = now();
  while (!all_left()) {
    if (now() - since > limit) return;
    sleep_for(LONGEST_PAUSE);
  }
  MPI_Finalize();
}

/* Once a process. */
static dn_status start_mpi(void) {
  int is_started = 0, is_over = 0, given = 0;
  MPI_Finalized(&is_over);
  if (is_over)
    return fail(DN_EDEVICE, "MPI has been ended in this process and cannot be started again");
  MPI_Initialized(&is_started);
  if (is_started) return DN_OK;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS)
    return fail(DN_EDEVICE, "MPI could not be started");
  /* Errors of collectives that are tested may be reported to it. */
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  (void)atexit(end_mpi);
  return DN_OK;
}

/*
** What a communicator keeps lives as long as the process, because MPI may still read and write it after the
** close; so it is counted against no device.
*/
static dn_status new_comm(const dn_comm_place *place, mpi_comm **made) {
  const size_t size = (size_t)place->size;
  mpi_comm *self = calloc(1, sizeof *self);
  *made = self;
  if (self) {
    self->peers = calloc(size, sizeof(peer));
    self->sent = calloc(2 * size, sizeof(note));
    self->sending = calloc(2 * size, sizeof(MPI_Request));
  }
  if (!self || !self->peers || !self->sent || !self->sending)
    return fail(DN_ENOMEM, "no memory for a communicator of %d ranks", place->size);
  for (size_t r = 0; r < 2 * size; r++) self->sending[r] = MPI_REQUEST_NULL;
  return DN_OK;
}

static dn_status make_comms(mpi_comm *self) {
  dn_comm *comm = &self->head;
  MPI_Comm *const made[] = {&self->calls, &self->results, &self->notes};
  for (int i = 0; i < 3; i++) {
    MPI_TRY(comm, MPI_Comm_dup(MPI_COMM_WORLD, made[i]));
    MPI_TRY(comm, MPI_Comm_set_errhandler(*made[i], MPI_ERRORS_RETURN));
  }
  return DN_OK;
}

static dn_status check_world(const dn_comm_place *place) {
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank == place->rank && size == place->size) return DN_OK;
  return fail(DN_EDEVICE,
              "this process is to be rank %d of %d, but MPI has started it as rank %d of %d: start "
              "ranks with "
              "mpirun (of %s) or srun",
              place->rank, place->size, rank, size, DN_MPI_NAME);
}

static const dn_comm_engine engine;

static dn_status mpi_open(const dn_comm_place *place, dn_comm **comm) {
  mpi_comm *self = NULL;
  *comm = NULL;
  DN_TRY(start_mpi());
  DN_TRY(check_world(place));
  DN_TRY(new_comm(place, &self));
  self->head.engine = &engine;
  self->head.rank = place->rank;
  self->head.size = place->size;
  self->head.device = place->device;
  self->head.timeout_seconds = place->timeout_seconds;
  DN_TRY(make_comms(self));
  self->other = all_comms;
  all_comms = self;
  *comm = &self->head;
  return DN_OK;
}

static void mpi_close(dn_comm *comm) { leave((mpi_comm *)comm, NULL, !comm->is_broken); }

static void mpi_abort(dn_comm *comm, const char *why) { leave((mpi_comm *)comm, why, false); }

static const dn_comm_engine engine = {
    .name = "mpi",
    .built_with = DN_MPI_NAME,
    .rendezvous = rendezvous,
    .open = mpi_open,
    .all_reduce = all_reduce,
    .all_reduce_start = all_reduce_start,
    .all_reduce_join = join,
    .all_gather = all_gather,
    .broadcast = broadcast,
    .check = check,
    .close = mpi_close,
    .abort = mpi_abort,
};

__attribute__((visibility("default"))) dn_comm_entry dn_comm_engine_open;

dn_status dn_comm_engine_open(const dn_comm_host *given, const dn_comm_engine **opened) {
  host = given;
  if (given->n_bytes != sizeof *given)
    return fail(DN_EDEVICE, "no MPI: mpi.so is of another version of densenet");
  *opened = &engine;
  return DN_OK;
}
