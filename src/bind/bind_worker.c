/*
** core.worker_pool: threads with a Lua state each, fed by a queue.
**
**   pool = core.worker_pool(n_threads, source, argument)
**       Every thread runs the chunk `source` (a string) with `argument`; it returns a function,
**       the job. Standard libraries are open; package.path and package.cpath are the caller's.
**   pool:submit(id, ...)       some thread will call job(...); `id`, an integer, names the reply
**   pool:receive([seconds])    -> id, true, results...   in the order in which jobs end
**                              -> id, false, message     the job raised; message has its traceback
**                              -> nil, false, message    a thread's setup raised
**                              -> nil, "timeout"         no sign of a thread for so many seconds
**       Raises where there is nothing to wait for.
**   pool:pending()             -> jobs whose reply has not been received
**   pool:close()               waits for the jobs that run, drops those that do not, ends the
**                              threads. Also __gc and __close; once is enough
**
** What crosses is told in bind_message.h. A message goes round: the caller fills it, a thread
** reads it, fills it with the reply and sends it back, and the caller keeps it for the next job.
** So nobody allocates in the long run, and a thread always has something to answer with.
** Only the thread that made the pool may use it; in a child that the process forks it raises. Operations in a worker use one thread each, and
** signals go to the program's own threads.
*/
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lualib.h>

#include "../dn_channel.h"
#include "bind_handle.h"
#include "bind_init.h"
#include "bind_message.h"

#define BIND_POOL "densenet.worker_pool"

enum { MOST_THREADS = 256 };

typedef struct worker_pool worker_pool;

typedef struct worker {
  worker_pool *pool;
  pthread_t thread;
  dn_message *setup; /* on its way; NULL once it came back with the outcome of the setup */
} worker;

struct worker_pool {
  bool has_jobs, has_results; /* channels that exist */
  dn_channel jobs, results;
  /* The rest belongs to the thread that made the pool. */
  pid_t process;     /* whose threads they are: a child that it forks has none of them */
  dn_message *spare; /* kept for the next jobs, linked */
  dn_message *draft; /* being filled or read: Lua may raise meanwhile */
  int64_t n_pending;
  int n_threads;  /* started */
  int n_starting; /* setup not reported yet */
  int n_failed;   /* setup raised: the thread is gone */
  int n_workers;
  lua_CFunction open; /* the module */
  worker workers[];
};

/* --- in the worker's thread ---------------------------------------------------------------- */

/* Message handler: the error as a string with a traceback, unless it brings one. */
static int add_traceback(lua_State *L) {
  const char *message = luaL_tolstring(L, 1, NULL);
  if (!strstr(message, "\nstack traceback:")) luaL_traceback(L, L, message, 1);
  return 1;
}

/* The message becomes the values from stack index `first` to the top. Raises. */
static void pack_results(lua_State *L, int first, dn_message *message) {
  for (int i = first; i <= lua_gettop(L); i++) {
    char name[32];
    snprintf(name, sizeof name, "result %d", i - first + 1);
    BIND_TRY(L, bind_message_append(L, i, name, message));
  }
}

/* message -> job function. Opens the state and runs the source. */
static int set_up(lua_State *L) {
  enum { MESSAGE = 1, PATH, CPATH, SOURCE, ARGUMENT };
  worker *self = lua_touserdata(L, MESSAGE);
  dn_message *message = self->setup;
  luaL_openlibs(L);
  /* This very module, found by no path; tensors in the message need its metatable. */
  luaL_requiref(L, "densenet.core", self->pool->open, false);
  lua_settop(L, MESSAGE);
  bind_message_push(L, message);
  dn_message_clear(message);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_pushvalue(L, PATH);
  lua_setfield(L, -2, "path");
  lua_pushvalue(L, CPATH);
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
  size_t size;
  const char *source = lua_tolstring(L, SOURCE, &size);
  if (luaL_loadbufferx(L, source, size, "=worker", "t") != LUA_OK) return lua_error(L);
  lua_pushvalue(L, ARGUMENT);
  lua_call(L, 1, 1);
  if (!lua_isfunction(L, -1))
    return luaL_error(L, "the worker's source must return the function that does a job, got %s",
                      luaL_typename(L, -1));
  return 1;
}

