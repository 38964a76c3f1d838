#include "cuda_narrow.h"

#include <stdlib.h>

#include "cuda_graph.h"
#include "cuda_parameters.h"

/*
** The list is short, a network or two, and has a lock of its own: blocks are freed from any thread, also
** inside of operations.
*/
static void lock(cuda_device *state) { pthread_mutex_lock(&state->narrow_lock); }
static void unlock(cuda_device *state) { pthread_mutex_unlock(&state->narrow_lock); }

static bool is_empty(cuda_device *state) {
  return __atomic_load_n(&state->n_narrow, __ATOMIC_ACQUIRE) == 0;
}

static void set_count(cuda_device *state, int n) {
  __atomic_store_n(&state->n_narrow, n, __ATOMIC_RELEASE);
}

/* Takes entry i out; the caller releases its storage without the lock, which comes back here. */
static dn_storage *take_out(cuda_device *state, int i) {
  dn_storage *narrow = state->narrow[i].narrow;
  state->narrow[i] = state->narrow[state->n_narrow - 1];
  set_count(state, state->n_narrow - 1);
  return narrow;
}

static dn_storage *remove_of(cuda_device *state, const void *first) {
  dn_storage *removed = NULL;
  lock(state);
  for (int i = state->n_narrow - 1; i >= 0; i--)
    if (state->narrow[i].wide->data == first) removed = take_out(state, i);
  unlock(state);
  return removed;
}

void cuda_narrow_block_freed(cuda_device *state, const void *block) {
  if (!is_empty(state)) dn_storage_release(remove_of(state, block));
}

static dn_status add(cuda_device *state, const cuda_narrow *entry) {
  lock(state);
  void *const grown = realloc(state->narrow, (size_t)(state->n_narrow + 1) * sizeof *state->narrow);
  if (grown) {
    state->narrow = (cuda_narrow *)grown;
    state->narrow[state->n_narrow] = *entry;
    dn_storage_retain(entry->narrow);
    set_count(state, state->n_narrow + 1);
  }
  unlock(state);
  return grown ? DN_OK : dn_error(DN_ENOMEM, "out of memory for a list");
}

dn_status cuda_weights_narrow(dn_tensor *weights, dn_tensor *narrow) {
  DN_TRY(cuda_enter(weights->storage->device));
  cuda_device *state = cuda_current();
  dn_storage *const before = remove_of(state, weights->storage->data);
  dn_status status = DN_OK;
  if (narrow) {
    const cuda_narrow entry = {weights->storage,
                               (const float *)dn_tensor_data(weights),
                               dn_tensor_count(weights),
                               narrow->storage,
                               narrow->dtype,
                               false};
    status = add(state, &entry);
  }
  cuda_leave();
  dn_storage_release(before);
  return status;
}

/* ---- Who writes ---- */

void cuda_narrow_written_bytes(const void *to, int64_t n_bytes) {
  cuda_device *state = cuda_current();
  if (is_empty(state)) return;
  lock(state);
  for (int i = 0; i < state->n_narrow; i++) {
    cuda_narrow *each = &state->narrow[i];
    const char *first = (const char *)each->first, *end = (const char *)(each->first + each->n);
    if ((const char *)to < end && (const char *)to + n_bytes > first) each->is_fresh = false;
  }
  unlock(state);
}

void cuda_narrow_written(const dn_tensor *tensor) {
  if (!tensor || is_empty(cuda_current())) return;
  cuda_narrow_written_bytes(tensor->storage->data, tensor->storage->n_bytes);
}

void cuda_narrow_forget(void) {
  cuda_device *state = cuda_current();
  if (is_empty(state)) return;
  lock(state);
  for (int i = 0; i < state->n_narrow; i++) state->narrow[i].is_fresh = false;
  unlock(state);
}

/* ---- Who reads ---- */

/* The entry that holds these numbers in this dtype, or NULL. */
static cuda_narrow *find(cuda_device *state, const float *weight, int64_t n, dn_dtype dtype) {
  for (int i = 0; i < state->n_narrow; i++) {
    cuda_narrow *each = &state->narrow[i];
    if (each->dtype == dtype && weight >= each->first && weight + n <= each->first + each->n)
      return each;
  }
  return NULL;
}

static dn_status refresh(cuda_narrow *found) {
  if (found->is_fresh) return DN_OK;
  DN_TRY(cuda_weight_narrow(found->narrow->data, found->dtype, found->first, found->n));
  found->is_fresh = true;
  return DN_OK;
}

dn_status cuda_weight_beside(const void *weight, int64_t n, dn_dtype dtype, void *room,
                             const void **beside) {
  const float *const wide = (const float *)weight;
  cuda_device *state = cuda_current();
  dn_status status = DN_OK;
  *beside = NULL;
  if (!is_empty(state)) {
    lock(state);
    cuda_narrow *found = find(state, wide, n, dtype);
    if (found) {
      status = refresh(found);
      if (status == DN_OK) status = cuda_graph_keep(found->narrow);
      *beside = (const uint16_t *)found->narrow->data + (wide - found->first);
    }
    unlock(state);
  }
  if (*beside) return status;
  *beside = room;
  return cuda_weight_narrow(room, dtype, wide, n);
}
