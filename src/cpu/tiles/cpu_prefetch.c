#include "cpu_prefetch.h"

enum { LINE = 16 }; /* floats of a line of cache */

void cpu_prefetch_next(cpu_prefetch *cursor) {
  for (int i = 0; i < CPU_PREFETCH_SETS; i++) {
    const cpu_prefetch_rows set = cursor->next[i];
    if (set.n_rows <= 0) continue;
    cursor->next[i].n_rows = 0;
    cursor->at = set.at;
    cursor->left = cursor->length = (set.n_pixels + LINE - 1) / LINE;
    cursor->gap = set.stride - cursor->length * LINE;
    cursor->n_lines = set.n_rows * cursor->length;
    return;
  }
  cursor->left = cursor->length = 1;
  cursor->gap = -LINE;
  cursor->n_lines = INT64_MAX;
}

cpu_prefetch cpu_prefetch_of(cpu_prefetch_rows first, cpu_prefetch_rows second,
                             cpu_prefetch_rows third) {
  cpu_prefetch cursor = {.next = {first, second, third}};
  cpu_prefetch_next(&cursor);
  return cursor;
}