/* job function, message -> nothing; the message becomes the results. */
static int run_job(lua_State *L) {
  dn_message *message = lua_touserdata(L, 2);
  lua_pushvalue(L, 1);
  const int n_arguments = bind_message_push(L, message);
  dn_message_truncate(message, 0, 0);
  lua_call(L, n_arguments, LUA_MULTRET);
  pack_results(L, 3, message);
  return 0;
}

/*
** [error ->] The message tells the error. It stays empty where not even that finds room; the
** receiver has a sentence for this.
*/
static void pack_error(lua_State *L, dn_message *message) {
  dn_message_truncate(message, 0, 0);
  message->failed = true;
  (void)bind_message_append(L, -1, "error", message);
  lua_pop(L, 1);
}

enum { AT_HANDLER = 1, AT_JOB }; /* the worker's stack between jobs */

/* Leaves the handler and the job function on the stack; false when the setup raised. */
static bool start_state(lua_State *L, worker *self, dn_message *message) {
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, set_up);
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 1, 1, AT_HANDLER) == LUA_OK) return true;
  pack_error(L, message);
  return false;
}

static void do_job(lua_State *L, dn_message *message) {
  lua_pushcfunction(L, run_job);
  lua_pushvalue(L, AT_JOB);
  lua_pushlightuserdata(L, message);
  if (lua_pcall(L, 2, 0, AT_HANDLER) != LUA_OK) pack_error(L, message);
}

static void *run_worker(void *argument) {
  worker *self = argument;
  worker_pool *pool = self->pool;
  dn_message *message = self->setup;
  dn_threads_set(1);
  lua_State *L = luaL_newstate();
  const bool is_ready = L && start_state(L, self, message);
  if (!L) {
    dn_message_clear(message);
    message->failed = true;
  }
  dn_channel_send(&pool->results, message);
  if (is_ready)
    while ((message = dn_channel_receive(&pool->jobs, -1))) {
      do_job(L, message);
      dn_channel_send(&pool->results, message);
    }
  if (L) lua_close(L);
  return NULL;
}

/* --- the pool, in the caller's thread ------------------------------------------------------ */

static worker_pool *check_pool(lua_State *L) {
  worker_pool *pool = luaL_checkudata(L, 1, BIND_POOL);
  luaL_argcheck(L, pool->has_results, 1, "the pool is closed");
  if (pool->process != getpid())
    luaL_error(L,
               "the pool's threads are in the process that made it, which forked this one; make a "
               "new pool here");
  return pool;
}

/* The draft becomes an empty message, a spare one where there is one. */
static void begin_draft(lua_State *L, worker_pool *pool) {
  if (!pool->draft && pool->spare) {
    pool->draft = pool->spare;
    pool->spare = pool->draft->next;
  }
  if (!pool->draft) BIND_TRY(L, dn_message_new(&pool->draft));
  dn_message_clear(pool->draft);
}

/* The draft has been read and is kept. */
static void end_draft(worker_pool *pool) {
  dn_message_clear(pool->draft);
  pool->draft->next = pool->spare;
  pool->spare = pool->draft;
  pool->draft = NULL;
}

static dn_message *take_draft(worker_pool *pool) {
  dn_message *message = pool->draft;
  pool->draft = NULL;
  return message;
}

