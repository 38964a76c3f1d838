#include "nccl_host.h"

#include <stdio.h>
#include <time.h>

static const dn_comm_host *host;
static char name[32];

bool nccl_host_set(const dn_comm_host *given) {
  int version = NCCL_VERSION_CODE;
  host = given;
  if (given->n_bytes != sizeof *given) return false;
  (void)ncclGetVersion(&version);
  snprintf(name, sizeof name, "NCCL %d.%d.%d", version / 10000, version / 100 % 100, version % 100);
  return true;
}

dn_status nccl_fail(dn_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  host->error_list(status, 0, format, list);
  va_end(list);
  return status;
}

dn_status cuda_check(cudaError_t error, const char *call) {
  if (error == cudaSuccess) return DN_OK;
  (void)cudaGetLastError();
  return nccl_fail(DN_EDEVICE, "%s: %.*s failed: %s (%s)", nccl_name(), (int)strcspn(call, "(<"),
                   call, cudaGetErrorString(error), cudaGetErrorName(error));
}

/* Launches of this object are not counted. */
void cuda_launched_note(const char *) {}

void nccl_report_following(void) { host->report("follows"); }

const char *nccl_name(void) { return name; }

double nccl_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

dn_status nccl_alloc(dn_device *device, int64_t n_bytes, void **block) {
  return host->alloc(device, n_bytes, block);
}

void nccl_free(dn_device *device, void *block, int64_t n_bytes) {
  if (block) host->free(device, block, n_bytes);
}
