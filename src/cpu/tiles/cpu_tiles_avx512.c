/* AVX-512 tiles: compiled with that set's flags (Makefile), run only where it is there. */
#if defined(__x86_64__) && defined(__AVX512F__)
#define CPU_TILES_AVX512
#define CPU_TILES_TABLE cpu_tiles_avx512
#include "cpu_tiles_loops.h"
#endif
