/*
** Memory of the emulated devices: each has a range of addresses, closed to everybody except while its
** work runs. Blocks lie 256 bytes apart at least; the first gap that is large enough is taken.
**
** With protection keys, opening and closing set a register of the thread, and cost nothing. Without, the
** kernel changes the rights of every page, which takes longer than most of the work. Memory then stays
** open after work until there has been work for all its pages (PAGES_OF_WORK), and closes at the end of
** that: small memory after all work, large memory now and then.
*/
#include "cuda_runtime.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, n_bytes) ((void)(address), (void)(n_bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, n_bytes) ((void)(address), (void)(n_bytes))
#endif

namespace {

const size_t FENCE = 256;
const int MOST_DEVICES = 16;

/* Pages whose closing and opening takes about as long as one piece of work. */
const size_t PAGE = 4096, PAGES_OF_WORK = 64;

struct range {
  char *base = nullptr;
  size_t n_bytes = 0, n_used = 0; /* used: up to the end of the last block there ever was */
  size_t n_opened = 0;            /* without keys: the bytes that are open now */
  size_t n_worked = 0;            /* without keys: pages of work since they were closed */
  int n_open = 0;
  std::map<char *, size_t> blocks;
} ranges[MOST_DEVICES];

std::map<char *, size_t> pinned;

size_t up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/* The protection key of a device's pages; 0 or less: none. */
int key_of(int device) {
#ifdef PKEY_DISABLE_ACCESS
  static int keys[MOST_DEVICES]; /* 0: not asked for yet */
  if (keys[device] == 0) {
    const char *guard = getenv("DENSENET_EMULATED_GUARD");
    const bool is_by_pages = guard && strcmp(guard, "pages") == 0;
    keys[device] = is_by_pages ? -1 : pkey_alloc(0, PKEY_DISABLE_ACCESS);
  }
  return keys[device];
#else
  (void)device;
  return -1;
#endif
}

range *range_of(int device) {
  range *it = &ranges[device];
  if (it->base) return it;
  it->n_bytes = up((size_t)emulation_device_bytes(), PAGE);
  void *base =
      mmap(nullptr, it->n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) it->n_bytes = 0;
  it->base = base == MAP_FAILED ? nullptr : (char *)base;
  emulation_races_watch(it->base, it->n_bytes, "device");
#ifdef PKEY_DISABLE_ACCESS
  const int key = key_of(device);
  if (key > 0 && it->base) pkey_mprotect(it->base, it->n_bytes, PROT_READ | PROT_WRITE, key);
#endif
  return it;
}

/* True where the device's pages have a key, which now lets this thread in or not. */
bool turn_key(const range *it, bool is_open) {
#ifdef PKEY_DISABLE_ACCESS
  const int key = key_of((int)(it - ranges));
  if (key > 0) pkey_set(key, is_open ? 0 : PKEY_DISABLE_ACCESS);
  return key > 0;
#else
  (void)it, (void)is_open;
  return false;
#endif
}

void open_pages(range *it) {
  const size_t n_bytes = up(it->n_used, PAGE);
  if (n_bytes > it->n_opened) mprotect(it->base, n_bytes, PROT_READ | PROT_WRITE);
  if (n_bytes > it->n_opened) it->n_opened = n_bytes;
}

void close_pages(range *it) {
  it->n_worked += PAGES_OF_WORK;
  if (it->n_worked * PAGE < it->n_opened) return;
  mprotect(it->base, it->n_opened, PROT_NONE);
  it->n_opened = it->n_worked = 0;
}

/* The first gap with room for the block and fences on both sides. */
char *find_gap(const range *it, size_t n_bytes) {
  char *at = it->base + FENCE;
  for (const auto &block : it->blocks) {
    if (at + n_bytes + FENCE <= block.first) return at;
    at = it->base + up((size_t)(block.first + block.second - it->base), FENCE) + FENCE;
  }
  return at + n_bytes + FENCE <= it->base + it->n_bytes ? at : nullptr;
}

void give_pages_back(char *block, size_t n_bytes) {
  char *first = (char *)up((size_t)block, PAGE);
  char *end = (char *)((size_t)(block + n_bytes) / PAGE * PAGE);
  if (end > first) madvise(first, (size_t)(end - first), MADV_DONTNEED);
}

}  // namespace

