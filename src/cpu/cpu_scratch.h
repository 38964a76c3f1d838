/*
** Scratch memory of the calling thread: one block that grows to the largest request and stays, so a
** training step allocates none after its first. The content is undefined at every call, and the
** pointer is good until the thread's next call. Given back when the thread ends, or on request.
*/
#ifndef CPU_SCRATCH_H
#define CPU_SCRATCH_H

#include <stdint.h>

#include "../dn_status.h"

/* At least n_bytes, aligned to 64. Returns DN_ENOMEM. */
dn_status cpu_scratch(int64_t n_bytes, void **block);

/* Gives the calling thread's block back. */
void cpu_scratch_release(void);

#endif
