/*
** The engine "nccl" (dn_comm.h) as the library sees it, and the list of open communicators, which whoever
** waits for a GPU asks about.
*/
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "nccl_comm.h"
#include "nccl_wait.h"

static dn_comm_engine engine;

/* Held in every call; a thread that waits for the GPU meanwhile asks another time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static nccl_comm *all_comms;

/* dn_device_check: of all communicators on the device. */
static dn_status check_device(dn_device *device) {
  dn_status status = DN_OK;
  if (pthread_mutex_trylock(&lock) != 0) return DN_OK;
  for (nccl_comm *each = all_comms; each && status == DN_OK; each = each->other)
    if (each->head.device == device && !each->head.is_broken) status = nccl_wait_check(each);
  pthread_mutex_unlock(&lock);
  return status;
}

static void list(nccl_comm *self) {
  pthread_mutex_lock(&lock);
  self->other = all_comms;
  all_comms = self;
  pthread_mutex_unlock(&lock);
  self->head.device->backend->watch(self->head.device, check_device);
}

static void unlist(const nccl_comm *self) {
  bool is_last = true;
  pthread_mutex_lock(&lock);
  for (nccl_comm **at = &all_comms; *at;) {
    if (*at == self) {
      *at = (*at)->other;
      continue;
    }
    is_last = is_last && (*at)->head.device != self->head.device;
    at = &(*at)->other;
  }
  pthread_mutex_unlock(&lock);
  if (is_last) self->head.device->backend->watch(self->head.device, NULL);
}

static dn_status unlock(dn_status status) {
  pthread_mutex_unlock(&lock);
  return status;
}

/* ---- The engine's calls ---- */

static dn_status rendezvous(void *bytes, size_t room, size_t *n) {
  ncclUniqueId id;
  if (room < sizeof id)
    return nccl_fail(DN_EARG, "room for %zu bytes expected, got %zu", sizeof id, room);
  const ncclResult_t result = ncclGetUniqueId(&id);
  if (result != ncclSuccess)
    return nccl_fail(DN_EDEVICE, "%s failed in ncclGetUniqueId: %s", nccl_name(),
                     ncclGetErrorString(result));
  memcpy(bytes, &id, sizeof id);
  *n = sizeof id;
  return DN_OK;
}

/* What all ranks were given; or what each gets alone, where the user says at which address all meet. */
static dn_status find_id(const dn_comm_place *place, ncclUniqueId *id) {
  size_t n = 0;
  if (place->n_rendezvous == 0 && getenv("NCCL_COMM_ID")) return rendezvous(id, sizeof *id, &n);
  if (place->n_rendezvous != sizeof *id)
    return nccl_fail(DN_EARG,
                     "rank %d of %d: %zu bytes by which ranks find each other expected, as "
                     "rendezvous gives them on one of them, got %zu",
                     place->rank, place->size, sizeof *id, place->n_rendezvous);
  memcpy(id, place->rendezvous, sizeof *id);
  return DN_OK;
}

/* Also the first collective, for which NCCL makes its connections. */
static dn_status exchange_peers(nccl_comm *self, void *all, void *own) {
  dn_device *device = self->head.device;
  const nccl_peer known = nccl_peer_self();
  const int64_t n_bytes = self->head.size * (int64_t)sizeof(nccl_peer);
  void *peers = NULL;
  DN_TRY(device->backend->upload(device, own, &known, (int64_t)sizeof known));
  pthread_mutex_lock(&lock);
  DN_TRY(unlock(
      nccl_comm_gather_plain(self, all, own, (int64_t)(sizeof known / sizeof(int64_t)), DN_LONG)));
  DN_TRY(nccl_alloc(device->host, n_bytes, &peers));
  const dn_status status = device->backend->download(device, peers, all, n_bytes);
  pthread_mutex_lock(&lock);
  if (status == DN_OK)
    self->peers = (nccl_peer *)peers;
  else
    nccl_free(device->host, peers, n_bytes);
  return unlock(status);
}

