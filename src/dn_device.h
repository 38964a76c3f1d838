/*
** A device is a place for tensors: a name, a backend that computes there, and its memory figures.
** Devices live as long as the process. "cpu" always exists, and so does "plan", where a program runs
** to find out what memory it needs: its tensors have a geometry and are counted, but hold no
** values, and its operations check their arguments and compute nothing.
**
** "cuda:0", "cuda:1"... are NVIDIA GPUs ("cuda" is "cuda:0"), and "plan:cuda:0" finds out what a
** program would need there. They exist from when they are first asked for; what computes on them is
** a shared object of its own, loaded then (dn_cuda.h).
*/
#ifndef DN_DEVICE_H
#define DN_DEVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "dn_alloc.h"

struct dn_backend;

struct dn_device {
  char name[24]; /* "cpu", "cuda:0" */
  const struct dn_backend *backend;
  void *state;                 /* the backend's own */
  bool has_values;             /* false for "plan" */
  pthread_mutex_t memory_lock; /* guards the two below */
  dn_memory memory;
  int64_t limit_bytes; /* 0: as much as the system gives */
};

/* The host. */
dn_device *dn_device_cpu(void);

/* What a device says of itself. */
typedef struct dn_device_info {
  char name[128];      /* of the product */
  int64_t total_bytes; /* its memory; 0: not known */
  int64_t free_bytes;  /* of it, what no program has taken; 0: not known */
  int capability[2];   /* compute capability, major and minor; 0: none */
  /* What the backend stands on, as 1000 major + 10 minor, or major, minor, patch; 0: none. */
  int driver, runtime;
  int cublas[3], cudnn[3];
} dn_device_info;

dn_status dn_device_describe(dn_device *device, dn_device_info *info);

/*
** May products and convolutions of float round their factors to TF32, 10 bits behind the point, as a
** GPU computes several times faster? Not at first. Returns DN_EDEVICE where `on` cannot be had.
*/
dn_status dn_device_tf32(dn_device *device, bool on);

/*
** Waits until the device has done everything asked of it. Returns what operations found wrong with
** values they met (DN_EARG, dn_ops.h), or DN_EDEVICE.
*/
dn_status dn_device_synchronize(dn_device *device);

/*
** From now on a child that this process forks can use the library: its tensors, and operations on
** them. GPUs that were opened before are not available there.
*/
void dn_device_survive_forks(void);

/*
** The device called `name`: "cpu", "plan", "cuda:0", "plan:cuda:0". Returns DN_EDEVICE for a device that is not there, with the
** reason, and DN_EARG for a word that names no kind of device.
*/
dn_status dn_device_find(const char *name, dn_device **device);

/*
** Threads that operations called from this thread may use, from 1 to DN_MOST_THREADS. At first
** what OMP_NUM_THREADS says, else the number of processors; always 1 when built without OpenMP,
** where a number that is set changes nothing. Kept per calling thread, so that a loader's worker
** that computes does not start a team of its own. Results are the same, bit for bit, for a fixed
** number.
*/
enum { DN_MOST_THREADS = 1024 };

int dn_threads(void);
void dn_threads_set(int n_threads);

/*
** Test hook, for the process: operations run their plain reference loops (true) or the fastest
** path they have (false, as at start).
*/
bool dn_reference(void);
void dn_reference_set(bool on);

#endif
