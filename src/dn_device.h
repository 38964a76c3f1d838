/*
** A device is a place for tensors: a name, a backend that computes there, and its memory figures.
** Devices live as long as the process. "cpu" always exists, and so does "plan", where a program runs
** to find out what memory it needs: its tensors have a geometry and are counted, but hold no
** values, and its operations check their arguments and compute nothing.
*/
#ifndef DN_DEVICE_H
#define DN_DEVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "dn_alloc.h"

struct dn_backend;

struct dn_device {
  char name[16]; /* "cpu", later "cuda:0" */
  const struct dn_backend *backend;
  bool has_values;             /* false for "plan" */
  pthread_mutex_t memory_lock; /* guards the two below */
  dn_memory memory;
  int64_t limit_bytes; /* 0: as much as the system gives */
};

/* The host. */
dn_device *dn_device_cpu(void);

/*
** The device called `name`: "cpu", "plan". Returns DN_EDEVICE for a device that is not there, with the
** reason, and DN_EARG for a word that names no kind of device.
*/
dn_status dn_device_find(const char *name, dn_device **device);

/*
** Threads that operations called from this thread may use, from 1. At first the number of
** processors (1 when built without OpenMP). Kept per calling thread, so that a loader's worker
** that computes does not start a team of its own. Results are the same, bit for bit, for a fixed
** number.
*/
int dn_threads(void);
void dn_threads_set(int n_threads);

/*
** Test hook, for the process: operations run their plain reference loops (true) or the fastest
** path they have (false, as at start).
*/
bool dn_reference(void);
void dn_reference_set(bool on);

#endif
