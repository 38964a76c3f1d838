#include "cuda_graph.h"

#include <stdlib.h>

#include "cuda_copy.h"
#include "cuda_kept.h"
#include "cuda_narrow.h"
#include "cuda_wait.h"

/* Pinned memory for one transfer at a time, and where the stream is done with it. */
typedef struct passage {
  double *numbers; /* DN_GRAPH_NUMBERS */
  cudaEvent_t done;
  bool is_under_way;
} passage;

typedef struct cuda_graph {
  dn_graph base; /* first: a dn_graph is one of these */
  pthread_t thread;
  cudaGraphExec_t exec; /* NULL until it is captured */
  cuda_kept kept;
  passage inwards[DN_GRAPH_PLACES], outwards[DN_GRAPH_PLACES];
  int n_inwards, n_outwards;       /* so far; the next takes the place that this leaves over */
  double shown[DN_GRAPH_NUMBERS];  /* what the device's numbers are */
  bool is_shown[DN_GRAPH_NUMBERS]; /* or will be */
  cudaEvent_t over;                /* behind the last launch of a graph that was freed */
  struct cuda_graph *next;         /* on the list of those */
} cuda_graph;

static cuda_graph *own(dn_graph *graph) { return (cuda_graph *)graph; }

/* ---- Making and unmaking ---- */

static dn_status make_passage(passage *made) {
  CUDA_TRY(cudaHostAlloc((void **)&made->numbers, DN_GRAPH_NUMBERS * sizeof *made->numbers,
                         cudaHostAllocDefault));
  CUDA_TRY(cudaEventCreateWithFlags(&made->done, cudaEventDisableTiming));
  return DN_OK;
}

static void unmake_passage(const passage *made) {
  if (made->done) (void)cudaEventDestroy(made->done);
  if (made->numbers) (void)cudaFreeHost(made->numbers);
}

static dn_status make(cuda_graph *graph, dn_device *device) {
  graph->base.device = device;
  graph->thread = pthread_self();
  for (int i = 0; i < DN_GRAPH_PLACES; i++) {
    DN_TRY(make_passage(&graph->inwards[i]));
    DN_TRY(make_passage(&graph->outwards[i]));
  }
  return dn_storage_new(device, DN_GRAPH_NUMBERS * (int64_t)sizeof(double), &graph->base.numbers);
}

/* No launch of it is under way, and no step is being captured. */
static void unmake(cuda_graph *graph) {
  if (graph->exec) (void)cudaGraphExecDestroy(graph->exec);
  for (int i = 0; i < DN_GRAPH_PLACES; i++) {
    unmake_passage(&graph->inwards[i]);
    unmake_passage(&graph->outwards[i]);
  }
  if (graph->over) (void)cudaEventDestroy(graph->over);
  (void)cudaGetLastError();
  free(graph);
}

/* ---- Those that were freed ---- */

static bool is_over(cuda_graph *graph) {
  if (!graph->over) {
    if (cudaEventCreateWithFlags(&graph->over, cudaEventDisableTiming) != cudaSuccess ||
        cudaEventRecord(graph->over, cuda_stream()) != cudaSuccess) {
      (void)cudaGetLastError();
      return false;
    }
  }
  const bool is = cudaEventQuery(graph->over) == cudaSuccess;
  (void)cudaGetLastError(); /* not ready is no failure */
  return is;
}

/* Called inside, while nothing is being captured; waits for nothing. */
static void bury(void) {
  for (cuda_graph **at = &cuda_current()->freed; *at;) {
    cuda_graph *graph = *at;
    if (is_over(graph)) {
      *at = graph->next;
      unmake(graph);
    } else {
      at = &graph->next;
    }
  }
}

void cuda_graph_free(dn_graph *given) {
  cuda_graph *graph = own(given);
  dn_device *device = given->device;
  cuda_device *state = cuda_state(device);
  /* Whoever gets this memory next uses it on the same stream, later. */
  cuda_kept_clear(&graph->kept);
  dn_storage_release(given->numbers);
  given->numbers = NULL;
  const bool is_working = cuda_enter(device) == DN_OK;
  if (!is_working) pthread_mutex_lock(&state->lock);
  graph->next = state->freed;
  state->freed = graph;
  if (is_working) {
    if (!state->capturing) bury();
    cuda_leave();
  } else {
    pthread_mutex_unlock(&state->lock);
  }
}

/* ---- Capturing ---- */

/* A capture would not wait for copies on the side, and cannot make memory that the first launch needs. */
static dn_status begin(cuda_graph *graph) {
  bury();
  DN_TRY(cuda_side_join());
  DN_TRY(make(graph, cuda_current()->device));
  cuda_narrow_forget(); /* the graph makes its own at each launch */
  CUDA_TRY(cudaStreamBeginCapture(cuda_stream(), cudaStreamCaptureModeThreadLocal));
  cuda_current()->capturing = graph;
  return DN_OK;
}

dn_status cuda_graph_begin(dn_device *device, dn_graph **made) {
  cuda_graph *graph = (cuda_graph *)calloc(1, sizeof *graph);
  if (!graph) return dn_error(DN_ENOMEM, "out of memory for a captured step");
  dn_status status = cuda_enter(device);
  if (status == DN_OK) {
    status = begin(graph);
    if (status != DN_OK) {
      dn_storage_release(graph->base.numbers);
      unmake(graph);
      graph = NULL;
    }
    cuda_leave();
  } else {
    free(graph);
    graph = NULL;
  }
  *made = &graph->base;
  if (!graph) *made = NULL;
  return status;
}

