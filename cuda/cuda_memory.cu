#include "cuda_memory.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cuda_backend.h"
#include "cuda_copy.h"
#include "cuda_narrow.h"
#include "cuda_wait.h"

enum { LEAST_BYTES = 512, STEPS = 16 };

/* The size that a request gets: 512 bytes, or the next of sixteen steps between powers of two. */
static int64_t rounded(int64_t n_bytes) {
  int64_t step = LEAST_BYTES / STEPS;
  if (n_bytes <= LEAST_BYTES) return LEAST_BYTES;
  while (step * STEPS * 2 < n_bytes && step < INT64_MAX / (4 * STEPS)) step *= 2;
  const int64_t n_steps = n_bytes / step + (n_bytes % step != 0);
  const int64_t size = n_steps * step;
  return (size + LEAST_BYTES - 1) / LEAST_BYTES * LEAST_BYTES;
}

/* ---- The pool; its lock is held ---- */

/* Bookkeeping of the pool itself comes from malloc: it is not memory that a program asked for. */
static bool make_room(cuda_pool *pool) {
  if (pool->n_blocks < pool->room) return true;
  const int64_t room = pool->room > 0 ? 2 * pool->room : 64;
  void *grown = realloc(pool->free, (size_t)room * sizeof *pool->free);
  if (!grown) return false;
  pool->free = (cuda_block *)grown;
  pool->room = room;
  return true;
}

static bool is_idle(const cuda_block *block) {
  if (!block->in_use) return true;
  if (cudaEventQuery(block->in_use) == cudaSuccess) return true;
  (void)cudaGetLastError(); /* not ready is no failure */
  return false;
}

static void forget(cuda_pool *pool, int64_t i) {
  if (pool->free[i].in_use) (void)cudaEventDestroy(pool->free[i].in_use);
  pool->free[i] = pool->free[--pool->n_free];
}

/* The latest free block of this size, or NULL. */
static void *take(cuda_pool *pool, int64_t n_bytes) {
  for (int64_t i = pool->n_free - 1; i >= 0; i--) {
    if (pool->free[i].n_bytes != n_bytes || !is_idle(&pool->free[i])) continue;
    void *data = pool->free[i].data;
    forget(pool, i);
    return data;
  }
  return NULL;
}

static void give(cuda_pool *pool, void *data, int64_t n_bytes, cudaEvent_t in_use) {
  const cuda_block block = {data, n_bytes, in_use};
  pool->free[pool->n_free++] = block;
}

typedef cudaError_t release_function(void *data);

/* All free blocks go back to where they came from; that waits for the device by itself. */
static void empty(cuda_pool *pool, release_function *release) {
  while (pool->n_free > 0) {
    const cuda_block block = pool->free[pool->n_free - 1];
    if (block.in_use) (void)cudaEventSynchronize(block.in_use);
    if (release(block.data) != cudaSuccess) (void)cudaGetLastError();
    forget(pool, pool->n_free - 1);
    pool->n_blocks--;
    pool->reserved_bytes -= block.n_bytes;
  }
}

/* ---- Memory of the device ---- */

static cudaError_t make_block(dn_device *device, int64_t n_bytes, void **data) {
  cuda_pool *pool = &cuda_state(device)->memory;
  *data = NULL;
  if (!make_room(pool)) return cudaErrorMemoryAllocation;
  cudaError_t error = cudaMalloc(data, (size_t)n_bytes);
  if (error == cudaErrorMemoryAllocation && pool->n_free > 0) {
    (void)cudaGetLastError();
    cuda_wait_inside(device);
    empty(pool, cudaFree);
    error = cudaMalloc(data, (size_t)n_bytes);
  }
  if (error != cudaSuccess) return error;
  pool->n_blocks++;
  pool->reserved_bytes += n_bytes;
  return cudaSuccess;
}

dn_status cuda_memory_new(dn_device *device, int64_t n_bytes, void **block) {
  cuda_device *state = cuda_state(device);
  *block = NULL;
  if (n_bytes > INT64_MAX / 4) return DN_ENOMEM;
  /* An operation that asks for scratch has entered already. */
  const bool is_inside = cuda_current() == state;
  if (!is_inside) DN_TRY(cuda_enter(device));
  if (state->capturing) {
    if (!is_inside) cuda_leave();
    return dn_error(DN_EARG,
                    "bad step: it takes %" PRId64
                    " bytes of new memory on %s, and a captured step must use tensors that stay",
                    n_bytes, device->name);
  }
  /* A copy on the side may be writing to a block that was given back meanwhile. */
  dn_status status = cuda_side_join();
  if (status == DN_OK) {
    pthread_mutex_lock(&state->memory.lock);
    *block = take(&state->memory, rounded(n_bytes));
    if (!*block) status = cuda_check(make_block(device, rounded(n_bytes), block), "cudaMalloc");
    pthread_mutex_unlock(&state->memory.lock);
  }
  if (!is_inside) cuda_leave();
  return status;
}

