/*
** The threads behind `#pragma omp parallel`. The compiler cuts the loop out and calls GOMP_parallel
** with it (the libgomp ABI, libgomp.info, "Implementing PARALLEL construct"); this file stands in
** for the library, whose waiting threads hold a core for milliseconds unless an environment variable,
** read before it is loaded, says otherwise.
**
** A team has members 0, 1, ... n - 1. The caller is member 0 and offers each other one to a worker of
** that number. Offers not taken by the time it is done with its own it takes back and runs itself,
** so a worker that does not get a core holds up nothing. What a member computes depends on its number
** only, never on the thread. A thread that waits looks for a moment and then sleeps.
**
** One team works at a time. Another thread that asks meanwhile, or a member that asks in its turn,
** runs all members of its team itself, one after the other.
*/
#include "cpu_parallel.h"

#ifdef CPU_OWN_THREADS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* Called by what the compiler makes of the pragmas; hidden, so a libgomp that is there stays as it is. */
#pragma GCC visibility push(hidden)
void GOMP_parallel(void (*body)(void *), void *data, unsigned n_members, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
#pragma GCC visibility pop

/* IDLE -> OFFERED by the caller -> TAKEN by the worker -> IDLE; or back to IDLE by the caller. */
enum { IDLE, OFFERED, TAKEN };

typedef struct worker {
  _Alignas(64) atomic_int state;
  atomic_int n_asleep; /* of the worker and the caller, those that sleep until the state changes */
  pthread_mutex_t lock;
  pthread_cond_t changed;
} worker;

enum {
  MOST_WORKERS = 1023,
  /* Before a thread that waits goes to sleep: 100 us or so, about twice what waking takes. Between the operations of
     an evaluation of one image lie 20 to 60 us, in which a worker that slept would be missed. */
  LOOKS = 8000
};

static struct {
  pthread_mutex_t in_use;
  int n_workers; /* guarded by in_use, as all below */
  bool survives_fork;
  void (*body)(void *);
  void *data;
  int n_members;
  worker workers[MOST_WORKERS]; /* workers[i] runs member i + 1 */
} team = {.in_use = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local int member;
static _Thread_local int n_members = 1;

int omp_get_thread_num(void) { return member; }
int omp_get_num_threads(void) { return n_members; }
int cpu_thread(void) { return member; }

static void run(int number, int n, void (*body)(void *), void *data) {
  const int outer_member = member, outer_n = n_members;
  member = number;
  n_members = n;
  body(data);
  member = outer_member;
  n_members = outer_n;
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

static void wait_for(worker *w, int state) {
  for (int i = 0; i < LOOKS; i++) {
    if (atomic_load_explicit(&w->state, memory_order_acquire) == state) return;
    pause_briefly();
  }
  pthread_mutex_lock(&w->lock);
  atomic_fetch_add(&w->n_asleep,
                   1); /* before the state is looked at: change() does it the other way */
  while (atomic_load(&w->state) != state) pthread_cond_wait(&w->changed, &w->lock);
  atomic_fetch_sub(&w->n_asleep, 1);
  pthread_mutex_unlock(&w->lock);
}

static void change(worker *w, int state) {
  atomic_store(&w->state, state);
  if (atomic_load(&w->n_asleep) == 0) return;
  pthread_mutex_lock(&w->lock);
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

static bool move(worker *w, int from, int to) {
  return atomic_compare_exchange_strong(&w->state, &from, to);
}

static void *work(void *argument) {
  worker *const w = argument;
  const int number = (int)(w - team.workers) + 1;
  for (;;) {
    wait_for(w, OFFERED);
    if (!move(w, OFFERED, TAKEN)) continue;
    run(number, team.n_members, team.body, team.data);
    change(w, IDLE);
  }
  return NULL;
}

/* A forked child has the thread that forked and no other. */
static void forget_workers(void) {
  pthread_mutex_init(&team.in_use, NULL);
  team.n_workers = 0;
}

/* False where the system gives no more threads. */
static bool start_worker(void) {
  if (!team.survives_fork) {
    if (pthread_atfork(NULL, NULL, forget_workers) != 0) return false;
    team.survives_fork = true;
  }
  worker *const w = &team.workers[team.n_workers];
  atomic_init(&w->state, IDLE);
  atomic_init(&w->n_asleep, 0);
  if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_cond_init(&w->changed, NULL) != 0)
    return false;
  /* Signals are for threads that wait for them. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, NULL, work, w) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!started) return false;
  pthread_detach(thread);
  team.n_workers++;
  return true;
}

static void run_alone(void (*body)(void *), void *data, int n) {
  for (int i = 0; i < n; i++) run(i, n, body, data);
}

void GOMP_parallel(void (*body)(void *), void *data, unsigned n_asked, unsigned flags) {
  (void)flags;
  const int n = n_asked > 0 ? (int)n_asked : dn_threads();
  if (n == 1 || pthread_mutex_trylock(&team.in_use) != 0) {
    run_alone(body, data, n);
    return;
  }
  while (team.n_workers < n - 1 && team.n_workers < MOST_WORKERS)
    if (!start_worker()) break;
  const int n_offered = team.n_workers < n - 1 ? team.n_workers : n - 1;
  team.body = body;
  team.data = data;
  team.n_members = n;
  for (int i = 0; i < n_offered; i++) change(&team.workers[i], OFFERED);
  run(0, n, body, data);
  for (int i = n_offered + 1; i < n; i++) run(i, n, body, data);
  for (int i = 0; i < n_offered; i++)
    if (move(&team.workers[i], OFFERED, IDLE)) run(i + 1, n, body, data);
  for (int i = 0; i < n_offered; i++) wait_for(&team.workers[i], IDLE);
  pthread_mutex_unlock(&team.in_use);
}

#elif defined(_OPENMP)

#include <stdlib.h>

int cpu_thread(void) { return omp_get_thread_num(); }

/* LLVM's threads stay awake for 200 ms after a loop unless they are told not to. */
__attribute__((constructor)) static void sleep_at_once(void) {
  if (!getenv("KMP_BLOCKTIME") && !getenv("OMP_WAIT_POLICY")) kmp_set_blocktime(0);
}

#else

int cpu_thread(void) { return 0; }

#endif
