/*
** A directory that one process at a time works in. The lock is the system's own (flock) on a file
** in the directory, run.lock, so it goes when its process does, however that ends. The file says who
** holds it, for the message to the next one; a file that a killed process left is no lock.
**
** The holder may rename the directory: the lock belongs to the directory, not to its name.
*/
#ifndef DN_LOCK_H
#define DN_LOCK_H

#include "dn_file.h"

#define DN_LOCK_NAME "run.lock"

/* Descriptors of the directory and of run.lock in it; -1: released, or never taken. */
typedef struct dn_lock {
  int directory, file;
} dn_lock;

/*
** DN_EIO: another process, or this one, holds it ("... is in use by process 12 on host"), or
** the system refused. Writes *lock only on success; release it then.
*/
dn_status dn_lock_take(const char *directory, dn_lock *lock);

/* Removes run.lock and lets go. Idempotent. */
void dn_lock_release(dn_lock *lock);

#endif
