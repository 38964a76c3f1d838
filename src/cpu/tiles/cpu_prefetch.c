#include "cpu_prefetch.h"

void cpu_prefetch_next(cpu_prefetch *cursor) {
  for (int i = 0; i < CPU_PREFETCH_SETS; i++) {
    const cpu_prefetch_rows set = cursor->next[i];
    if (set.n_rows <= 0) continue;
    cursor->next[i].n_rows = 0;
    cursor->at = set.at;
    cursor->left = cursor->length = (set.n_pixels + CPU_LINE - 1) / CPU_LINE;
    cursor->gap = set.stride - cursor->length * CPU_LINE;
    cursor->n_lines = set.n_rows * cursor->length;
    return;
  }
  static const real nothing[CPU_LINE];
  if (!cursor->at) cursor->at = nothing;
  cursor->left = cursor->length = 1;
  cursor->gap = -CPU_LINE;
  cursor->n_lines = INT64_MAX;
}

cpu_prefetch cpu_prefetch_of(cpu_prefetch_rows first, cpu_prefetch_rows second,
                             cpu_prefetch_rows third) {
  cpu_prefetch cursor = {.next = {first, second, third}};
  cpu_prefetch_next(&cursor);
  return cursor;
}
