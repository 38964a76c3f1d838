/*
** Captured steps (dn_graph.h) by CUDA's stream capture.
**
** Whatever a graph's operations were given stays: the storages of their tensors and numbers, and the scratch
** block of the time. So a launch never touches memory that was given back, whatever happens to the
** tensors. A graph that is freed while a launch of it is under way waits on a list of the device's, and
** goes when that is over.
*/
#ifndef CUDA_GRAPH_H
#define CUDA_GRAPH_H

#include "cuda_backend.h"

/* The backend's slots. */
dn_status cuda_graph_begin(dn_device *device, dn_graph **graph);
dn_status cuda_graph_end(dn_graph *graph, bool keeps);
dn_status cuda_graph_launch(dn_graph *graph);
dn_status cuda_graph_numbers(dn_graph *graph, int first, int n, const double *values);
dn_status cuda_graph_fetch(dn_graph *graph, const dn_tensor *x, int *place);
dn_status cuda_graph_read(dn_graph *graph, int place, int n, double *values);
void cuda_graph_free(dn_graph *graph);

/* For the current device: the graph that is being captured keeps the storage. NULL is ignored. */
dn_status cuda_graph_keep(dn_storage *storage);

/* Refuses work of a thread that is not the one that captures. */
dn_status cuda_graph_check_thread(void);

/* ---- What an operation's arguments are to the graph that is being captured ---- */

static inline dn_status cuda_graph_note(void) { return DN_OK; }

template <typename T>
static inline dn_status cuda_graph_note_one(const T &) {
  return DN_OK;
}
static inline dn_status cuda_graph_note_one(const dn_tensor *tensor) {
  return cuda_graph_keep(tensor ? tensor->storage : NULL);
}
static inline dn_status cuda_graph_note_one(dn_tensor *tensor) {
  return cuda_graph_keep(tensor ? tensor->storage : NULL);
}
static inline dn_status cuda_graph_note_one(const dn_number &number) {
  return cuda_graph_note_one(number.at);
}
static inline dn_status cuda_graph_note_one(const dn_sgd &options) {
  return cuda_graph_note_one(options.learning_rate);
}

template <typename First, typename... Others>
static inline dn_status cuda_graph_note(const First &first, const Others &...others) {
  DN_TRY(cuda_graph_note_one(first));
  return cuda_graph_note(others...);
}

#endif
