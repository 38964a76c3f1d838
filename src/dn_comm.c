#define _POSIX_C_SOURCE 200809L
#include "dn_comm.h"

#include <string.h>
#include <time.h>
#include <zlib.h>

#include "dn_plugin.h"
#include "dn_report.h"

enum { MOST_AT_ONCE = 1 << 30 }; /* bytes that zlib is given in one call */

/* ---- Engines ---- */

static const dn_comm_host host = {
    .n_bytes = sizeof(dn_comm_host),
    .error_list = dn_error_list,
    .error_message = dn_error_message,
    .alloc = dn_alloc,
    .free = dn_free,
    .report = dn_report,
};

static struct {
  const char *name, *title, *why_missing;
  const dn_comm_engine *engine;
} engines[] = {{"mpi", "MPI", "make builds it where it finds mpicc", NULL},
               {"nccl", "NCCL", "make builds it where it finds nvcc and nccl.h", NULL}};

enum { N_ENGINES = sizeof engines / sizeof engines[0] };

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static dn_status load(int i) {
  dn_comm_entry *entry = NULL;
  void *symbol = NULL;
  DN_TRY(dn_plugin_symbol(engines[i].name, engines[i].title, engines[i].why_missing, DN_COMM_ENTRY,
                          &symbol));
  memcpy(&entry, &symbol, sizeof entry);
  return entry(&host, &engines[i].engine);
}

dn_status dn_comm_engine_find(const char *name, const dn_comm_engine **engine) {
  for (int i = 0; i < N_ENGINES; i++) {
    if (strcmp(engines[i].name, name) != 0) continue;
    pthread_mutex_lock(&loading);
    const dn_status status = engines[i].engine ? DN_OK : load(i);
    *engine = engines[i].engine;
    pthread_mutex_unlock(&loading);
    return status;
  }
  return dn_error_argument(1, "unknown engine '%s'; expected 'mpi' or 'nccl'", name);
}

/* ---- Communicators ---- */

/* Nothing is to be done: alone, no elements, or on a device that only plans. */
static bool is_idle(const dn_comm *comm, const dn_tensor *x) {
  return !comm->engine || dn_tensor_count(x) == 0 || !x->storage->device->has_values;
}