/* pool:submit(id, ...) */
static int pool_submit(lua_State *L) {
  worker_pool *pool = check_pool(L);
  const lua_Integer id = luaL_checkinteger(L, 2);
  begin_draft(L, pool);
  pool->draft->id = id;
  for (int i = 3; i <= lua_gettop(L); i++) {
    char name[32];
    snprintf(name, sizeof name, "argument %d", i - 2);
    BIND_TRY(L, bind_message_append(L, i, name, pool->draft));
  }
  dn_channel_send(&pool->jobs, take_draft(pool));
  pool->n_pending++;
  return 0;
}

/* The worker whose setup this message reports; NULL for the reply of a job. */
static worker *setup_reported(worker_pool *pool, const dn_message *message) {
  for (int i = 0; i < pool->n_threads; i++)
    if (pool->workers[i].setup == message) return &pool->workers[i];
  return NULL;
}

/* [-> message] the error that the draft tells */
static void push_error(lua_State *L, const worker_pool *pool) {
  if (bind_message_push(L, pool->draft) == 0)
    lua_pushliteral(L, "a worker ran out of memory and could not say where");
}

/* pool:receive([seconds]) */
static int pool_receive(lua_State *L) {
  worker_pool *pool = check_pool(L);
  const double seconds = luaL_optnumber(L, 2, -1);
  luaL_argcheck(L, lua_isnoneornil(L, 2) || seconds >= 0, 2, "seconds to wait cannot be negative");
  for (;;) {
    if (pool->n_pending == 0 && pool->n_starting == 0)
      return luaL_error(L, "no job is pending: nothing to receive");
    if (pool->n_failed == pool->n_workers)
      return luaL_error(L, "every worker failed in its setup: no job will be done");
    if (pool->draft) end_draft(pool);
    pool->draft = dn_channel_receive(&pool->results, seconds);
    if (!pool->draft) {
      lua_pushnil(L);
      lua_pushliteral(L, "timeout");
      return 2;
    }
    worker *starter = setup_reported(pool, pool->draft);
    if (!starter) break;
    starter->setup = NULL;
    pool->n_starting--;
    if (!pool->draft->failed) continue;
    pool->n_failed++;
    lua_pushnil(L);
    lua_pushboolean(L, false);
    push_error(L, pool);
    end_draft(pool);
    return 3;
  }
  pool->n_pending--;
  lua_settop(L, 1); /* the pool stays: it must not be collected meanwhile */
  lua_pushinteger(L, pool->draft->id);
  lua_pushboolean(L, !pool->draft->failed);
  if (pool->draft->failed)
    push_error(L, pool);
  else
    bind_message_push(L, pool->draft);
  end_draft(pool);
  return lua_gettop(L) - 1;
}

/* pool:pending() */
static int pool_pending(lua_State *L) {
  const worker_pool *pool = luaL_checkudata(L, 1, BIND_POOL);
  lua_pushinteger(L, pool->n_pending);
  return 1;
}

/* Ends the threads, after the jobs that run, and takes down the channels. */
static void end_threads(worker_pool *pool) {
  if (pool->has_jobs) dn_channel_close(&pool->jobs);
  for (int i = 0; i < pool->n_threads; i++) pthread_join(pool->workers[i].thread, NULL);
  /* The message of a started thread is in the channel of results by now. */
  for (int i = pool->n_threads; i < pool->n_workers; i++) dn_message_free(pool->workers[i].setup);
  if (pool->has_jobs) dn_channel_destroy(&pool->jobs);
  if (pool->has_results) dn_channel_destroy(&pool->results);
}

/* pool:close(), __gc, __close; also for a pool that was only half made. */
static int pool_close(lua_State *L) {
  worker_pool *pool = luaL_checkudata(L, 1, BIND_POOL);
  /* A forked child has none of the threads, and one of them may have held a channel's lock for good. */
  if (pool->process == getpid()) end_threads(pool);
  pool->n_threads = pool->n_workers = pool->n_starting = 0;
  pool->n_pending = 0;
  pool->has_jobs = pool->has_results = false;
  dn_message_free(take_draft(pool));
  while (pool->spare) {
    dn_message *next = pool->spare->next;
    dn_message_free(pool->spare);
    pool->spare = next;
  }
  return 0;
}

