/*
** CUPTI's records of kernels on the host, as far as cuda/ uses them; names, numbers and meanings are NVIDIA's.
** In emulated_cupti.cpp. Hook: "refuse cupti" 1 lets cuptiActivityEnable fail, until it is 0.
*/
#ifndef EMULATED_CUPTI_H
#define EMULATED_CUPTI_H

#include "cuda_runtime.h"

#define CUPTIAPI

typedef struct CUctx_st *CUcontext;

typedef enum CUptiResult {
  CUPTI_SUCCESS = 0,
  CUPTI_ERROR_MAX_LIMIT_REACHED = 12,
  CUPTI_ERROR_INSUFFICIENT_PRIVILEGES = 35
} CUptiResult;

typedef enum CUpti_ActivityKind { CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL = 10 } CUpti_ActivityKind;

typedef struct CUpti_Activity {
  CUpti_ActivityKind kind;
} CUpti_Activity;

typedef struct CUpti_ActivityKernel8 {
  CUpti_ActivityKind kind;
  uint32_t deviceId;
  uint64_t start, end; /* nanoseconds */
  const char *name;
} CUpti_ActivityKernel8;

typedef void (*CUpti_BuffersCallbackRequestFunc)(uint8_t **buffer, size_t *n_bytes,
                                                 size_t *most_records);
typedef void (*CUpti_BuffersCallbackCompleteFunc)(CUcontext context, uint32_t stream,
                                                  uint8_t *buffer, size_t n_bytes, size_t n_valid);

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc give,
                                           CUpti_BuffersCallbackCompleteFunc take);
CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind);
CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind);
CUptiResult cuptiActivityFlushAll(uint32_t flag);
CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t n_valid, CUpti_Activity **record);
CUptiResult cuptiGetResultString(CUptiResult result, const char **words);

/* From emulation_streams.cpp: a kernel begins on a device, and ends. */
bool emulated_cupti_is_enabled(void);
uint64_t emulated_cupti_now(void);
void emulated_cupti_record(const char *kernel, int device, uint64_t start);

#endif
