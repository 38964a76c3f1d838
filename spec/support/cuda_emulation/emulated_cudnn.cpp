/*
** cuDNN's graphs, as strict as the library: attributes are set before a descriptor is finalized and read
** afterwards, of the right type and number; shapes go together; memory is there, aligned as was said, and
** the workspace as large as was answered. A graph is one convolution.
**
** Engines, in the order in which the heuristics tell of them:
**   3  sums in an order of its own: whoever executes it is told that it failed
**   1  tensor cores, which round float to TF32; bytes of the images on both sides
**   2  without them; forward 4096 bytes, backward those of the images, so that large calls exceed
**      what cuda/ gives
**   0  of mode FALLBACK, forward alone: without a workspace
** Calls that succeed leave an error of CUDA behind, as the library may that tries things out.
*/
#include "cudnn.h"

#include <map>
#include <string>
#include <vector>

#include "emulated_conv.h"

struct cudnnContext {
  int device;
  cudaStream_t stream;
};

/* Values of an attribute; descriptors among them are shared. */
struct attribute {
  cudnnBackendAttributeType_t type;
  int64_t count;
  std::vector<char> bytes;
};

struct emulated_descriptor {
  cudnnBackendDescriptorType_t type;
  bool is_finalized;
  std::map<int, attribute> attributes;
  int engine; /* of ENGINE, ENGINECFG */
  cudnnBackendDescriptor_t graph;
};

namespace {

typedef cudnnBackendDescriptor_t descriptor;

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_CHAR:
      return 1;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    default:
      return 4;
  }
}

/* Element i of an attribute that is_set() has found. */
template <typename T>
T value(descriptor of, int name, int64_t i = 0) {
  T result;
  memcpy(&result, &of->attributes.at(name).bytes[(size_t)i * sizeof result], sizeof result);
  return result;
}

bool is_set(descriptor of, int name, cudnnBackendAttributeType_t type, int64_t count) {
  const auto found = of->attributes.find(name);
  return found != of->attributes.end() && found->second.type == type &&
         found->second.count == count;
}

/* A finalized descriptor of this type under an attribute, or NULL. */
descriptor part(descriptor of, int name, cudnnBackendDescriptorType_t type) {
  if (!is_set(of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1)) return nullptr;
  const descriptor found = value<descriptor>(of, name);
  return found && found->type == type && found->is_finalized ? found : nullptr;
}

bool type_of(descriptor tensor, emulated_type *type) {
  switch (value<cudnnDataType_t>(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE)) {
    case CUDNN_DATA_FLOAT:
      *type = EMULATED_FLOAT;
      return true;
    case CUDNN_DATA_DOUBLE:
      *type = EMULATED_DOUBLE;
      return true;
    case CUDNN_DATA_HALF:
      *type = EMULATED_HALF;
      return true;
    case CUDNN_DATA_BFLOAT16:
      *type = EMULATED_BFLOAT16;
      return true;
    default:
      return false;
  }
}

/* ---- What a graph computes ---- */

emulated_tensor tensor_of(descriptor of) {
  emulated_tensor t = {};
  (void)type_of(of, &t.type);
  for (int d = 0; d < 4; d++) {
    t.size[d] = value<int64_t>(of, CUDNN_ATTR_TENSOR_DIMENSIONS, d);
    t.stride[d] = value<int64_t>(of, CUDNN_ATTR_TENSOR_STRIDES, d);
  }
  return t;
}

/* The attributes of an operation, from its ALPHA on, in the order in which they are numbered. */
int first_name(descriptor operation) {
  switch (operation->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA;
    default:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
  }
}

enum { ALPHA, BETA, CONV, WEIGHT, X, Y };

descriptor piece(descriptor operation, int which, cudnnBackendDescriptorType_t type) {
  return part(operation, first_name(operation) + which, type);
}

