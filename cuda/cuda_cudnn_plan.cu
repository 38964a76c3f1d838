#include "cuda_cudnn_plan.h"

#include <cudnn.h>
#include <stdlib.h>
#include <time.h>

#include "cuda_cudnn.h"
#include "cuda_described.h"

#if CUDNN_VERSION < 90800
#error "cuDNN 9.8 or later is needed: older ones answer nothing about a GPU that is only described"
#endif

/* Plans at a time; a scale that changes at every step would make one after the other. */
static const int MOST_PLANS = 1024;

enum { MOST_ENGINES = 64, MOST_NOTES = 16 };

typedef cudnnBackendDescriptor_t descriptor;

/* Descriptors as they come about. After a call that fails the others do nothing. */
typedef struct builder {
  cudnnStatus_t status;
  const char *call; /* that failed */
  cuda_cudnn_plan *into;
} builder;

static void note(builder *b, cudnnStatus_t status, const char *call) {
  (void)cudaGetLastError(); /* the library tries things out */
  if (b->status != CUDNN_STATUS_SUCCESS || status == CUDNN_STATUS_SUCCESS) return;
  b->status = status;
  b->call = call;
}

static descriptor add(builder *b, cudnnBackendDescriptorType_t type) {
  descriptor made = NULL;
  if (b->status != CUDNN_STATUS_SUCCESS) return NULL;
  note(b, cudnnBackendCreateDescriptor(type, &made), "cudnnBackendCreateDescriptor");
  if (b->status != CUDNN_STATUS_SUCCESS) return NULL;
  b->into->kept[b->into->n_kept++] = made;
  return made;
}

static void set(builder *b, descriptor of, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  if (b->status == CUDNN_STATUS_SUCCESS)
    note(b, cudnnBackendSetAttribute(of, name, type, count, values), "cudnnBackendSetAttribute");
}

static void finish(builder *b, descriptor made) {
  if (b->status == CUDNN_STATUS_SUCCESS)
    note(b, cudnnBackendFinalize(made), "cudnnBackendFinalize");
}

static void destroy(cuda_cudnn_plan *plan) {
  while (plan->n_kept > 0)
    (void)cudnnBackendDestroyDescriptor((descriptor)plan->kept[--plan->n_kept]);
  plan->plan = NULL;
}

/* ---- The operation ---- */

