#include "cpu_tiles_choice.h"

#include <stdatomic.h>

const char *cpu_tiles_set_name(cpu_tiles_set set) {
  return set == CPU_TILES_SET_AVX512 ? "avx512" : set == CPU_TILES_SET_AVX2 ? "avx2" : "portable";
}

int cpu_tiles_sets(cpu_tiles_set sets[3]) {
  int n_sets = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    sets[n_sets++] = CPU_TILES_SET_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    sets[n_sets++] = CPU_TILES_SET_AVX2;
#endif
  sets[n_sets++] = CPU_TILES_SET_PORTABLE;
  return n_sets;
}

static atomic_int chosen = -1; /* until first asked for */

cpu_tiles_set cpu_tiles_chosen(void) {
  const int set = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (set >= 0) return (cpu_tiles_set)set;
  cpu_tiles_set sets[3];
  cpu_tiles_sets(sets);
  cpu_tiles_choose(sets[0]);
  return sets[0];
}

void cpu_tiles_choose(cpu_tiles_set set) { atomic_store(&chosen, (int)set); }
