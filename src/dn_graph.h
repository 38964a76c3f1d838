/*
** A step captured: what operations would do on a device is kept instead of done, and from then on one call does all
** of it again, in the same order, on the same memory. So everything that a captured step reads or writes stays
** where it is; what is to change from one launch to the next is one of the graph's numbers (dn_number, dn_ops.h), or
** the content of a tensor.
**
** While a graph is being captured its device computes nothing, and what would wait for it or take new memory is
** refused; operations come from the thread that began. A graph keeps the storages of all tensors that its operations
** were given, until it is freed.
*/
#ifndef DN_GRAPH_H
#define DN_GRAPH_H

#include "dn_tensor.h"

enum {
  DN_GRAPH_NUMBERS = 64, /* numbers of a graph, and the most that `fetch` takes */
  DN_GRAPH_PLACES = 4    /* results that are on their way at once */
};

typedef struct dn_graph {
  dn_device *device;
  dn_storage *numbers; /* DN_GRAPH_NUMBERS doubles on the device */
  int64_t n_nodes;     /* pieces of work in it; 0 until it is captured */
} dn_graph;

/* Whether the device captures steps at all. */
bool dn_graph_is_possible(const dn_device *device);

/*
** Begins to capture. Returns DN_EDEVICE for a device that captures nothing ("cpu") or fails, DN_EARG where a step
** is being captured there already, DN_ENOMEM.
*/
dn_status dn_graph_begin(dn_device *device, dn_graph **graph);

/*
** Ends it; without `keeps`, or after a failure, the graph is good for dn_graph_free alone. Returns DN_EDEVICE,
** DN_ENOMEM.
*/
dn_status dn_graph_end(dn_graph *graph, bool keeps);

/* Does all of it once more, behind what was called before. Returns DN_EDEVICE. */
dn_status dn_graph_launch(dn_graph *graph);

/* Sets numbers first..first+n-1, from 0, for the launches that follow; waits for nothing. Returns DN_EDEVICE. */
dn_status dn_graph_numbers(dn_graph *graph, int first, int n, const double *values);

/*
** Sends x, 1 to DN_GRAPH_NUMBERS doubles in a row on the graph's device, to the host, as they are when all that was
** called before is done; waits for nothing. *place is where dn_graph_read finds them, until DN_GRAPH_PLACES later.
** Returns DN_EARG, DN_EDEVICE.
*/
dn_status dn_graph_fetch(dn_graph *graph, const dn_tensor *x, int *place);

/*
** The first n numbers that arrived at `place`, for which it waits; what is called later goes on meanwhile. Returns
** what operations found wrong (dn_ops.h, "late errors"), DN_EDEVICE.
*/
dn_status dn_graph_read(dn_graph *graph, int place, int n, double *values);

/* Gives back all that it keeps, and waits for nothing; a capture that is open ends. NULL is ignored. */
void dn_graph_free(dn_graph *graph);

/*
** DN_OK unless a step is being captured on the device; else DN_EARG, and the sentence that `what` waits for it:
** "bad step: 'item' waits for cuda:0, ...".
*/
dn_status dn_graph_refuse(const dn_device *device, const char *what);

#endif
