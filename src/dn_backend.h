/*
** Private to the library: what a backend provides. One slot per operation of dn_ops.def, filled
** with functions that trust their arguments, because the front door (dn_ops) has checked them:
** shapes, dtypes, devices, ranges and aliasing. So every backend gives the same errors.
**
** "cpu" has every operation; another backend may leave the slot of one that it does not have yet NULL,
** and the front door says so (DN_EDEVICE). All other slots are filled.
*/
#ifndef DN_BACKEND_H
#define DN_BACKEND_H

#include "dn_graph.h"
#include "dn_ops.h"

typedef dn_status dn_device_check(dn_device *device);

typedef struct dn_backend {
  const char *name;

  /*
  ** *block: n_bytes (0 or more) aligned to 64 bytes. Returns DN_ENOMEM, which the caller puts into
  ** words, or DN_EDEVICE. memory_free is told the same n_bytes and waits for nothing.
  */
  dn_status (*memory_new)(dn_device *device, int64_t n_bytes, void **block);
  void (*memory_free)(dn_device *device, void *block, int64_t n_bytes);
  /* Bytes taken from the system, free blocks that are kept included; live: those in use. */
  int64_t (*memory_reserved)(dn_device *device, int64_t live);
  /* Gives kept free blocks back to the system. */
  void (*memory_trim)(dn_device *device);

  /* Host memory from which this device can copy while the host goes on. Results as memory_new's. */
  dn_status (*pinned_new)(dn_device *device, int64_t n_bytes, void **block);
  void (*pinned_free)(dn_device *device, void *block, int64_t n_bytes);

  /*
  ** Bytes between host and device, behind the operations called before; done on return. download
  ** also returns what operations found wrong with values they met (dn_ops.h, "late errors").
  */
  dn_status (*upload)(dn_device *device, void *to, const void *from, int64_t n_bytes);
  dn_status (*download)(dn_device *device, void *to, const void *from, int64_t n_bytes);
  /* Bytes between two devices of this backend, or within one; behind what was called on either. */
  dn_status (*transfer)(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                        int64_t n_bytes);

  /*
  ** From pinned memory, on the side: starts when the operations called before are done, and runs
  ** beside those called later. upload_join makes later operations wait for all copies so started,
  ** and returns at once; upload_wait waits itself, after which the pinned memory may be written.
  */
  dn_status (*upload_async)(dn_device *device, void *to, const void *from, int64_t n_bytes);
  dn_status (*upload_join)(dn_device *device);
  dn_status (*upload_wait)(dn_device *device);

  /*
  ** Captured steps (dn_graph.h); all NULL where it has none. graph_begin makes the graph, graph_free
  ** takes it away; n_nodes is set by a graph_end that keeps.
  */
  dn_status (*graph_begin)(dn_device *device, dn_graph **graph);
  dn_status (*graph_end)(dn_graph *graph, bool keeps);
  dn_status (*graph_launch)(dn_graph *graph);
  dn_status (*graph_numbers)(dn_graph *graph, int first, int n, const double *values);
  dn_status (*graph_fetch)(dn_graph *graph, const dn_tensor *x, int *place);
  dn_status (*graph_read)(dn_graph *graph, int place, int n, double *values);
  void (*graph_free)(dn_graph *graph);

  /* Waits for everything called before; returns late errors and failures of the device. */
  dn_status (*synchronize)(dn_device *device);

  /*
  ** For engines that join ranks (dn_comm.h) and have work of their own for the device; NULL where it has
  ** no queue. queue_enter makes the device this thread's current one, locks it until queue_leave, and
  ** gives what operations are queued on (a cudaStream_t); where it returns DN_EDEVICE, there is
  ** nothing to leave. After watch(check) the host, while it waits for the device, calls check every
  ** 100 ms; when that fails, so does the wait, with its status and sentence. NULL ends it.
  */
  dn_status (*queue_enter)(dn_device *device, void **queue);
  void (*queue_leave)(dn_device *device);
  void (*watch)(dn_device *device, dn_device_check *check);

  dn_status (*describe)(dn_device *device, dn_device_info *info);

  /* dn_device_tf32; DN_EDEVICE where `on` cannot be had. */
  dn_status (*tf32)(dn_device *device, bool on);

  /* dn_weights_narrow; NULL: nothing is gained by it. */
  dn_status (*weights_narrow)(dn_tensor *weights, dn_tensor *narrow);

  /* dn_takes_transition; NULL: no. */
  bool (*takes_transition)(const dn_tensor *x, const dn_tensor *weight);

  /* Scratch: given back; and the most that operations on this plan device would have taken. */
  void (*scratch_release)(dn_device *device);
  int64_t (*scratch_planned)(dn_device *device, bool resets);

  /* dn_device_peak; NULL: nobody has measured. */
  double (*peak)(dn_dtype dtype);

  /* dn_device_testing; NULL: it has no test hooks. */
  bool (*testing)(dn_device *device, const char *hook, int64_t value, const char **answer);

#define DN_OP(name, parameters, arguments, roles, traits) dn_status(*name) parameters;
#include "dn_ops.def"
} dn_backend;

extern const dn_backend dn_cpu_backend, dn_plan_backend;

#endif