void emulation_memory_open(int device) {
  range *it = range_of(device);
  it->n_open++;
  if (!turn_key(it, true)) open_pages(it);
}

void emulation_memory_close(int device) {
  range *it = range_of(device);
  if (--it->n_open == 0 && !turn_key(it, false)) close_pages(it);
}

int emulation_device_of(const void *address) {
  for (int device = 0; device < MOST_DEVICES; device++) {
    const range &it = ranges[device];
    if (it.base && (const char *)address >= it.base && (const char *)address < it.base + it.n_bytes)
      return device;
  }
  return -1;
}

bool emulation_is_pinned(const void *address) {
  emulation_locked here;
  auto next = pinned.upper_bound((char *)const_cast<void *>(address));
  const bool is_one =
      next != pinned.begin() && (--next, (const char *)address < next->first + next->second);
  return is_one;
}

cudaError_t cudaMalloc(void **block, size_t n_bytes) {
  emulation_locked here;
  EMULATION_COUNT();
  *block = nullptr;
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  const int device = emulation_current();
  if (emulation_lost(device) != cudaSuccess) return emulation_leave_error(emulation_lost(device));
  if (emulation_is_ordered("fail malloc")) return emulation_leave_error(cudaErrorMemoryAllocation);
  emulation_finish(device);
  range *it = range_of(device);
  const size_t taken = n_bytes > 0 ? n_bytes : 1;
  char *at = it->base && taken < it->n_bytes ? find_gap(it, taken) : nullptr;
  if (!at) return emulation_leave_error(cudaErrorMemoryAllocation);
  it->blocks[at] = taken;
  if (at + taken + FENCE > it->base + it->n_used)
    it->n_used = (size_t)(at + taken + FENCE - it->base);
  emulation_memory_open(device);
  ASAN_POISON_MEMORY_REGION(at - FENCE, FENCE);
  ASAN_UNPOISON_MEMORY_REGION(at, taken);
  ASAN_POISON_MEMORY_REGION(at + taken, FENCE);
  memset(at, 0xFF, taken);
  emulation_races_fresh(at, taken);
  emulation_memory_close(device);
  *block = at;
  return cudaSuccess;
}

cudaError_t cudaFree(void *block) {
  emulation_locked here;
  if (!block) return cudaSuccess;
  EMULATION_COUNT();
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  const int device = emulation_device_of(block);
  if (device < 0) return emulation_leave_error(cudaErrorInvalidValue);
  emulation_finish(device);
  range *it = range_of(device);
  const auto found = it->blocks.find((char *)block);
  if (found == it->blocks.end()) return emulation_leave_error(cudaErrorInvalidValue);
  ASAN_POISON_MEMORY_REGION(block, found->second);
  give_pages_back(found->first, found->second);
  it->blocks.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *n_free, size_t *n_total) {
  const range *it = range_of(emulation_current());
  size_t n_taken = 0;
  for (const auto &block : it->blocks) n_taken += block.second;
  *n_total = it->n_bytes;
  *n_free = it->n_bytes - n_taken;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **block, size_t n_bytes, unsigned flags) {
  emulation_locked here;
  EMULATION_COUNT();
  (void)flags;
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  *block = aligned_alloc(PAGE, up(n_bytes > 0 ? n_bytes : 1, PAGE));
  if (!*block) return emulation_leave_error(cudaErrorMemoryAllocation);
  memset(*block, 0xFF, n_bytes);
  pinned[(char *)*block] = n_bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void *block) {
  emulation_locked here;
  if (!block) return cudaSuccess;
  if (emulation_capture_refuse(nullptr) != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  emulation_finish(-1);
  const size_t n_found = pinned.erase((char *)block);
  if (n_found == 0) return emulation_leave_error(cudaErrorInvalidValue);
  free(block);
  return cudaSuccess;
}
