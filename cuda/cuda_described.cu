#include "cuda_described.h"

#include <stdlib.h>

static thread_local int ordinal;

void cuda_described_enter(const dn_device *plan_device) {
  const char *number = strrchr(plan_device->name, ':');
  ordinal = number ? atoi(number + 1) : 0;
}

int cuda_described_ordinal(void) { return ordinal; }

bool cuda_described_is_there(void) {
  int count = 0;
  const bool is_there = cudaGetDeviceCount(&count) == cudaSuccess && ordinal < count;
  (void)cudaGetLastError();
  return is_there;
}

enum { MOST_DEVICES = 16 };
static bool uses_tf32[MOST_DEVICES];

void cuda_described_set_tf32(int n, bool on) {
  if (n < MOST_DEVICES) __atomic_store_n(&uses_tf32[n], on, __ATOMIC_RELAXED);
}

bool cuda_described_tf32(void) { return __atomic_load_n(&uses_tf32[ordinal], __ATOMIC_RELAXED); }

int cuda_described_major(void) {
  const int h200 = 9;
  int major = h200;
  if (cuda_current()) return cuda_current()->capability[0];
  if (cuda_described_is_there() &&
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal) != cudaSuccess) {
    (void)cudaGetLastError();
    return h200;
  }
  return major;
}

/* What deviceQuery prints of it, and cuDNN reads (tried with 9.19). */
const char cuda_described_h200[] =
    "{\"deviceName\":\"NVIDIA H200\",\"deviceVer\":900,\"driverVer\":13000,\"cudaDeviceId\":0,"
    "\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,"
    "\"totalGlobalMem\":150754820096,\"multiProcessorCount\":132,\"warpSize\":32,"
    "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"maxCtasPerSM\":32,"
    "\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,\"maxSharedMemoryPerBlock\":49152,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,"
    "\"l2CacheSize\":62914560,\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000}";
