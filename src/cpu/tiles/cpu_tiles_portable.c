/* Tiles for any processor: vectors of four floats, which every 64-bit one has. */
#define CPU_TILES_TABLE cpu_tiles_portable
#include "cpu_tiles_loops.h"