static dn_status find_peers(nccl_comm *self) {
  dn_device *device = self->head.device;
  const int64_t n_all = self->head.size * (int64_t)sizeof(nccl_peer);
  void *all = NULL, *own = NULL;
  dn_status status = nccl_alloc(device, n_all, &all);
  if (status == DN_OK) status = nccl_alloc(device, (int64_t)sizeof(nccl_peer), &own);
  if (status == DN_OK) status = exchange_peers(self, all, own);
  nccl_free(device, own, (int64_t)sizeof(nccl_peer));
  nccl_free(device, all, n_all);
  return status;
}

static dn_status nccl_open(const dn_comm_place *place, dn_comm **comm) {
  dn_device *device = place->device;
  ncclUniqueId id;
  void *block = NULL;
  *comm = NULL;
  if (!device->backend->queue_enter)
    return nccl_fail(DN_EARG, "NCCL joins GPUs, and rank %d of %d is on %s", place->rank,
                     place->size, device->name);
  DN_TRY(find_id(place, &id));
  DN_TRY(nccl_alloc(device->host, (int64_t)sizeof(nccl_comm), &block));
  memset(block, 0, sizeof(nccl_comm));
  nccl_comm *self = (nccl_comm *)block;
  self->head.engine = &engine;
  self->head.rank = place->rank;
  self->head.size = place->size;
  self->head.device = device;
  self->head.timeout_seconds = place->timeout_seconds;
  dn_status status = nccl_comm_open(self, &id);
  if (status == DN_OK) {
    list(self);
    status = find_peers(self);
    if (status != DN_OK) unlist(self);
  }
  if (status != DN_OK) {
    nccl_comm_free(self, false);
    return status;
  }
  *comm = &self->head;
  return DN_OK;
}

static dn_status all_reduce_start(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  pthread_mutex_lock(&lock);
  return unlock(nccl_comm_reduce((nccl_comm *)comm, x, op));
}

static dn_status all_reduce_join(dn_comm *comm) {
  pthread_mutex_lock(&lock);
  return unlock(nccl_comm_join((nccl_comm *)comm));
}

static dn_status all_reduce(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  DN_TRY(all_reduce_start(comm, x, op));
  return all_reduce_join(comm);
}

static dn_status all_gather(dn_comm *comm, dn_tensor *all, const dn_tensor *x) {
  pthread_mutex_lock(&lock);
  return unlock(nccl_comm_gather((nccl_comm *)comm, all, x));
}

static dn_status broadcast(dn_comm *comm, dn_tensor *x, int root) {
  pthread_mutex_lock(&lock);
  return unlock(nccl_comm_broadcast((nccl_comm *)comm, x, root));
}

static dn_status check(dn_comm *comm) {
  pthread_mutex_lock(&lock);
  return unlock(nccl_wait_check((nccl_comm *)comm));
}

static void nccl_close(dn_comm *comm) {
  unlist((nccl_comm *)comm);
  nccl_comm_free((nccl_comm *)comm, true);
}

/* NCCL has no words for others. */
static void nccl_abort(dn_comm *comm, const char *why) {
  (void)why;
  unlist((nccl_comm *)comm);
  nccl_comm_free((nccl_comm *)comm, false);
}

/* "NCCL 2.28.9", and the library that is loaded where it is another one. */
static const char *describe_build(void) {
  static char text[80];
  char built[32];
  snprintf(built, sizeof built, "NCCL %d.%d.%d", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH);
  const bool is_same = strcmp(built, nccl_name()) == 0;
  snprintf(text, sizeof text, "%s%s%s%s", built,
           is_same ? "" : " (loaded: ", is_same ? "" : nccl_name(), is_same ? "" : ")");
  return text;
}

extern "C" __attribute__((visibility("default"))) dn_status dn_comm_engine_open(
    const dn_comm_host *given, const dn_comm_engine **opened) {
  if (!nccl_host_set(given))
    return nccl_fail(DN_EDEVICE, "no NCCL: nccl.so is of another version of densenet");
  engine.name = "nccl";
  engine.built_with = describe_build();
  engine.rendezvous = rendezvous;
  engine.open = nccl_open;
  engine.all_reduce = all_reduce;
  engine.all_reduce_start = all_reduce_start;
  engine.all_reduce_join = all_reduce_join;
  engine.all_gather = all_gather;
  engine.broadcast = broadcast;
  engine.check = check;
  engine.close = nccl_close;
  engine.abort = nccl_abort;
  *opened = &engine;
  return DN_OK;
}
