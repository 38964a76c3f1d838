#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "dn_threads.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Thread_local int n_threads; /* 0: not set in this thread */

/* OMP_NUM_THREADS, of whose list for nested levels the first number counts; else every processor. */
static int threads_at_first(void) {
#ifdef _OPENMP
  const char *const asked = getenv("OMP_NUM_THREADS");
  const long n_asked = asked ? strtol(asked, NULL, 10) : 0;
  const long n = n_asked > 0 ? n_asked : sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > DN_MOST_THREADS ? DN_MOST_THREADS : (int)n;
#else
  return 1;
#endif
}

int dn_threads(void) {
  if (n_threads == 0) n_threads = threads_at_first();
  return n_threads;
}

void dn_threads_set(int count) {
#ifdef _OPENMP
  n_threads = count < 1 ? 1 : count > DN_MOST_THREADS ? DN_MOST_THREADS : count;
#else
  (void)count;
#endif
}

bool dn_threads_have_room(int count) {
  /* A stack, and the addresses that malloc sets aside for a thread that allocates. */
  const size_t n_bytes_each = (size_t)136 << 20, n_bytes_computing = (size_t)16 << 20;
  const size_t n_bytes = (size_t)count * n_bytes_each + (size_t)dn_threads() * n_bytes_computing;
  void *room = mmap(NULL, n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return false;
  munmap(room, n_bytes);
  return true;
}

static atomic_bool reference;

bool dn_reference(void) { return atomic_load_explicit(&reference, memory_order_relaxed); }

void dn_reference_set(bool on) { atomic_store(&reference, on); }