static int pool_tostring(lua_State *L) {
  const worker_pool *pool = luaL_checkudata(L, 1, BIND_POOL);
  if (pool->has_results)
    lua_pushfstring(L, "worker_pool (%d threads)", pool->n_threads);
  else
    lua_pushliteral(L, "worker_pool (closed)");
  return 1;
}

/* [-> value] package.path or package.cpath; nil where there is no package library */
static void push_package_field(lua_State *L, const char *field) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE)
    lua_getfield(L, -1, field);
  else
    lua_pushnil(L);
  lua_replace(L, -3); /* value, package */
  lua_pop(L, 1);
}

/* Starts the next thread with all signals blocked, but for those that its own faults raise. */
static int start_thread(worker *w) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const int failure = pthread_create(&w->thread, NULL, run_worker, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failure;
}

/* core.worker_pool(n_threads, source, argument) */
static int pool_new(lua_State *L) {
  enum { N_THREADS = 1, SOURCE, ARGUMENT, POOL, PATH, CPATH };
  lua_Integer n_workers = luaL_checkinteger(L, N_THREADS);
  luaL_argcheck(L, n_workers >= 1 && n_workers <= MOST_THREADS, N_THREADS,
                "a pool has 1 to 256 threads");
  /* Fewer will do: what a pool makes does not depend on its number of threads. */
  while (n_workers > 1 && !dn_threads_have_room((int)n_workers)) n_workers--;
  luaL_checktype(L, SOURCE, LUA_TSTRING);
  lua_settop(L, ARGUMENT);
  const size_t n_bytes = sizeof(worker_pool) + (size_t)n_workers * sizeof(worker);
  worker_pool *pool = lua_newuserdatauv(L, n_bytes, 0);
  memset(pool, 0, n_bytes);
  pool->open = lua_tocfunction(L, lua_upvalueindex(1));
  pool->process = getpid();
  luaL_setmetatable(L, BIND_POOL);
  push_package_field(L, "path");
  push_package_field(L, "cpath");

  BIND_TRY(L, dn_channel_init(&pool->jobs));
  pool->has_jobs = true;
  BIND_TRY(L, dn_channel_init(&pool->results));
  pool->has_results = true;
  for (; pool->n_workers < n_workers; pool->n_workers++) {
    begin_draft(L, pool);
    BIND_TRY(L, bind_message_append(L, PATH, "package.path", pool->draft));
    BIND_TRY(L, bind_message_append(L, CPATH, "package.cpath", pool->draft));
    BIND_TRY(L, bind_message_append(L, SOURCE, "source", pool->draft));
    BIND_TRY(L, bind_message_append(L, ARGUMENT, "argument", pool->draft));
    worker *w = &pool->workers[pool->n_workers];
    w->pool = pool;
    w->setup = take_draft(pool);
  }
  for (; pool->n_threads < n_workers; pool->n_threads++, pool->n_starting++) {
    const int failure = start_thread(&pool->workers[pool->n_threads]);
    if (failure && pool->n_threads == 0)
      return luaL_error(L, "no thread can be started: %s", strerror(failure));
    if (failure) break;
  }
  lua_settop(L, POOL);
  return 1;
}

void bind_register_worker(lua_State *L, lua_CFunction open) {
  static const luaL_Reg methods[] = {
      {"submit", pool_submit},
      {"receive", pool_receive},
      {"pending", pool_pending},
      {"close", pool_close},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__gc", pool_close},
      {"__close", pool_close},
      {"__tostring", pool_tostring},
      {NULL, NULL},
  };
  luaL_newmetatable(L, BIND_POOL);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, open);
  lua_pushcclosure(L, pool_new, 1);
  lua_setfield(L, -2, "worker_pool");
}
