#define _DEFAULT_SOURCE /* madvise */
#include "cpu_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu_scratch.h"
#include "tiles/cpu_peak.h"
#include "tiles/cpu_tiles_choice.h"

/*
** Blocks that hold a huge page ask for it: a dense layer walks hundreds of channels, each a page away
** from the next, and small pages would make the processor look up every one of them.
*/
enum { HUGE_PAGE = 1 << 21 };

static void *large_new(size_t n_bytes) {
  void *block = NULL;
  if (posix_memalign(&block, HUGE_PAGE, n_bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
  /* Whole huge pages only, so that no more memory is used than was asked for. */
  (void)madvise(block, n_bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
  return block;
}

dn_status cpu_memory_new(dn_device *device, int64_t n_bytes, void **block) {
  (void)device;
  *block = NULL;
  if ((uint64_t)n_bytes > SIZE_MAX - 64) return DN_ENOMEM;
  const size_t rounded = ((size_t)n_bytes + 63) / 64 * 64;
  *block =
      rounded >= HUGE_PAGE ? large_new(rounded) : aligned_alloc(64, rounded > 0 ? rounded : 64);
  return *block ? DN_OK : DN_ENOMEM;
}

void cpu_memory_free(dn_device *device, void *block, int64_t n_bytes) {
  (void)device;
  (void)n_bytes;
  free(block);
}

int64_t cpu_memory_reserved(dn_device *device, int64_t live) {
  (void)device;
  return live;
}

void cpu_memory_trim(dn_device *device) { (void)device; }

dn_status cpu_upload(dn_device *device, void *to, const void *from, int64_t n_bytes) {
  (void)device;
  memcpy(to, from, (size_t)n_bytes);
  return DN_OK;
}

dn_status cpu_transfer(dn_device *to_device, void *to, dn_device *from_device, const void *from,
                       int64_t n_bytes) {
  (void)from_device;
  return cpu_upload(to_device, to, from, n_bytes);
}

dn_status cpu_synchronize(dn_device *device) {
  (void)device;
  return DN_OK;
}

dn_status cpu_describe(dn_device *device, dn_device_info *info) {
  snprintf(info->name, sizeof info->name, "%s", device->name);
  const long n_pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (n_pages > 0 && page > 0) info->total_bytes = (int64_t)n_pages * page;
  return DN_OK;
}

dn_status cpu_tf32(dn_device *device, bool on) {
  return on ? dn_error(DN_EDEVICE, "%s does not support TF32; it needs a GPU", device->name)
            : DN_OK;
}

void cpu_device_scratch_release(dn_device *device) {
  (void)device;
  cpu_scratch_release();
}

int64_t cpu_device_scratch_planned(dn_device *device, bool resets) {
  (void)device;
  const int64_t planned = cpu_scratch_planned();
  if (resets) cpu_scratch_planned_reset();
  return planned;
}

double cpu_device_peak(dn_dtype dtype) {
  return cpu_is_real(dtype) ? CPU_REAL_OF(dtype, cpu_peak)() : 0;
}

/*
** "tiles", i: the i-th set of tiles, the best first, is used from here on. "tiles name", i: what it is
** called. "tiles in use": what the one in use is called.
*/
bool cpu_testing(dn_device *device, const char *hook, int64_t value, const char **answer) {
  (void)device;
  cpu_tiles_set sets[3];
  const int n_sets = cpu_tiles_sets(sets);
  if (strcmp(hook, "tiles in use") == 0) {
    *answer = cpu_tiles_set_name(cpu_tiles_chosen());
    return true;
  }
  const bool chooses = strcmp(hook, "tiles") == 0;
  if (!(chooses || strcmp(hook, "tiles name") == 0) || value < 0 || value >= n_sets) return false;
  *answer = cpu_tiles_set_name(sets[value]);
  if (chooses) cpu_tiles_choose(sets[value]);
  return true;
}