static dn_status instantiate(cuda_graph *graph, cudaGraph_t captured) {
  size_t n_nodes = 0;
  CUDA_TRY(cudaGraphGetNodes(captured, NULL, &n_nodes));
  if (n_nodes == 0) return dn_error(DN_EARG, "bad step: it asks nothing of the GPU");
  CUDA_TRY(cudaGraphInstantiateWithFlags(&graph->exec, captured, 0));
  CUDA_TRY(cudaGraphUpload(graph->exec, cuda_stream()));
  graph->base.n_nodes = (int64_t)n_nodes;
  return DN_OK;
}

static dn_status end(cuda_graph *graph, bool keeps) {
  cudaGraph_t captured = NULL;
  cuda_current()->capturing = NULL;
  cuda_narrow_forget(); /* nothing has been computed */
  dn_status status =
      cuda_check(cudaStreamEndCapture(cuda_stream(), &captured), "cudaStreamEndCapture");
  if (status == DN_OK && keeps) status = instantiate(graph, captured);
  if (captured) (void)cudaGraphDestroy(captured);
  bury();
  return keeps ? status : DN_OK;
}

dn_status cuda_graph_end(dn_graph *graph, bool keeps) {
  DN_TRY(cuda_enter(graph->device));
  const dn_status status = end(own(graph), keeps);
  cuda_leave();
  return status;
}

dn_status cuda_graph_keep(dn_storage *storage) {
  cuda_graph *graph = cuda_current()->capturing;
  return graph && storage ? cuda_kept_add(&graph->kept, storage) : DN_OK;
}

dn_status cuda_graph_check_thread(void) {
  const cuda_graph *graph = cuda_current()->capturing;
  if (!graph || pthread_equal(graph->thread, pthread_self())) return DN_OK;
  return dn_error(DN_EARG,
                  "%s captures a step of another thread, and takes no work until that is over",
                  cuda_current()->device->name);
}

/* ---- Launches, and what goes in and out beside them ---- */

dn_status cuda_graph_launch(dn_graph *graph) {
  DN_TRY(cuda_enter(graph->device));
  cuda_narrow_forget();
  const dn_status status =
      cuda_check(cudaGraphLaunch(own(graph)->exec, cuda_stream()), "cudaGraphLaunch");
  cuda_leave();
  return status;
}

/* The next of DN_GRAPH_PLACES; what went through it before is done when it is used again. */
static dn_status take(passage *passages, int *n_so_far, passage **taken) {
  passage *next = &passages[(*n_so_far)++ % DN_GRAPH_PLACES];
  if (next->is_under_way) CUDA_TRY(cudaEventSynchronize(next->done));
  next->is_under_way = false;
  *taken = next;
  return DN_OK;
}

static dn_status mark(passage *used) {
  CUDA_TRY(cudaEventRecord(used->done, cuda_stream()));
  used->is_under_way = true;
  return DN_OK;
}

static bool are_shown(const cuda_graph *graph, int first, int n, const double *values) {
  for (int i = 0; i < n; i++)
    if (!graph->is_shown[first + i] ||
        memcmp(&graph->shown[first + i], &values[i], sizeof *values) != 0)
      return false;
  return true;
}

static dn_status send(cuda_graph *graph, int first, int n, const double *values) {
  if (are_shown(graph, first, n, values)) return DN_OK;
  passage *inwards = NULL;
  DN_TRY(take(graph->inwards, &graph->n_inwards, &inwards));
  double *const to = (double *)graph->base.numbers->data + first;
  memcpy(inwards->numbers, values, (size_t)n * sizeof *values);
  CUDA_TRY(cudaMemcpyAsync(to, inwards->numbers, (size_t)n * sizeof *values, cudaMemcpyHostToDevice,
                           cuda_stream()));
  memcpy(&graph->shown[first], values, (size_t)n * sizeof *values);
  for (int i = 0; i < n; i++) graph->is_shown[first + i] = true;
  return mark(inwards);
}

dn_status cuda_graph_numbers(dn_graph *graph, int first, int n, const double *values) {
  DN_TRY(cuda_enter(graph->device));
  const dn_status status = send(own(graph), first, n, values);
  cuda_leave();
  return status;
}

static dn_status fetch(cuda_graph *graph, const dn_tensor *x, int *place) {
  passage *outwards = NULL;
  *place = graph->n_outwards % DN_GRAPH_PLACES;
  DN_TRY(take(graph->outwards, &graph->n_outwards, &outwards));
  CUDA_TRY(cudaMemcpyAsync(outwards->numbers, dn_tensor_data(x),
                           (size_t)dn_tensor_count(x) * sizeof(double), cudaMemcpyDeviceToHost,
                           cuda_stream()));
  return mark(outwards);
}

dn_status cuda_graph_fetch(dn_graph *graph, const dn_tensor *x, int *place) {
  DN_TRY(cuda_enter(graph->device));
  const dn_status status = fetch(own(graph), x, place);
  cuda_leave();
  return status;
}

dn_status cuda_graph_read(dn_graph *graph, int place, int n, double *values) {
  passage *outwards = &own(graph)->outwards[place];
  if (outwards->is_under_way) DN_TRY(cuda_wait_event(graph->device, outwards->done));
  outwards->is_under_way = false;
  memcpy(values, outwards->numbers, (size_t)n * sizeof *values);
  /* What is wrong is told under the lock of kernels, which may be at work on the next step. */
  const volatile cuda_fault *fault = cuda_state(graph->device)->fault;
  return fault->kind == CUDA_FAULT_NONE ? DN_OK : cuda_synchronize(graph->device);
}
