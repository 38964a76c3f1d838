/*
** Ranks are processes that train together; a communicator joins them. What moves bytes between them is an
** engine: a shared object beside core.so, NAME.so, loaded when it is first asked for, so that the library
** builds and works without any. "mpi" (src/mpi) is there for CPUs, "nccl" (cuda/) for GPUs.
**
** This file is what an engine's object is compiled against, and what the library calls (dn_comm.c, which
** checks the arguments). Promises that hold for every engine:
**
** Same calls.  All ranks of a communicator make the same calls in the same order, with the same shapes and
**   dtypes. An engine need not notice where they do not; it then may time out.
** Size 1.  A communicator of one rank takes part in nothing: every call returns DN_OK at once and leaves
**   its tensors as they are (all_gather copies). dn_comm.c sees to it. An engine is opened for it only where a caller
**   names one, to try that engine; then it is called as with more ranks.
**   Tensors of a device that only plans (dn_plan.h) and empty ones are left alone likewise, on every rank.
** Order.  A call works behind every operation called before on the device of its tensors, and operations
**   called after it see its result; whether the host waits is the engine's choice. all_reduce_start is
**   the exception: its tensor is neither read nor written by others until all_reduce_join.
** Same bits.  After all_reduce and all_gather all ranks hold the same bits. The same call on as many ranks
**   gives the same bits again. mpi adds in the order of ranks, so there the bits do not depend on how a
**   vector is cut into calls either; nccl promises nothing about that.
** Failure.  A call that cannot be completed returns DN_EDEVICE with a sentence that begins "rank 1 of 4: "
**   and names the other rank where that can be known: "rank 3 does not answer any more" after
**   timeout_seconds without progress, "rank 3 has ended" when it closed or died. From then on the
**   communicator is broken (dn_comm.is_broken, set by the engine): each later call but close and abort
**   returns the same kind of error at once, and nobody waits for the missing rank again.
** Threads.  A communicator is used by one thread at a time; mpi's by the thread that opened the first.
*/
#ifndef DN_COMM_H
#define DN_COMM_H

#include <stdarg.h>

#include "dn_tensor.h"

typedef struct dn_comm dn_comm;
typedef struct dn_comm_engine dn_comm_engine;

/* A mean is a sum divided by the number of ranks, which is for the caller to do. */
typedef enum dn_comm_op { DN_COMM_SUM, DN_COMM_MAX } dn_comm_op;

/* Where a rank stands. The engine copies what it keeps. */
typedef struct dn_comm_place {
  int rank, size;    /* 0 <= rank < size */
  dn_device *device; /* of the tensors to come; nccl: a GPU of this process alone */
  /* What rank 0's (or the launcher's) rendezvous() gave, the same bytes on every rank; n 0: none. */
  const void *rendezvous;
  size_t n_rendezvous;
  double timeout_seconds; /* the longest wait for another rank; above 0 */
} dn_comm_place;

/* The head of every communicator; engines put it first in a struct of their own. */
struct dn_comm {
  const dn_comm_engine *engine;
  int rank, size;
  dn_device *device;
  double timeout_seconds;
  bool is_broken;
  /* Counted by dn_comm.c: calls, bytes of their tensors, and seconds that the host spent in them. */
  int64_t n_calls, n_bytes;
  double seconds;
};

struct dn_comm_engine {
  const char *name;
  /* The library that it was compiled against, as "Open MPI 4.1.4" or "NCCL 2.28.9". */
  const char *built_with;

  /*
  ** The bytes that all ranks must share before they open a communicator: at most `room` of them into
  ** `bytes`, how many into *n (0: this engine needs none). Called by one process for all.
  */
  dn_status (*rendezvous)(void *bytes, size_t room, size_t *n);

  /* All ranks call it together. *comm: head filled, counters 0. DN_EDEVICE, DN_ENOMEM; *comm NULL then. */
  dn_status (*open)(const dn_comm_place *place, dn_comm **comm);

