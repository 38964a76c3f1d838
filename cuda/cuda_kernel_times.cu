/*
** CUPTI asks for a buffer, fills it with records of kernels from a thread of its own, and hands it back; the records
** are added up by name there.
*/
#include "cuda_kernel_times.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__has_include)
#define __has_include(header) 0
#endif
#if __has_include(<cupti.h>)

#include <cupti.h>
#include <cxxabi.h>
#include <dlfcn.h>

enum { BUFFER_BYTES = 1 << 20, MOST_KERNELS = 512 };

typedef struct kernel_time {
  char name[CUDA_KERNEL_NAME];
  int64_t count, nanoseconds;
} kernel_time;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kernel_time kernels[MOST_KERNELS];
static int n_kernels;
static uint32_t wanted; /* the device's number */

/* ---- The library ---- */

static struct {
  bool is_there;
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks;
  decltype(&cuptiActivityEnable) enable;
  decltype(&cuptiActivityDisable) disable;
  decltype(&cuptiActivityFlushAll) flush;
  decltype(&cuptiActivityGetNextRecord) next;
  decltype(&cuptiGetResultString) words;
} cupti;

static dn_status check(CUptiResult result, const char *call) {
  const char *words = NULL;
  if (result == CUPTI_SUCCESS) return DN_OK;
  if (cupti.words(result, &words) != CUPTI_SUCCESS || !words) words = "unknown error";
  return dn_error(DN_EDEVICE, "%s: %s failed: %s", cuda_current()->device->name, call, words);
}

#ifdef __CUDACC__
/* On the path of libraries, or beside the runtime's. */
static void *open_library(void) {
  char name[32], path[4096];
  Dl_info runtime;
  snprintf(name, sizeof name, "libcupti.so.%d", CUDART_VERSION / 1000);
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library || !dladdr((void *)cudaGetDeviceCount, &runtime)) return library;
  const char *const slash = strrchr(runtime.dli_fname, '/');
  const int length = slash ? (int)(slash - runtime.dli_fname) : 0;
  snprintf(path, sizeof path, "%.*s/%s", length, runtime.dli_fname, name);
  return length > 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}
#define FIND(name) (decltype(&name))dlsym(library, #name)
#else
static void *open_library(void) { return &cupti; }
#define FIND(name) &name
#endif

/* ---- Records ---- */

/* "void fill_kernel<float>(float*, int)" is fill_kernel<float>. */
static void shorten(const char *mangled, char name[CUDA_KERNEL_NAME]) {
  int status = 0;
  char *const plain = abi::__cxa_demangle(mangled, NULL, NULL, &status);
  const char *from = plain ? plain : mangled;
  if (strncmp(from, "void ", 5) == 0) from += 5;
  /* Parameters begin at the last parenthesis that opens outside of others. */
  size_t length = strlen(from);
  if (plain && length > 0 && from[length - 1] == ')') {
    int depth = 0;
    do {
      length--;
      depth += (from[length] == ')') - (from[length] == '(');
    } while (length > 0 && depth > 0);
  }
  snprintf(name, CUDA_KERNEL_NAME, "%.*s", (int)length, from);
  free(plain);
}

/* An older form of the record, which CUDA 12 has as well; newer ones are longer. */
static void add(const CUpti_ActivityKernel8 *record) {
  char name[CUDA_KERNEL_NAME];
  if (record->deviceId != wanted) return;
  shorten(record->name ? record->name : "without a name", name);
  int i = 0;
  while (i < n_kernels && strcmp(kernels[i].name, name) != 0) i++;
  if (i == MOST_KERNELS) return;
  if (i == n_kernels) {
    kernel_time *const first = &kernels[n_kernels++];
    memcpy(first->name, name, sizeof name);
    first->count = first->nanoseconds = 0;
  }
  kernels[i].count++;
  kernels[i].nanoseconds += (int64_t)(record->end - record->start);
}

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *n_bytes, size_t *most_records) {
  *buffer = (uint8_t *)aligned_alloc(8, BUFFER_BYTES);
  *n_bytes = *buffer ? BUFFER_BYTES : 0;
  *most_records = 0; /* as many as fit */
}

static void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t n_valid) {
  CUpti_Activity *record = NULL;
  pthread_mutex_lock(&lock);
  while (cupti.next(buffer, n_valid, &record) == CUPTI_SUCCESS)
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL)
      add((const CUpti_ActivityKernel8 *)record);
  pthread_mutex_unlock(&lock);
  free(buffer);
}

/* ---- Taking times ---- */

static dn_status find(void) {
  if (cupti.is_there) return DN_OK;
  void *const library = open_library();
  if (!library)
    return dn_error(DN_EDEVICE, "there is no CUPTI, which tells the times of kernels: %s",
                    dlerror());
  cupti.register_callbacks = FIND(cuptiActivityRegisterCallbacks);
  cupti.enable = FIND(cuptiActivityEnable);
  cupti.disable = FIND(cuptiActivityDisable);
  cupti.flush = FIND(cuptiActivityFlushAll);
  cupti.next = FIND(cuptiActivityGetNextRecord);
  cupti.words = FIND(cuptiGetResultString);
  cupti.is_there = cupti.register_callbacks && cupti.enable && cupti.disable && cupti.flush &&
                   cupti.next && cupti.words;
  if (!cupti.is_there) return dn_error(DN_EDEVICE, "CUPTI lacks functions that are needed");
  return check(cupti.register_callbacks(give_buffer, take_buffer),
               "cuptiActivityRegisterCallbacks");
}

dn_status cuda_kernel_times_flush(void) {
  DN_TRY(find());
  return check(cupti.flush(1), "cuptiActivityFlushAll");
}

dn_status cuda_kernel_times_take(bool on) {
  DN_TRY(find());
  if (on) DN_TRY(check(cupti.enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityEnable"));
  DN_TRY(cuda_kernel_times_flush());
  if (!on)
    return check(cupti.disable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityDisable");
  pthread_mutex_lock(&lock);
  n_kernels = 0;
  wanted = (uint32_t)cuda_current()->ordinal;
  pthread_mutex_unlock(&lock);
  return DN_OK;
}

bool cuda_kernel_times_get(int64_t n, char name[CUDA_KERNEL_NAME], int64_t *count,
                           int64_t *nanoseconds) {
  pthread_mutex_lock(&lock);
  const bool is_there = n >= 0 && n < n_kernels;
  if (is_there) {
    memcpy(name, kernels[n].name, CUDA_KERNEL_NAME);
    *count = kernels[n].count;
    *nanoseconds = kernels[n].nanoseconds;
  }
  pthread_mutex_unlock(&lock);
  return is_there;
}

#else

dn_status cuda_kernel_times_take(bool) {
  return dn_error(DN_EDEVICE,
                  "the backend was built without CUPTI, which tells the times of kernels: "
                  "there was no cupti.h");
}

dn_status cuda_kernel_times_flush(void) { return cuda_kernel_times_take(false); }

bool cuda_kernel_times_get(int64_t, char[CUDA_KERNEL_NAME], int64_t *, int64_t *) { return false; }

#endif
