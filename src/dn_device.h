/*
** A device is a place for tensors: a name, a backend that computes there, and its memory figures.
** Devices live as long as the process. "cpu" always exists, and so does "plan", where a program runs
** to find out what memory it needs: its tensors have a geometry and are counted, but hold no
** values, and its operations check their arguments and compute nothing. Which others there are, and
** what can be asked of a device, is told in dn_devices.h.
*/
#ifndef DN_DEVICE_H
#define DN_DEVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "dn_alloc.h"

struct dn_backend;
struct dn_graph;

struct dn_device {
  char name[24]; /* "cpu", "cuda:0" */
  const struct dn_backend *backend;
  dn_device *host; /* "cpu": where the program's own memory is, and pinned memory counts */
  void *state;     /* the backend's own */
  bool has_values; /* false for "plan" */
  pthread_mutex_t memory_lock; /* guards the two below */
  dn_memory memory;
  int64_t limit_bytes;        /* 0: as much as the system gives */
  struct dn_graph *capturing; /* the step that is being captured (dn_graph.h), or NULL */
};

/* What a device says of itself. */
typedef struct dn_device_info {
  char name[128];      /* of the product */
  int64_t total_bytes; /* its memory; 0: not known */
  int64_t free_bytes;  /* of it, what no program has taken; 0: not known */
  int capability[2];   /* compute capability, major and minor; 0: none */
  /* What the backend stands on, as 1000 major + 10 minor, or major, minor, patch; 0: none. */
  int driver, runtime;
  int cublas[3], cudnn[3];
  /* Of convolutions: plans that are kept, plans and calls refused, calls without the library. */
  int64_t n_plans, n_refused, n_direct;
} dn_device_info;

/* "cpu". It has its backend once the library is loaded (dn_devices.c). */
dn_device *dn_device_cpu(void);

#endif
