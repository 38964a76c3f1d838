/* AVX2 tiles: compiled with that set's flags (Makefile), run only where it is there. */
#if defined(__x86_64__) && defined(__AVX2__)
#define CPU_TILES_AVX2
#define CPU_TILES_TABLE cpu_tiles_avx2
#include "cpu_tiles_loops.h"
#endif