descriptor operation_of(descriptor graph) {
  return value<descriptor>(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

emulated_conv conv_of(descriptor graph) {
  const descriptor op = operation_of(graph);
  const descriptor conv = piece(op, CONV, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  emulated_conv call = {};
  call.direction = first_name(op) == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA ? FORWARD
                   : first_name(op) == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                       ? BACKWARD_DATA
                       : BACKWARD_FILTER;
  call.w = tensor_of(piece(op, WEIGHT, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  call.x = tensor_of(piece(op, X, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  call.y = tensor_of(piece(op, Y, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  call.groups = call.x.size[1] / call.w.size[1];
  for (int d = 0; d < 2; d++) {
    call.pad[d] = value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, d);
    call.stride[d] = value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, d);
  }
  const int alpha = first_name(op) + ALPHA, beta = first_name(op) + BETA;
  const bool is_double = call.x.type == EMULATED_DOUBLE;
  call.alpha = is_double ? value<double>(op, alpha) : value<float>(op, alpha);
  call.beta = is_double ? value<double>(op, beta) : value<float>(op, beta);
  return call;
}

int64_t count(const emulated_tensor &t) { return t.size[0] * t.size[1] * t.size[2] * t.size[3]; }

int64_t workspace_of(const emulated_conv &call, int engine) {
  const int64_t both = (count(call.x) + count(call.y)) * (int64_t)emulated_size(call.x.type);
  if (engine == 0 || engine == 3) return 0;
  return engine == 2 && call.direction == FORWARD ? 4096 : both;
}

/* ---- Finalizing ---- */

bool is_tensor(descriptor t) {
  emulated_type type;
  if (!is_set(t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1) || !type_of(t, &type) ||
      !is_set(t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4) ||
      !is_set(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4) ||
      !is_set(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1) ||
      !is_set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1))
    return false;
  const emulated_tensor given = tensor_of(t);
  for (int d = 0; d < 4; d++)
    if (given.size[d] < 1 || given.stride[d] < 1) return false;
  /* Others than planes that lie apart are not emulated. */
  return given.stride[3] == 1 && given.stride[2] == given.size[3] &&
         given.stride[1] >= given.size[2] * given.size[3] &&
         given.stride[0] >= given.size[1] * given.stride[1] &&
         given.size[0] * given.stride[0] <= INT32_MAX;
}

bool is_convolution(descriptor conv) {
  static const int pairs[] = {
      CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
      CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS};
  for (int name : pairs)
    if (!is_set(conv, name, CUDNN_TYPE_INT64, 2)) return false;
  if (!is_set(conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1) ||
      !is_set(conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1) ||
      !is_set(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1))
    return false;
  for (int d = 0; d < 2; d++)
    if (value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, d) != 1 ||
        value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, d) < 1 ||
        value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, d) < 0 ||
        value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, d) !=
            value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, d))
      return false;
  return value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) == 2;
}

cudnnStatus_t check_operation(descriptor op) {
  const descriptor conv = piece(op, CONV, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  descriptor tensors[3];
  for (int i = 0; i < 3; i++)
    if (!(tensors[i] = piece(op, WEIGHT + i, CUDNN_BACKEND_TENSOR_DESCRIPTOR)))
      return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!conv) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  const emulated_tensor w = tensor_of(tensors[0]), x = tensor_of(tensors[1]),
                        y = tensor_of(tensors[2]);
  const bool is_double = x.type == EMULATED_DOUBLE;
  const cudnnBackendAttributeType_t factor = is_double ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_FLOAT;
  if (!is_set(op, first_name(op) + ALPHA, factor, 1) ||
      !is_set(op, first_name(op) + BETA, factor, 1))
    return CUDNN_STATUS_BAD_PARAM;
  if (x.type != w.type || y.type != w.type ||
      (value<cudnnDataType_t>(conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_DOUBLE) !=
          is_double)
    return CUDNN_STATUS_NOT_SUPPORTED;
  if (x.size[0] != y.size[0] || w.size[0] != y.size[1] || x.size[1] % w.size[1] != 0 ||
      w.size[0] % (x.size[1] / w.size[1]) != 0)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  for (int d = 0; d < 2; d++) {
    const int64_t span = x.size[2 + d] - w.size[2 + d] +
                         2 * value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, d);
    if (span < 0 ||
        span / value<int64_t>(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, d) + 1 != y.size[2 + d])
      return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  }
  return CUDNN_STATUS_SUCCESS;
}