  /*
  ** x, contiguous, becomes the sum (or the largest) of all ranks' x, element by element. Sums: float,
  ** double, half, bfloat16 (both in float, rounded once, or as the engine's library does), long. Maxima: the same; a NaN
  ** in any of them is a NaN in the result.
  */
  dn_status (*all_reduce)(dn_comm *comm, dn_tensor *x, dn_comm_op op);

  /*
  ** The same on the side, behind what was called on the device before. The engine holds what it needs of
  ** x (a reference to the storage is the caller's to keep). Any number may be under way; they are done in
  ** the order in which they were started.
  */
  dn_status (*all_reduce_start)(dn_comm *comm, dn_tensor *x, dn_comm_op op);

  /* Operations called from here on see the results of all that were started. */
  dn_status (*all_reduce_join)(dn_comm *comm);

  /* all: size times the elements of x, contiguous, rank 0's first; x is not part of it. */
  dn_status (*all_gather)(dn_comm *comm, dn_tensor *all, const dn_tensor *x);

  /* x of every rank becomes that of `root`. Any dtype, contiguous. */
  dn_status (*broadcast)(dn_comm *comm, dn_tensor *x, int root);

  /*
  ** Is all well, as far as is known here? Waits for nothing; also lets what was started go on, where that
  ** takes the host's help. DN_EDEVICE as above.
  */
  dn_status (*check)(dn_comm *comm);

  /*
  ** This rank leaves: others that still wait for it hear that it has ended. Waits for nothing that is left
  ** undone. The engine frees the communicator. Graphs that hold its calls have been given back before.
  */
  void (*close)(dn_comm *comm);

  /*
  ** This rank has failed: as close, but others hear `why` (a sentence, or NULL) where the engine can tell
  ** it, and what is under way is dropped.
  */
  void (*abort)(dn_comm *comm, const char *why);
};

/* What the library hands the object when it opens it; functions as those of the same name with dn_. */
typedef struct dn_comm_host {
  size_t n_bytes; /* of this struct: an object of another build is refused */
  dn_status (*error_list)(dn_status status, int argument, const char *format, va_list list);
  const char *(*error_message)(void);
  dn_status (*alloc)(dn_device *device, int64_t n_bytes, void **block);
  void (*free)(dn_device *device, void *block, int64_t n_bytes);
  /* dn_report's, for what an engine learns while nobody has called it (dn_backend.h, watch). */
  void (*report)(const char *line);
} dn_comm_host;

/* The object's one entry. Returns DN_EDEVICE. */
#define DN_COMM_ENTRY "dn_comm_engine_open"
typedef dn_status dn_comm_entry(const dn_comm_host *host, const dn_comm_engine **engine);

/* ---- What the library's users call; arguments are checked, errors as above and DN_EARG ---- */

/* The engine called `name`, loaded. DN_EDEVICE where NAME.so is not there, DN_EARG for another word. */
dn_status dn_comm_engine_find(const char *name, const dn_comm_engine **engine);

/* engine NULL: place->size is 1, and nothing is done. */
dn_status dn_comm_open(const dn_comm_engine *engine, const dn_comm_place *place, dn_comm **comm);

dn_status dn_comm_all_reduce(dn_comm *comm, dn_tensor *x, dn_comm_op op);
dn_status dn_comm_all_reduce_start(dn_comm *comm, dn_tensor *x, dn_comm_op op);
dn_status dn_comm_all_reduce_join(dn_comm *comm);
dn_status dn_comm_all_gather(dn_comm *comm, dn_tensor *all, const dn_tensor *x);
dn_status dn_comm_broadcast(dn_comm *comm, dn_tensor *x, int root);
dn_status dn_comm_check(dn_comm *comm);

/*
** The CRC-32 (as zlib's) of a tensor's elements, row by row, going on from `before`; 0 begins. x is
** contiguous and in host memory. DN_EARG.
*/
dn_status dn_comm_checksum(const dn_tensor *x, uint32_t before, uint32_t *sum);

/* NULL is ignored. */
void dn_comm_close(dn_comm *comm);
void dn_comm_abort(dn_comm *comm, const char *why);

#endif
