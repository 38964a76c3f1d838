#include "nccl_wait.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

/* How long a call is asked about without a pause, and the pauses after that. */
static const double SPIN_SECONDS = 1e-3, PAUSE_SECONDS = 100e-6, WATCH_SECONDS = 0.1;
/* So long NCCL may take to end its work when another rank has ended after its own last part in it. */
static const double GRACE_SECONDS = 1;
/* So long a process may take to end after its connections have been closed. */
static const double LAST_BREATH_SECONDS = 0.5;
/* Whoever ends because of another rank ends so much later, that all see which one was the first. */
static const double COURTESY_SECONDS = 0.3;

static void pause_for(double seconds) {
  const struct timespec pause = {0, (long)(1e9 * seconds)};
  (void)nanosleep(&pause, NULL);
}

/* ---- Who is missing ---- */

/* Lists ranks in this state: " 1, 3". Returns how many, and a process of them. */
static int list_peers(const nccl_comm *self, nccl_peer_state state, char *text, size_t room,
                      int64_t *process) {
  int n = 0;
  size_t at = 0;
  text[0] = '\0';
  for (int r = 0; self->peers && r < self->head.size; r++) {
    if (r == self->head.rank || nccl_peer_look(&self->peers[r]) != state) continue;
    if (at < room) at += (size_t)snprintf(text + at, room - at, n > 0 ? ", %d" : " %d", r);
    *process = self->peers[r].process;
    n++;
  }
  return n;
}

static bool has_lost(const nccl_comm *self) {
  char ranks[8];
  int64_t process = 0;
  return list_peers(self, NCCL_PEER_HAS_ENDED, ranks, sizeof ranks, &process) > 0;
}

/* "rank 3 has ended (process 4711", to be gone on with and closed. */
static void describe_missing(const nccl_comm *self, char *text, size_t room) {
  char ranks[80];
  int64_t process = 0;
  if (!self->peers) {
    snprintf(text, room, "not all ranks have come (");
    return;
  }
  int n = list_peers(self, NCCL_PEER_HAS_ENDED, ranks, sizeof ranks, &process);
  if (n > 0) {
    if (n > 1) snprintf(text, room, "ranks%s have ended (", ranks);
    if (n == 1) snprintf(text, room, "rank%s has ended (process %lld; ", ranks, (long long)process);
    return;
  }
  n = list_peers(self, NCCL_PEER_IS_STOPPED, ranks, sizeof ranks, &process);
  if (n > 1)
    snprintf(text, room, "ranks%s do not answer any more (their processes are stopped; ", ranks);
  if (n == 1)
    snprintf(text, room, "rank%s does not answer any more (process %lld is stopped; ", ranks,
             (long long)process);
  if (n == 0) snprintf(text, room, "another rank does not answer any more (");
}

/* ---- Failures ---- */

static void drop(nccl_comm *self) {
  self->head.is_broken = true;
  if (self->comm) (void)ncclCommAbort(self->comm);
  self->comm = NULL;
}

/* NCCL's own words about the last failure, up to the end of the line. */
static void last_words(const nccl_comm *self, char *text, size_t room) {
  const char *words = self->comm ? ncclGetLastError(self->comm) : NULL;
  const int n = words ? (int)strcspn(words, "\n") : 0;
  snprintf(text, room, "%s%.*s", n > 0 ? "; " : "", n, words ? words : "");
}

static dn_status fail_missing(nccl_comm *self, const char *nccl_says) {
  char missing[160];
  describe_missing(self, missing, sizeof missing);
  nccl_report_following();
  pause_for(COURTESY_SECONDS);
  drop(self);
  return nccl_fail(DN_EDEVICE, "rank %d of %d: %s%s: %s)", self->head.rank, self->head.size,
                   missing, nccl_name(), nccl_says);
}

static dn_status fail_silent(nccl_comm *self) {
  char text[64];
  snprintf(text, sizeof text, "nothing within %g s", self->head.timeout_seconds);
  return fail_missing(self, text);
}