/* A description of a device: one that is there, or the words that cuDNN asks for. */
bool is_device(descriptor of) {
  if (is_set(of, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1)) {
    const int ordinal = value<int32_t>(of, CUDNN_ATTR_DEVICEPROP_DEVICE_ID);
    return ordinal >= 0 && ordinal < emulation_n_devices();
  }
  const auto found = of->attributes.find(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
  if (found == of->attributes.end()) return false;
  const std::string words(found->second.bytes.data(), found->second.bytes.size());
  static const char *const asked[] = {"maxGridSize",
                                      "maxBlockSize",
                                      "regsPerBlock",
                                      "multiProcessorCount",
                                      "warpSize",
                                      "maxSharedMemoryPerBlock",
                                      "maxSharedMemoryPerBlockOptin",
                                      "reservedSharedMemoryPerBlock",
                                      "maxRegistersPerSM",
                                      "maxCtasPerSM",
                                      "maxThreadsPerBlock",
                                      "maxThreadsPerSM",
                                      "pciDeviceId",
                                      "isTccDriver",
                                      "supportCoopLaunch",
                                      "totalGlobalMem",
                                      "smClockRateKHz",
                                      "memClockRateKHz",
                                      "l2CacheSize",
                                      "cudaDeviceId",
                                      "deviceVer",
                                      "driverVer",
                                      "deviceName"};
  for (const char *word : asked)
    if (words.find(std::string("\"") + word + "\":") == std::string::npos) return false;
  return true;
}

/* Named by a handle, or by a description. */
bool names_device(descriptor of, int handle, int described) {
  return is_set(of, handle, CUDNN_TYPE_HANDLE, 1) ||
         part(of, described, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
}

cudnnStatus_t check(descriptor of) {
  bool is_right = true;
  switch (of->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      is_right = is_tensor(of);
      break;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      is_right = is_convolution(of);
      break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return check_operation(of);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      is_right = is_set(of, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1) &&
                 operation_of(of) && operation_of(of)->is_finalized;
      break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: {
      const descriptor graph =
          part(of, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
      is_right = is_set(of, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1) && graph &&
                 (is_set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1) ||
                  part(of, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR));
      break;
    }
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      is_right =
          part(of, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) &&
          names_device(of, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
      break;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      is_right = is_set(of, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3) &&
                 is_set(of, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3) &&
                 is_set(of, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1);
      break;
    case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR:
      is_right = is_device(of);
      break;
    default:
      is_right = false; /* engines and their configurations come finalized */
      break;
  }
  return is_right ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

/* ---- Reading ---- */

/* Engines for a graph, into descriptors that the caller has made. */
cudnnStatus_t list_engines(descriptor heuristics, int64_t room, int64_t *n, void *values) {
  const bool is_fallback = value<cudnnBackendHeurMode_t>(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE) ==
                           CUDNN_HEUR_MODE_FALLBACK;
  const descriptor graph = value<descriptor>(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  std::vector<int> engines = {3, 1, 2};
  if (is_fallback) engines.clear();
  if (is_fallback && conv_of(graph).direction == FORWARD) engines = {0};
  *n = (int64_t)engines.size();
  if (heuristics->engine != 0) *n = 0; /* told to find none */
  for (int64_t i = 0; i < *n && i < room; i++) {
    const descriptor made = ((descriptor *)values)[i];
    if (!made || made->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
    made->engine = engines[(size_t)i];
    made->graph = graph;
    made->is_finalized = true;
  }
  if (room < *n) *n = room;
  return CUDNN_STATUS_SUCCESS;
}

/* ---- Running ---- */

bool is_there(const emulated_tensor &t, const void *data, int64_t alignment, int device) {
  int64_t n = 1;
  for (int d = 0; d < 4; d++) n += (t.size[d] - 1) * t.stride[d];
  return (int64_t)((uintptr_t)data % (uintptr_t)alignment) == 0 &&
         emulated_is_there(data, n * (int64_t)emulated_size(t.type), device);
}

/* Where the pack has the data of a tensor of the operation, if that is right in every way. */
const void *data_of(descriptor graph, descriptor pack, int which, int device) {
  const descriptor tensor = piece(operation_of(graph), which, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  for (int i = 0; i < 3; i++)
    if (value<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) ==
        value<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID)) {
      const void *data = value<void *>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
      const int64_t alignment = value<int64_t>(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
      return is_there(tensor_of(tensor), data, alignment, device) ? data : nullptr;
    }
  return nullptr;
}

}  // namespace

/* ---- Handles ---- */

/* Of no NVIDIA library: 0.0.0. */
cudnnStatus_t cudnnGetProperty(libraryPropertyType type, int *value) {
  (void)type;
  *value = 0;
  return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
    case CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT:
      return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
    case CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
  *handle = new cudnnContext();
  (*handle)->device = emulation_current();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

/* ---- Descriptors ---- */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *made) {
  EMULATION_COUNT();
  *made = new emulated_descriptor();
  (*made)->type = type;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
  if (!descriptor || !values) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (descriptor->is_finalized || count < 1) return CUDNN_STATUS_BAD_PARAM;
  const char *first = (const char *)values;
  attribute &given = descriptor->attributes[name];
  given.type = type;
  given.count = count;
  given.bytes.assign(first, first + (size_t)count * size_of(type));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (descriptor->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  const cudnnStatus_t status = check(descriptor);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  emulation_leave_error(cudaErrorInvalidValue);
  if (descriptor->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) {
    emulation_locked here;
    emulation_count_call("a question for engines");
    descriptor->engine = emulation_hook_value("refuse cudnn") > 0 ? -1 : 0;
  }
  if (descriptor->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    emulation_count_call("a plan of cuDNN");
  descriptor->is_finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room,
                                       int64_t *count, void *values) {
  if (!descriptor || !count || !values) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!descriptor->is_finalized || room < 1) return CUDNN_STATUS_BAD_PARAM;
  *count = 1;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
      return list_engines(descriptor, room, count, values);
    case CUDNN_ATTR_ENGINECFG_ENGINE: {
      const cudnnBackendDescriptor_t engine = *(cudnnBackendDescriptor_t *)values;
      if (!engine || engine->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
      engine->engine = descriptor->engine;
      engine->is_finalized = true;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      if (type != CUDNN_TYPE_INT64) return CUDNN_STATUS_BAD_PARAM;
      *(int64_t *)values = descriptor->engine;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      *count = descriptor->engine == 1 || descriptor->engine == 3;
      *(int *)values = descriptor->engine == 1 ? CUDNN_NUMERICAL_NOTE_TENSOR_CORE
                                               : CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      *count = 0;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: {
      const cudnnBackendDescriptor_t configuration =
          value<cudnnBackendDescriptor_t>(descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
      *(int64_t *)values = workspace_of(conv_of(configuration->graph), configuration->engine);
      return CUDNN_STATUS_SUCCESS;
    }
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  emulation_locked here;
  EMULATION_COUNT();
  if (!handle || !plan || !pack) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!handle->stream || emulation_current() != handle->device) return CUDNN_STATUS_NOT_INITIALIZED;
  if (plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !plan->is_finalized ||
      pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR || !pack->is_finalized)
    return CUDNN_STATUS_BAD_PARAM;
  const cudnnBackendDescriptor_t configuration =
      value<cudnnBackendDescriptor_t>(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  emulated_conv call = conv_of(configuration->graph);
  call.x_data = data_of(configuration->graph, pack, X, handle->device);
  call.y_data = data_of(configuration->graph, pack, Y, handle->device);
  call.w_data = data_of(configuration->graph, pack, WEIGHT, handle->device);
  if (!call.x_data || !call.y_data || !call.w_data) return CUDNN_STATUS_BAD_PARAM;
  void *const workspace = value<void *>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const int64_t needed = workspace_of(call, configuration->engine);
  if (needed > 0 &&
      ((uintptr_t)workspace % 256 != 0 || !emulated_is_there(workspace, needed, handle->device)))
    return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
  emulation_leave_error(cudaErrorInvalidValue);
  if (emulation_is_ordered("fail cudnn") || configuration->engine == 3)
    return CUDNN_STATUS_EXECUTION_FAILED;
  if (emulation_is_ordered("misalign cudnn")) return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  call.is_tf32 = call.x.type == EMULATED_FLOAT && configuration->engine == 1;
  emulation_enqueue(handle->stream, [=]() {
    if (needed > 0) memset(workspace, 0xFF, (size_t)needed);
    emulated_conv_compute(call);
  });
  return CUDNN_STATUS_SUCCESS;
}
