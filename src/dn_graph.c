#include "dn_graph.h"

#include <inttypes.h>

#include "dn_backend.h"

static const dn_graph *open_on(const dn_device *device) {
  return __atomic_load_n(&device->capturing, __ATOMIC_ACQUIRE);
}

static void set_open(dn_device *device, dn_graph *graph) {
  __atomic_store_n(&device->capturing, graph, __ATOMIC_RELEASE);
}

dn_status dn_graph_refuse(const dn_device *device, const char *what) {
  if (!open_on(device)) return DN_OK;
  return dn_error(DN_EARG,
                  "bad step: '%s' waits for %s, and a captured step must not (return the tensor "
                  "from the step, and read it from step:results() afterwards)",
                  what, device->name);
}

bool dn_graph_is_possible(const dn_device *device) { return device->backend->graph_begin != NULL; }

dn_status dn_graph_begin(dn_device *device, dn_graph **graph) {
  *graph = NULL;
  if (!dn_graph_is_possible(device))
    return dn_error(DN_EDEVICE, "%s captures no steps", device->name);
  if (open_on(device))
    return dn_error(DN_EARG, "bad step: one is being captured on %s already", device->name);
  DN_TRY(device->backend->graph_begin(device, graph));
  set_open(device, *graph);
  return DN_OK;
}

dn_status dn_graph_end(dn_graph *graph, bool keeps) {
  if (open_on(graph->device) != graph)
    return dn_error(DN_EARG, "bad graph: it is not being captured");
  set_open(graph->device, NULL);
  return graph->device->backend->graph_end(graph, keeps);
}

static dn_status check_captured(const dn_graph *graph) {
  if (graph->n_nodes > 0) return dn_graph_refuse(graph->device, "launch of a graph");
  return dn_error(DN_EARG, "bad graph: nothing has been captured with it");
}

dn_status dn_graph_launch(dn_graph *graph) {
  DN_TRY(check_captured(graph));
  dn_storage_all_written(); /* what it writes nobody tells again */
  return graph->device->backend->graph_launch(graph);
}

dn_status dn_graph_numbers(dn_graph *graph, int first, int n, const double *values) {
  if (first < 0 || n < 0 || n > DN_GRAPH_NUMBERS - first)
    return dn_error(DN_EARG, "bad graph: it has numbers 1 to %d, got %d to %d", DN_GRAPH_NUMBERS,
                    first + 1, first + n);
  DN_TRY(dn_graph_refuse(graph->device, "setting numbers"));
  return n == 0 ? DN_OK : graph->device->backend->graph_numbers(graph, first, n, values);
}

dn_status dn_graph_fetch(dn_graph *graph, const dn_tensor *x, int *place) {
  const int64_t n = dn_tensor_count(x);
  if (x->storage->device != graph->device || x->dtype != DN_DOUBLE || n < 1 ||
      n > DN_GRAPH_NUMBERS || !dn_tensor_is_contiguous(x))
    return dn_error(
        DN_EARG, "bad results: expected 1 to %d doubles in a row on %s, got %" PRId64 " %s on %s",
        DN_GRAPH_NUMBERS, graph->device->name, n, dn_dtype_name(x->dtype),
        x->storage->device->name);
  DN_TRY(dn_graph_refuse(graph->device, "fetching results"));
  return graph->device->backend->graph_fetch(graph, x, place);
}

dn_status dn_graph_read(dn_graph *graph, int place, int n, double *values) {
  if (place < 0 || place >= DN_GRAPH_PLACES || n < 0 || n > DN_GRAPH_NUMBERS)
    return dn_error(DN_EARG, "bad results: places are 1 to %d, got %d", DN_GRAPH_PLACES, place + 1);
  DN_TRY(dn_graph_refuse(graph->device, "reading results"));
  return graph->device->backend->graph_read(graph, place, n, values);
}

void dn_graph_free(dn_graph *graph) {
  if (!graph) return;
  if (open_on(graph->device) == graph) (void)dn_graph_end(graph, false);
  graph->device->backend->graph_free(graph);
}
