/*
** Finds races: accesses of two threads to one byte, at least one of them a write, that nothing orders.
** An emulation that runs one thread at a time hides them; a GPU does not.
**
** Kernels tell of their accesses when their sources are compiled with g++ -fsanitize=thread (make
** racecheck-cuda-emulated): the calls that the compiler adds come here instead of to its own library,
** which knows nothing of blocks and warps. Without them everything here does nothing.
**
** What orders two accesses:
**   one thread          always
**   one warp            __syncwarp and __syncthreads between them; an exchange (__shfl_sync and its
**                       like) does not: it promises nothing about memory
**   one block           __syncthreads between them
**   blocks of a launch  nothing
**   launches, copies    their stream
** Atomic operations do not race with each other, nor with a volatile read (a look); with plain accesses
** they do. Several threads that write the same value race: compute-sanitizer tells of it as well.
** Besides, a read of memory that nobody has written since it was there is an error.
*/
#ifndef EMULATION_RACES_H
#define EMULATION_RACES_H

#include <stddef.h>

bool emulation_finds_races(void);

/* n_bytes of `kind`, such as "shared", are watched from now on; or no longer. */
void emulation_races_watch(const void *first, size_t n_bytes, const char *kind);
void emulation_races_unwatch(const void *first);

/* Nobody has written these bytes yet; or somebody that comes before every later launch has. */
void emulation_races_fresh(const void *first, size_t n_bytes);
void emulation_races_written(const void *first, size_t n_bytes);

/* Between begin and end this thread of the host runs the threads of a launch, of which one goes on. */
void emulation_races_begin(void);
void emulation_races_end(void);
void emulation_races_thread(unsigned block, unsigned thread, unsigned block_epoch,
                            unsigned warp_epoch);

/* The running thread changes these bytes in one go. */
void emulation_races_atomic(const void *first, size_t n_bytes);

#endif
