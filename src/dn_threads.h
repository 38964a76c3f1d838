/*
** How operations compute on the CPU: with how many threads, and by which of their ways.
*/
#ifndef DN_THREADS_H
#define DN_THREADS_H

#include <stdbool.h>

/*
** Threads that operations called from this thread may use, from 1 to DN_MOST_THREADS. At first
** what OMP_NUM_THREADS says, else the number of processors; always 1 when built without OpenMP,
** where a number that is set changes nothing. Kept per calling thread, so that a loader's worker
** that computes does not start a team of its own. Results are the same, bit for bit, for a fixed
** number.
*/
enum { DN_MOST_THREADS = 1024 };

int dn_threads(void);
void dn_threads_set(int n_threads);

/*
** Are there addresses (ulimit -v) for `count` more threads that allocate, beside those that compute?
** Without them a thread ends the process when it first allocates.
*/
bool dn_threads_have_room(int count);

/*
** Test hook, for the process: operations run their plain reference loops (true) or the fastest
** path they have (false, as at start).
*/
bool dn_reference(void);
void dn_reference_set(bool on);

#endif