static dn_status fail_call(nccl_comm *self, ncclResult_t result, const char *call) {
  char words[200], text[300];
  last_words(self, words, sizeof words);
  snprintf(text, sizeof text, "%s%s", ncclGetErrorString(result), words);
  for (double since = nccl_now();
       result == ncclRemoteError && !has_lost(self) && nccl_now() - since < LAST_BREATH_SECONDS;)
    pause_for(PAUSE_SECONDS);
  if (result == ncclRemoteError || has_lost(self)) return fail_missing(self, text);
  drop(self);
  return nccl_fail(DN_EDEVICE, "rank %d of %d: %s failed in %s: %s", self->head.rank,
                   self->head.size, nccl_name(), call, text);
}

/* ---- Waiting ---- */

/* Of the call that was in progress. */
static ncclResult_t ask(const nccl_comm *self) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(self->comm, &state);
  return result == ncclSuccess ? state : result;
}

static void rest(double since) {
  if (nccl_now() - since > SPIN_SECONDS)
    pause_for(PAUSE_SECONDS);
  else
    (void)sched_yield();
}

/* A peer that has ended and stays missed: what it did last may still be on its way. */
static bool is_missed(nccl_comm *self) {
  if (!has_lost(self))
    self->missing_since = 0;
  else if (self->missing_since == 0)
    self->missing_since = nccl_now();
  return self->missing_since > 0 && nccl_now() - self->missing_since > GRACE_SECONDS;
}

dn_status nccl_wait_call(nccl_comm *self, ncclResult_t result, const char *call) {
  const double since = nccl_now();
  for (double looked = since; result == ncclInProgress; result = ask(self)) {
    const double now = nccl_now();
    if (now - since > self->head.timeout_seconds) return fail_silent(self);
    if (now - looked > WATCH_SECONDS) {
      if (is_missed(self)) return fail_missing(self, "its part in a call is missing");
      looked = now;
    }
    rest(since);
  }
  return result == ncclSuccess ? DN_OK : fail_call(self, result, call);
}

bool nccl_wait_quietly(nccl_comm *self, ncclResult_t result, double seconds) {
  const double since = nccl_now();
  for (; result == ncclInProgress && nccl_now() - since < seconds; result = ask(self)) rest(since);
  return result == ncclSuccess;
}

/* ---- Work on the GPU ---- */

static dn_status is_passed(cudaEvent_t event, bool *passed) {
  const cudaError_t error = cudaEventQuery(event);
  *passed = error == cudaSuccess;
  if (error != cudaErrorNotReady) return cuda_check(error, "cudaEventQuery");
  (void)cudaGetLastError();
  return DN_OK;
}

dn_status nccl_wait_probe(nccl_comm *self, bool is_new) {
  bool is_probed = false;
  if (self->is_probing) DN_TRY(is_passed(self->probe, &is_probed));
  if (is_probed) self->is_probing = false;
  if (is_probed) self->progress_since = nccl_now();
  if (!is_new || self->is_probing) return DN_OK;
  CUDA_TRY(cudaEventRecord(self->probe, self->side));
  self->is_probing = true;
  return DN_OK;
}

dn_status nccl_wait_check(nccl_comm *self) {
  bool is_done = false;
  const ncclResult_t state = ask(self);
  if (state != ncclSuccess && state != ncclInProgress)
    return fail_call(self, state, "a collective");
  DN_TRY(nccl_wait_probe(self, false));
  DN_TRY(is_passed(self->done, &is_done));
  if (is_done) {
    self->progress_since = nccl_now();
    self->missing_since = 0;
    return DN_OK;
  }
  if (is_missed(self)) return fail_missing(self, "its part in a collective is missing");
  if (nccl_now() - self->progress_since > self->head.timeout_seconds) return fail_silent(self);
  return DN_OK;
}
