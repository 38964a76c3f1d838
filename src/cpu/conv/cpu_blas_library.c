#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "cpu_blas_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

cpu_blas_library cpu_blas;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static bool was_tried, is_open, is_openblas;
static int n_calling;  /* threads between begin and end */
static int n_provided; /* the most of them for which OpenBLAS has a block */

/* Of OpenBLAS: a block to work in, which it keeps for later calls when it is given back. */
static void *(*block_new)(int position);
static void (*block_free)(void *block);

/* ISO C knows no way from an object pointer to a function. */
static bool find(void *object, const char *name, void *function) {
  void *const symbol = dlsym(object, name);
  memcpy(function, &symbol, sizeof symbol);
  return symbol != NULL;
}

/* dlopen, while OpenBLAS's variable tells it to start no threads. */
static void *open_single(const char *name) {
  static const char variable[] = "OPENBLAS_NUM_THREADS";
  const char *const value = getenv(variable);
  char *const before = value ? strdup(value) : NULL;
  setenv(variable, "1", 1);
  void *const object = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (before)
    setenv(variable, before, 1);
  else
    unsetenv(variable);
  free(before);
  return object;
}

/* Is there address space for n blocks of what OpenBLAS takes for a call? */
static bool has_room(int n) {
  const size_t n_bytes = (size_t)128 << 20;
  void *const block =
      mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return false;
  const bool has_rest = n == 1 || has_room(n - 1);
  munmap(block, n_bytes);
  return has_rest;
}

/* Once; is_open says what came of it. */
static void open_library(void) {
  was_tried = true;
  void *const object = CPU_BLAS_LIBRARY[0] ? open_single(CPU_BLAS_LIBRARY) : NULL;
  if (!object) return;
  if (!find(object, "cblas_sgemm", &cpu_blas.sgemm) ||
      !find(object, "cblas_dgemm", &cpu_blas.dgemm)) {
    dlclose(object);
    return;
  }
  /* Somebody else may have loaded it before. */
  void (*set_threads)(int);
  is_openblas = find(object, "openblas_set_num_threads", &set_threads);
  if (is_openblas) {
    set_threads(1);
    if (!find(object, "blas_memory_alloc", &block_new) ||
        !find(object, "blas_memory_free", &block_free))
      block_new = NULL;
  }
  is_open = true;
}

/* OpenBLAS has n blocks afterwards: all are taken at once, then given back. */
static void take_blocks(int n) {
  void *const block = block_new(0);
  if (n > 1) take_blocks(n - 1);
  block_free(block);
}

static bool begin(int n_threads) {
  if (!was_tried) open_library();
  if (!is_open) return false;
  const int n = n_calling + n_threads;
  if (is_openblas && n > n_provided) {
    /* Blocks that others are using cannot be taken; how many there are OpenBLAS does not say. */
    const bool takes = block_new && n_calling == 0;
    if (!has_room(takes ? n - n_provided : n)) return false;
    if (takes) {
      take_blocks(n);
      n_provided = n;
    }
  }
  n_calling = n;
  return true;
}

bool cpu_blas_is_there(void) {
  pthread_mutex_lock(&lock);
  if (!was_tried) open_library();
  const bool is_there = is_open;
  pthread_mutex_unlock(&lock);
  return is_there;
}

bool cpu_blas_begin(int n_threads) {
  pthread_mutex_lock(&lock);
  const bool is_ready = begin(n_threads);
  pthread_mutex_unlock(&lock);
  return is_ready;
}

void cpu_blas_end(int n_threads) {
  pthread_mutex_lock(&lock);
  n_calling -= n_threads;
  pthread_mutex_unlock(&lock);
}
