/*
** The table of the backend, and this object's one entry. Every operation is called with its device
** current and locked, so that what it enqueues stands together on the stream.
*/
#include "cuda_backend.h"

#include "cuda_copy.h"
#include "cuda_graph.h"
#include "cuda_host.h"
#include "cuda_narrow.h"
#include "cuda_plan.h"
#include "cuda_testing.h"
#include "cuda_transition_fused.h"
#include "cuda_wait.h"

/* The device of a call: its first argument is a tensor. */
static dn_device *device_of(const dn_tensor *first, ...) { return first->storage->device; }

#define WRITTEN(name) cuda_narrow_written(name);
#define WRITTEN_IF(name) WRITTEN(name)
#define ADDED(name) WRITTEN(name)
#define ADDED_IF(name) WRITTEN(name)
#define DN_OP(name, parameters, arguments, roles, traits)      \
  static dn_status run_##name parameters {                     \
    DN_TRY(cuda_enter(device_of arguments));                   \
    cuda_current()->sequence++;                                \
    dn_status status = DN_OK;                                  \
    if (cuda_current()->capturing) {                           \
      status = cuda_graph_check_thread();                      \
      if (status == DN_OK) status = cuda_graph_note arguments; \
    }                                                          \
    roles if (status == DN_OK) status = cuda_##name arguments; \
    cuda_leave();                                              \
    return status;                                             \
  }
#include "../src/dn_ops.def"

static bool cuda_takes_transition(const dn_tensor *x, const dn_tensor *weight) {
  if (cuda_enter(x->storage->device) != DN_OK) return false;
  const bool takes = cuda_transition_fits(x, weight);
  cuda_leave();
  return takes;
}

/* In the order of dn_backend. */
static const dn_backend backend = {
    "cuda",
    cuda_memory_new,
    cuda_memory_free,
    cuda_memory_reserved,
    cuda_memory_trim,
    cuda_pinned_new,
    cuda_pinned_free,
    cuda_upload,
    cuda_download,
    cuda_transfer,
    cuda_upload_async,
    cuda_upload_join,
    cuda_upload_wait,
    cuda_graph_begin,
    cuda_graph_end,
    cuda_graph_launch,
    cuda_graph_numbers,
    cuda_graph_fetch,
    cuda_graph_read,
    cuda_graph_free,
    cuda_synchronize,
    cuda_queue_enter,
    cuda_queue_leave,
    cuda_watch,
    cuda_describe,
    cuda_tf32,
    cuda_weights_narrow,
    cuda_takes_transition,
    cuda_scratch_release,
    cuda_scratch_planned,
    NULL, /* peak */
    cuda_testing,
#define DN_OP(name, parameters, arguments, roles, traits) cuda_##name ? run_##name : NULL,
#include "../src/dn_ops.def"
};

extern "C" __attribute__((visibility("default"))) dn_status dn_plugin_open(
    const dn_plugin_host *host, dn_plugin *plugin) {
  /* Of another build, the table may not even have the function to say so with. */
  if (!cuda_host_set(host)) return DN_EDEVICE;
  plugin->backend = &backend;
  plugin->plan_backend = &cuda_plan_backend;
  plugin->device_open = cuda_device_open;
  plugin->device_count = cuda_device_count;
  return DN_OK;
}