dn_status dn_comm_open(const dn_comm_engine *engine, const dn_comm_place *place, dn_comm **comm) {
  *comm = NULL;
  if (place->size < 1 || place->rank < 0 || place->rank >= place->size)
    return dn_error(DN_EARG, "rank %d of %d: ranks count from 0 and are fewer than the size",
                    place->rank, place->size);
  if (!(place->timeout_seconds > 0))
    return dn_error(DN_EARG, "timeout %g s: more than 0 expected", place->timeout_seconds);
  if (engine) return engine->open(place, comm);
  if (place->size > 1)
    return dn_error(DN_EARG, "%d ranks need an engine, 'mpi' or 'nccl'", place->size);
  void *block = NULL;
  DN_TRY(dn_alloc(dn_device_cpu(), (int64_t)sizeof(dn_comm), &block));
  *comm = block;
  memset(*comm, 0, sizeof **comm);
  (*comm)->size = 1;
  (*comm)->device = place->device;
  (*comm)->timeout_seconds = place->timeout_seconds;
  return DN_OK;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static dn_status check_tensor(const dn_comm *comm, int argument, const dn_tensor *x) {
  char shape[DN_SHAPE_TEXT];
  if (!dn_tensor_is_contiguous(x))
    return dn_error_argument(argument, "a contiguous tensor expected, got a view of %s that is not",
                             dn_tensor_shape_text(x, shape));
  if (x->storage->device->has_values && x->storage->device != comm->device)
    return dn_error_argument(argument,
                             "a tensor on %s expected, where the communicator is; got one on %s",
                             comm->device->name, x->storage->device->name);
  return DN_OK;
}

static dn_status check_reduced(const dn_comm *comm, const dn_tensor *x) {
  DN_TRY(check_tensor(comm, 2, x));
  if (x->dtype == DN_BYTE)
    return dn_error_argument(2, "sums and maxima are of real and long tensors, got a byte tensor");
  return DN_OK;
}

static dn_status check_whole(const dn_comm *comm) {
  if (!comm->is_broken) return DN_OK;
  return dn_error(DN_EDEVICE, "rank %d of %d: the communicator has failed before", comm->rank,
                  comm->size);
}

/* A call of n_bytes begins; returns when. */
static double begin(dn_comm *comm, const dn_tensor *x) {
  comm->n_calls++;
  if (x) comm->n_bytes += dn_tensor_count(x) * (int64_t)dn_dtype_size(x->dtype);
  return now();
}

static dn_status end(dn_comm *comm, double since, dn_status status) {
  comm->seconds += now() - since;
  if (comm->is_broken) dn_report("follows");
  return status;
}

/* Runs `call` and counts it. */
#define COUNTED(comm, x, call)               \
  do {                                       \
    DN_TRY(check_whole(comm));               \
    const double since = begin((comm), (x)); \
    return end((comm), since, (call));       \
  } while (0)

dn_status dn_comm_all_reduce(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  DN_TRY(check_reduced(comm, x));
  if (is_idle(comm, x)) return DN_OK;
  dn_storage_written(x->storage);
  COUNTED(comm, x, comm->engine->all_reduce(comm, x, op));
}

dn_status dn_comm_all_reduce_start(dn_comm *comm, dn_tensor *x, dn_comm_op op) {
  DN_TRY(check_reduced(comm, x));
  if (is_idle(comm, x)) return DN_OK;
  dn_storage_written(x->storage);
  COUNTED(comm, x, comm->engine->all_reduce_start(comm, x, op));
}

dn_status dn_comm_all_reduce_join(dn_comm *comm) {
  if (!comm->engine) return DN_OK;
  dn_storage_all_written(); /* what was started is done now; only the engine knows where */
  COUNTED(comm, NULL, comm->engine->all_reduce_join(comm));
}

dn_status dn_comm_all_gather(dn_comm *comm, dn_tensor *all, const dn_tensor *x) {
  DN_TRY(check_tensor(comm, 2, all));
  DN_TRY(check_tensor(comm, 3, x));
  const int64_t n = dn_tensor_count(x);
  if (all->dtype != x->dtype)
    return dn_error_argument(2, "a %s tensor expected, as what is gathered, got a %s tensor",
                             dn_dtype_name(x->dtype), dn_dtype_name(all->dtype));
  if (dn_tensor_count(all) != n * comm->size)
    return dn_error_argument(2, "%lld elements expected, %d times %lld, got %lld",
                             (long long)n * comm->size, comm->size, (long long)n,
                             (long long)dn_tensor_count(all));
  if (n == 0 || !x->storage->device->has_values) return DN_OK;
  if (dn_tensor_overlaps(all, x)) return dn_error_argument(2, "it overlaps what is gathered");
  if (!comm->engine) {
    dn_tensor same;
    DN_TRY(dn_tensor_view(all, x->n_dim, x->size, &same));
    const dn_status status = dn_copy(&same, x);
    dn_tensor_free(&same);
    return status;
  }
  dn_storage_written(all->storage);
  COUNTED(comm, x, comm->engine->all_gather(comm, all, x));
}

dn_status dn_comm_broadcast(dn_comm *comm, dn_tensor *x, int root) {
  DN_TRY(check_tensor(comm, 2, x));
  if (root < 0 || root >= comm->size)
    return dn_error_argument(3, "a rank from 0 to %d expected, got %d", comm->size - 1, root);
  if (is_idle(comm, x)) return DN_OK;
  dn_storage_written(x->storage);
  COUNTED(comm, x, comm->engine->broadcast(comm, x, root));
}

dn_status dn_comm_check(dn_comm *comm) {
  if (!comm->engine) return DN_OK;
  DN_TRY(check_whole(comm));
  const dn_status status = comm->engine->check(comm);
  if (comm->is_broken) dn_report("follows");
  return status;
}

dn_status dn_comm_checksum(const dn_tensor *x, uint32_t before, uint32_t *sum) {
  if (!dn_tensor_is_contiguous(x) || x->storage->device != dn_device_cpu())
    return dn_error_argument(1, "a contiguous tensor on the CPU expected");
  const Bytef *bytes = dn_tensor_data(x);
  int64_t n_left = dn_tensor_count(x) * (int64_t)dn_dtype_size(x->dtype);
  uLong crc = before;
  while (n_left > 0) {
    const uInt n = n_left < MOST_AT_ONCE ? (uInt)n_left : MOST_AT_ONCE;
    crc = crc32(crc, bytes, n);
    bytes += n;
    n_left -= n;
  }
  *sum = (uint32_t)crc;
  return DN_OK;
}

void dn_comm_close(dn_comm *comm) {
  if (!comm) return;
  if (comm->engine)
    comm->engine->close(comm);
  else
    dn_free(dn_device_cpu(), comm, (int64_t)sizeof *comm);
}

void dn_comm_abort(dn_comm *comm, const char *why) {
  if (comm && comm->engine)
    comm->engine->abort(comm, why);
  else
    dn_comm_close(comm);
}
