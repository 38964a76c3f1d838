/* Which instruction set's tiles are used: the best that this processor can run, or a chosen one. */
#ifndef CPU_TILES_CHOICE_H
#define CPU_TILES_CHOICE_H

typedef enum cpu_tiles_set {
  CPU_TILES_SET_AVX512,
  CPU_TILES_SET_AVX2,
  CPU_TILES_SET_PORTABLE
} cpu_tiles_set;

/* "avx512", "avx2", "portable" */
const char *cpu_tiles_set_name(cpu_tiles_set set);

/* The sets that this processor can run, best first; returns how many. */
int cpu_tiles_sets(cpu_tiles_set sets[3]);

/* The one in use. */
cpu_tiles_set cpu_tiles_chosen(void);

/* For the process, from now on: one of cpu_tiles_sets. */
void cpu_tiles_choose(cpu_tiles_set set);

#endif
