/*
** Waiting for NCCL, and what has failed in words. Whatever fails for good aborts the communicator and marks it
** as broken: nothing of NCCL is called with it afterwards, and the device's stream goes on.
*/
#ifndef NCCL_WAIT_H
#define NCCL_WAIT_H

#include "nccl_comm.h"

/* `result` is what `call` returned: waits while it is in progress. DN_EDEVICE. */
dn_status nccl_wait_call(nccl_comm *self, ncclResult_t result, const char *call);

/* The same at the end: at most so long, and without words. Whether it succeeded. */
bool nccl_wait_quietly(nccl_comm *self, ncclResult_t result, double seconds);

/* Has NCCL failed, a rank ended, or nothing gone on for too long? Waits for nothing. DN_EDEVICE. */
dn_status nccl_wait_check(nccl_comm *self);

/* Notes whether work has gone on; behind each collective, too, `is_new`. */
dn_status nccl_wait_probe(nccl_comm *self, bool is_new);

#endif