void cuda_memory_free(dn_device *device, void *block, int64_t n_bytes) {
  cuda_narrow_block_freed(cuda_state(device), block);
  cuda_pool *pool = &cuda_state(device)->memory;
  pthread_mutex_lock(&pool->lock);
  give(pool, block, rounded(n_bytes), NULL);
  pthread_mutex_unlock(&pool->lock);
}

void cuda_memory_give_up(dn_device *device, int64_t n_bytes) {
  cuda_pool *pool = &cuda_state(device)->memory;
  cuda_wait_inside(device);
  pthread_mutex_lock(&pool->lock);
  void *data = take(pool, rounded(n_bytes));
  if (data) {
    if (cudaFree(data) != cudaSuccess) (void)cudaGetLastError();
    pool->n_blocks--;
    pool->reserved_bytes -= rounded(n_bytes);
  }
  pthread_mutex_unlock(&pool->lock);
}

int64_t cuda_memory_reserved(dn_device *device, int64_t live) {
  (void)live;
  cuda_pool *pool = &cuda_state(device)->memory;
  pthread_mutex_lock(&pool->lock);
  const int64_t reserved = pool->reserved_bytes;
  pthread_mutex_unlock(&pool->lock);
  return reserved;
}

void cuda_memory_trim(dn_device *device) {
  /* Giving memory back to CUDA waits for all work, and nobody could ask meanwhile. */
  (void)cuda_wait_watched(device);
  if (cuda_enter(device) != DN_OK) return;
  cuda_device *state = cuda_current();
  if (state->capturing) {
    cuda_leave(); /* nothing may go back meanwhile */
    return;
  }
  pthread_mutex_lock(&state->memory.lock);
  empty(&state->memory, cudaFree);
  pthread_mutex_unlock(&state->memory.lock);
  pthread_mutex_lock(&state->pinned.lock);
  empty(&state->pinned, cudaFreeHost);
  pthread_mutex_unlock(&state->pinned.lock);
  cuda_leave();
}

/* ---- Pinned memory of the host ---- */

static cudaError_t make_pinned(cuda_pool *pool, int64_t n_bytes, void **data) {
  *data = NULL;
  if (!make_room(pool)) return cudaErrorMemoryAllocation;
  const cudaError_t error = cudaHostAlloc(data, (size_t)n_bytes, cudaHostAllocDefault);
  if (error != cudaSuccess) return error;
  pool->n_blocks++;
  pool->reserved_bytes += n_bytes;
  return cudaSuccess;
}

dn_status cuda_pinned_new(dn_device *device, int64_t n_bytes, void **block) {
  *block = NULL;
  if (n_bytes > INT64_MAX / 4) return DN_ENOMEM;
  DN_TRY(cuda_enter(device));
  cuda_pool *pool = &cuda_current()->pinned;
  dn_status status = DN_OK;
  pthread_mutex_lock(&pool->lock);
  *block = take(pool, rounded(n_bytes));
  if (!*block) status = cuda_check(make_pinned(pool, rounded(n_bytes), block), "cudaHostAlloc");
  pthread_mutex_unlock(&pool->lock);
  cuda_leave();
  return status;
}

/* An event behind the copies that may read the block; NULL where none can, or none can be made. */
static cudaEvent_t mark_use(void) {
  cudaEvent_t event = NULL;
  if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) != cudaSuccess ||
      cudaEventRecord(event, cuda_current()->side_stream) != cudaSuccess) {
    (void)cudaGetLastError();
    (void)cudaStreamSynchronize(cuda_current()->side_stream);
    if (event) (void)cudaEventDestroy(event);
    return NULL;
  }
  return event;
}

void cuda_pinned_free(dn_device *device, void *block, int64_t n_bytes) {
  cuda_device *state = cuda_state(device);
  cudaEvent_t in_use = NULL;
  /* A failed device reads nothing any more. */
  if (cuda_enter(device) == DN_OK) {
    if (state->n_started > state->n_waited) in_use = mark_use();
    cuda_leave();
  }
  pthread_mutex_lock(&state->pinned.lock);
  give(&state->pinned, block, rounded(n_bytes), in_use);
  pthread_mutex_unlock(&state->pinned.lock);
}
