/*
** Kernels are recorded as the launch names them, in buffers of the caller's.
*/
#include "cupti.h"

#include <time.h>

#include <deque>
#include <string>
#include <vector>

static bool enabled;
static CUpti_BuffersCallbackRequestFunc give;
static CUpti_BuffersCallbackCompleteFunc take;
static std::vector<CUpti_ActivityKernel8> records;
static std::deque<std::string> names; /* which the records point to */

bool emulated_cupti_is_enabled(void) { return enabled; }

uint64_t emulated_cupti_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void emulated_cupti_record(const char *kernel, int device, uint64_t start) {
  emulation_locked here;
  CUpti_ActivityKernel8 record = {};
  names.push_back(kernel);
  std::string &name = names.back();
  if (name[0] == '(') name = name.substr(1, name.size() - 2); /* as the macro has it */
  record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  record.deviceId = (uint32_t)device;
  record.start = start;
  record.end = emulated_cupti_now();
  record.name = name.c_str();
  records.push_back(record);
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc given,
                                           CUpti_BuffersCallbackCompleteFunc taken) {
  give = given;
  take = taken;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind) {
  if (emulation_hook_value("refuse cupti") != 0) return CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
  enabled = true;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityDisable(CUpti_ActivityKind) {
  enabled = false;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityFlushAll(uint32_t) {
  emulation_locked here;
  size_t at = 0;
  while (at < records.size()) {
    uint8_t *buffer = nullptr;
    size_t n_bytes = 0, most = 0;
    give(&buffer, &n_bytes, &most);
    const size_t room = n_bytes / sizeof records[0], rest = records.size() - at;
    const size_t n = rest < room ? rest : room;
    if (n == 0) break; /* what nobody has room for is dropped */
    memcpy(buffer, &records[at], n * sizeof records[0]);
    take(nullptr, 0, buffer, n_bytes, n * sizeof records[0]);
    at += n;
  }
  records.clear();
  names.clear();
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t n_valid, CUpti_Activity **record) {
  uint8_t *next = *record ? (uint8_t *)*record + sizeof(CUpti_ActivityKernel8) : buffer;
  if (next + sizeof(CUpti_ActivityKernel8) > buffer + n_valid) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = (CUpti_Activity *)next;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetResultString(CUptiResult result, const char **words) {
  *words = result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES ? "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"
                                                         : "CUPTI_ERROR_UNKNOWN";
  return CUPTI_SUCCESS;
}
