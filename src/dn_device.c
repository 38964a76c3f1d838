#include "dn_device.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "dn_backend.h"

static dn_device cpu = {.name = "cpu",
                        .backend = &dn_cpu_backend,
                        .has_values = true,
                        .memory_lock = PTHREAD_MUTEX_INITIALIZER};

static dn_device plan = {
    .name = "plan", .backend = &dn_plan_backend, .memory_lock = PTHREAD_MUTEX_INITIALIZER};

dn_device *dn_device_cpu(void) { return &cpu; }

dn_status dn_device_find(const char *name, dn_device **device) {
  if (strcmp(name, "cpu") == 0) {
    *device = &cpu;
    return DN_OK;
  }
  if (strcmp(name, "plan") == 0) {
    *device = &plan;
    return DN_OK;
  }
  if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0)
    return dn_error(DN_EDEVICE, "device '%s' is not available: this build has no CUDA backend",
                    name);
  return dn_error(DN_EARG, "unknown device '%s'; expected 'cpu' or 'cuda'", name);
}

static _Thread_local int n_threads; /* 0: not set in this thread */

int dn_threads(void) {
#ifdef _OPENMP
  if (n_threads == 0) {
    const long n_processors = sysconf(_SC_NPROCESSORS_ONLN);
    n_threads = n_processors > 0 ? (int)n_processors : 1;
  }
#else
  n_threads = 1;
#endif
  return n_threads;
}

void dn_threads_set(int count) { n_threads = count > 0 ? count : 1; }

static atomic_bool reference;

bool dn_reference(void) { return atomic_load_explicit(&reference, memory_order_relaxed); }

void dn_reference_set(bool on) { atomic_store(&reference, on); }