static cudnnDataType_t type_of(int64_t dtype) {
  switch (dtype) {
    case DN_DOUBLE:
      return CUDNN_DATA_DOUBLE;
    case DN_HALF:
      return CUDNN_DATA_HALF;
    case DN_BFLOAT16:
      return CUDNN_DATA_BFLOAT16;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

static descriptor tensor(builder *b, const cuda_cudnn_key *key, int64_t id, const int64_t *size,
                         const int64_t *stride, int64_t alignment) {
  const cudnnDataType_t type = type_of(key->dtype);
  const descriptor made = add(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(b, made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(b, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, size);
  set(b, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
  set(b, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
  set(b, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  finish(b, made);
  return made;
}

static descriptor convolution(builder *b, const cuda_cudnn_key *key) {
  const cudnnDataType_t type = key->dtype == DN_DOUBLE ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const int64_t n_dims = 2, dilation[2] = {1, 1};
  const descriptor made = add(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(b, made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n_dims);
  set(b, made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(b, made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set(b, made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, key->pad);
  set(b, made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, key->pad);
  set(b, made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
  set(b, made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, key->stride);
  finish(b, made);
  return made;
}

/* What the three directions call the same things. */
typedef struct words {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, conv, weight, x, y;
} words;

static const words directions[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

static descriptor operation(builder *b, const cuda_cudnn_key *key) {
  const int64_t x_size[4] = {key->n, key->c, key->h, key->w};
  const int64_t y_size[4] = {key->n, key->k, key->p, key->q};
  const int64_t depth = key->c / key->groups, taps = key->r * key->s;
  const int64_t weight_size[4] = {key->k, depth, key->r, key->s};
  const int64_t x_stride[4] = {key->x_stride[0], key->x_stride[1], key->w, 1};
  const int64_t y_stride[4] = {key->y_stride[0], key->y_stride[1], key->q, 1};
  const int64_t weight_stride[4] = {depth * taps, taps, key->s, 1};
  const descriptor x = tensor(b, key, CUDA_CUDNN_X, x_size, x_stride, key->x_alignment);
  const descriptor y = tensor(b, key, CUDA_CUDNN_Y, y_size, y_stride, key->y_alignment);
  const descriptor weight =
      tensor(b, key, CUDA_CUDNN_WEIGHT, weight_size, weight_stride, key->weight_alignment);
  const descriptor conv = convolution(b, key);
  const words *with = &directions[key->direction];
  const bool is_double = key->dtype == DN_DOUBLE;
  const float narrow[2] = {(float)key->alpha, (float)key->beta};
  const cudnnBackendAttributeType_t type = is_double ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_FLOAT;
  const descriptor made = add(b, with->type);
  set(b, made, with->alpha, type, 1, is_double ? (const void *)&key->alpha : &narrow[0]);
  set(b, made, with->beta, type, 1, is_double ? (const void *)&key->beta : &narrow[1]);
  set(b, made, with->conv, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &conv);
  set(b, made, with->weight, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &weight);
  set(b, made, with->x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
  set(b, made, with->y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
  finish(b, made);
  return made;
}

/* ---- The engine ---- */

/* An open device is named by its handle; one that is planned, by its description. */
static void name_device(builder *b, const cuda_cudnn *state, descriptor of,
                        cudnnBackendAttributeName_t handle, cudnnBackendAttributeName_t described) {
  if (state->handle)
    set(b, of, handle, CUDNN_TYPE_HANDLE, 1, &state->handle);
  else
    set(b, of, described, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &state->described);
}

static descriptor graph_of(builder *b, const cuda_cudnn *state, descriptor op) {
  const descriptor made = add(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (state->handle)
    set(b, made, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &state->handle);
  set(b, made, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &op);
  finish(b, made);
  return made;
}

static bool has(const int *notes, int64_t n, int wanted) {
  for (int64_t i = 0; i < n; i++)
    if (notes[i] == wanted) return true;
  return false;
}

static bool get_notes(descriptor engine, cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type, int *notes, int64_t *n) {
  return cudnnBackendGetAttribute(engine, name, type, MOST_NOTES, n, notes) == CUDNN_STATUS_SUCCESS;
}

/* The engine of a configuration, which the caller destroys; NULL: unknown. */
static descriptor engine_of(descriptor configuration) {
  descriptor engine = NULL;
  int64_t n = 0;
  if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
      CUDNN_STATUS_SUCCESS)
    return NULL;
  if (cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n,
                               &engine) == CUDNN_STATUS_SUCCESS)
    return engine;
  (void)cudnnBackendDestroyDescriptor(engine);
  return NULL;
}

/* Its number; -1: unknown. */
static int64_t index_of(descriptor configuration) {
  const descriptor engine = engine_of(configuration);
  int64_t index = -1, n = 0;
  if (engine && cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64,
                                         1, &n, &index) != CUDNN_STATUS_SUCCESS)
    index = -1;
  if (engine) (void)cudnnBackendDestroyDescriptor(engine);
  return index;
}

/* Does the engine of a configuration keep what is promised? */
static bool is_allowed(const cuda_cudnn_key *key, descriptor configuration) {
  static_assert(sizeof(cudnnBackendNumericalNote_t) == sizeof(int) &&
                    sizeof(cudnnBackendBehaviorNote_t) == sizeof(int),
                "notes are read as numbers");
  const descriptor engine = engine_of(configuration);
  int numerical[MOST_NOTES], behavior[MOST_NOTES];
  int64_t n_numerical = 0, n_behavior = 0;
  if (!engine) return false;
  const bool is_known = get_notes(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                  CUDNN_TYPE_NUMERICAL_NOTE, numerical, &n_numerical) &&
                        get_notes(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                  behavior, &n_behavior);
  (void)cudnnBackendDestroyDescriptor(engine);
  if (!is_known || has(behavior, n_behavior, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)) return false;
  static const int never[] = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC,
                              CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
                              CUDNN_NUMERICAL_NOTE_FFT,
                              CUDNN_NUMERICAL_NOTE_WINOGRAD,
                              CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4,
                              CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6,
                              CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13};
  for (int each : never)
    if (has(numerical, n_numerical, each)) return false;
  return key->dtype != DN_FLOAT || key->rounds ||
         (!has(numerical, n_numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
          !has(numerical, n_numerical, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
}

/* A plan of this configuration, kept where it will do; false where it will not. */
static bool try_engine(const cuda_cudnn *state, cuda_cudnn_plan *plan, descriptor configuration) {
  if (!is_allowed(&plan->key, configuration)) return false;
  const int n_before = plan->n_kept;
  builder b = {CUDNN_STATUS_SUCCESS, NULL, plan};
  const descriptor made = add(&b, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(&b, made, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
      &configuration);
  name_device(&b, state, made, CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
              CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  finish(&b, made);
  int64_t n = 0, n_bytes = 0;
  if (b.status == CUDNN_STATUS_SUCCESS)
    note(&b,
         cudnnBackendGetAttribute(made, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                  1, &n, &n_bytes),
         "cudnnBackendGetAttribute");
  if (b.status == CUDNN_STATUS_SUCCESS && n_bytes <= plan->key.most_bytes) {
    plan->plan = made;
    plan->n_bytes = n_bytes;
    plan->engine = index_of(configuration);
    return true;
  }
  while (plan->n_kept > n_before)
    (void)cudnnBackendDestroyDescriptor((descriptor)plan->kept[--plan->n_kept]);
  return false;
}

/* The first of the heuristics' engines that will do. */
static void choose(builder *b, const cuda_cudnn *state, descriptor graph,
                   cudnnBackendHeurMode_t mode) {
  const descriptor heuristics = add(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(b, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  set(b, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
      &graph);
  if (!state->handle)
    set(b, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
        &state->described);
  finish(b, heuristics);
  descriptor configurations[MOST_ENGINES];
  int n_made = 0;
  int64_t n = 0;
  while (b->status == CUDNN_STATUS_SUCCESS && n_made < MOST_ENGINES) {
    note(b,
         cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configurations[n_made]),
         "cudnnBackendCreateDescriptor");
    if (b->status == CUDNN_STATUS_SUCCESS) n_made++;
  }
  if (b->status == CUDNN_STATUS_SUCCESS)
    note(b,
         cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_ENGINES, &n, configurations),
         "cudnnBackendGetAttribute");
  int chosen = -1;
  for (int i = 0; i < n && chosen < 0 && b->status == CUDNN_STATUS_SUCCESS; i++)
    if (try_engine(state, b->into, configurations[i])) chosen = i;
  for (int i = 0; i < n_made; i++)
    if (i == chosen)
      b->into->kept[b->into->n_kept++] = configurations[i];
    else
      (void)cudnnBackendDestroyDescriptor(configurations[i]);
}

/* CUDNN_STATUS_NOT_SUPPORTED and its kinds, and sizes or strides that no engine knows. */
static bool is_refusal(cudnnStatus_t status) {
  return (int)status / 1000 == (int)CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
         (int)status / 1000 == (int)CUDNN_STATUS_BAD_PARAM / 1000;
}

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static dn_status make(const cuda_cudnn *state, cuda_cudnn_plan *plan) {
  const double start = now_us();
  builder b = {CUDNN_STATUS_SUCCESS, NULL, plan};
  const descriptor graph = graph_of(&b, state, operation(&b, &plan->key));
  choose(&b, state, graph, CUDNN_HEUR_MODE_A);
  if (!plan->plan && graph && (b.status == CUDNN_STATUS_SUCCESS || is_refusal(b.status))) {
    b.status = CUDNN_STATUS_SUCCESS;
    choose(&b, state, graph, CUDNN_HEUR_MODE_FALLBACK);
  }
  plan->asked_us = now_us() - start;
  if (plan->plan) return DN_OK;
  destroy(plan);
  plan->is_refused = true;
  return b.status == CUDNN_STATUS_SUCCESS || is_refusal(b.status)
             ? DN_OK
             : cuda_cudnn_check(b.status, b.call);
}

/* ---- Those that are kept ---- */

/* What "plan:cuda:N" has asked. */
static pthread_mutex_t planning = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_cudnn planned[16];

static dn_status describe(cuda_cudnn *state) {
  if (state->described) return DN_OK;
  cuda_cudnn_plan lent = {};
  builder b = {CUDNN_STATUS_SUCCESS, NULL, &lent};
  const descriptor made = add(&b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  const int32_t ordinal = cuda_described_ordinal();
  if (cuda_described_is_there())
    set(&b, made, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &ordinal);
  else
    set(&b, made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
        (int64_t)strlen(cuda_described_h200), cuda_described_h200);
  finish(&b, made);
  if (b.status == CUDNN_STATUS_SUCCESS) state->described = made;
  return cuda_cudnn_check(b.status, b.call);
}

static dn_status make_room(cuda_cudnn *state) {
  if (state->n_plans == MOST_PLANS)
    while (state->n_plans > 0) destroy(&state->plans[--state->n_plans]);
  if (state->n_plans < state->room) return DN_OK;
  const int room = state->room > 0 ? 2 * state->room : 32;
  void *grown = realloc(state->plans, (size_t)room * sizeof *state->plans);
  if (!grown) return dn_error(DN_ENOMEM, "out of memory for plans of convolutions");
  state->plans = (cuda_cudnn_plan *)grown;
  state->room = room;
  return DN_OK;
}

static dn_status find_in(cuda_cudnn *state, const cuda_cudnn_key *key,
                         const cuda_cudnn_plan **plan) {
  for (int i = 0; i < state->n_plans; i++)
    if (memcmp(&state->plans[i].key, key, sizeof *key) == 0) {
      *plan = &state->plans[i];
      return DN_OK;
    }
  DN_TRY(make_room(state));
  cuda_cudnn_plan *made = &state->plans[state->n_plans];
  memset(made, 0, sizeof *made);
  made->key = *key;
  DN_TRY(make(state, made));
  state->n_plans++;
  if (cuda_current() && made->is_refused) cuda_current()->n_refused++;
  *plan = made;
  return DN_OK;
}

dn_status cuda_cudnn_find_plan(const cuda_cudnn_key *key, const cuda_cudnn_plan **plan) {
  if (cuda_current()) {
    cuda_cudnn *state = NULL;
    DN_TRY(cuda_cudnn_state(&state));
    return find_in(state, key, plan);
  }
  pthread_mutex_lock(&planning);
  cuda_cudnn *state = &planned[cuda_described_ordinal()];
  dn_status status = describe(state);
  /* The caller copies what it needs before anybody else's question can move the list. */
  static thread_local cuda_cudnn_plan copy;
  const cuda_cudnn_plan *found = NULL;
  if (status == DN_OK) status = find_in(state, key, &found);
  if (status == DN_OK) copy = *found;
  pthread_mutex_unlock(&planning);
  *plan = &copy;
  return status;
}

bool cuda_cudnn_get_plan(int64_t n, cuda_cudnn_plan *plan) {
  const bool is_planned = !cuda_current();
  if (is_planned) pthread_mutex_lock(&planning);
  const cuda_cudnn *state = is_planned ? &planned[cuda_described_ordinal()] : cuda_current()->cudnn;
  const bool is_there = state && n >= 0 && n < state->n_plans;
  if (is_there) *plan = state->plans[n];
  if (is_planned) pthread_mutex_unlock(&planning);
  return is_there;
}
