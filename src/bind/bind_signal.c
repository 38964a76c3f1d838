/*
** Ctrl-C asks, it does not break off: the first SIGINT, SIGTERM or SIGHUP (the terminal has gone) is
** only counted, so that a training run can finish its batch, save and leave; the second one, of
** whichever kind, ends the process at once, as if nothing had been installed. A SIGHUP that is
** ignored, as nohup has it, stays so.
**
** A program may also have SIGXFSZ ignored: a write past the limit of a file's size then fails with
** EFBIG, which becomes a sentence, instead of ending the process.
**
** The handler does what is safe inside a signal handler and nothing more: it reads and writes
** sig_atomic_t, restores the default action and raises. Lua asks for the count between batches.
*/
#include <signal.h>
#include <string.h>

#include "bind_handle.h"
#include "bind_init.h"

enum { N_SIGNALS = 3 };
static const int signals[N_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

/* Of the process, as signal actions are; written by the handler. */
static volatile sig_atomic_t n_interrupts = 0;
static volatile sig_atomic_t last_signal = 0;

/* Changed by Lua's calls only, which come from the thread that trains. */
static bool is_installed = false;
static struct sigaction previous[N_SIGNALS];

static void count_interrupt(int number) {
  if (n_interrupts > 0) {
    signal(number, SIG_DFL);
    raise(number); /* delivered when this handler returns and the signal is unblocked */
    return;
  }
  n_interrupts = 1;
  last_signal = number;
}

/* core.interrupt_install(): counts from 0 again. Installing twice is installing once. */
static int install(lua_State *L) {
  (void)L;
  n_interrupts = 0;
  last_signal = 0;
  if (is_installed) return 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = count_interrupt;
  action.sa_flags = SA_RESTART; /* a read or write under way goes on instead of failing */
  sigemptyset(&action.sa_mask); /* each waits for the other's handler, so one of two is first */
  for (int i = 0; i < N_SIGNALS; i++) sigaddset(&action.sa_mask, signals[i]);
  for (int i = 0; i < N_SIGNALS; i++) {
    sigaction(signals[i], &action, &previous[i]);
    if (signals[i] == SIGHUP && previous[i].sa_handler == SIG_IGN)
      sigaction(signals[i], &previous[i], NULL);
  }
  is_installed = true;
  return 0;
}

/* core.testing.interrupt_remove(): what was in place before interrupt_install() is so again. */
static int remove_handlers(lua_State *L) {
  (void)L;
  if (!is_installed) return 0;
  for (int i = 0; i < N_SIGNALS; i++) sigaction(signals[i], &previous[i], NULL);
  is_installed = false;
  return 0;
}

/* core.interrupted() -> 0, or 1 and the signal's number, by which a shell counts (128 + number). */
static int interrupted(lua_State *L) {
  lua_pushinteger(L, n_interrupts);
  if (n_interrupts == 0) return 1;
  lua_pushinteger(L, last_signal);
  return 2;
}

/* core.file_limit_ignore(): no SIGXFSZ from here on. */
static int ignore_file_limit(lua_State *L) {
  (void)L;
  signal(SIGXFSZ, SIG_IGN);
  return 0;
}

void bind_register_signal(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"interrupt_install", install},
      {"interrupted", interrupted},
      {"file_limit_ignore", ignore_file_limit},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}

void bind_register_signal_testing(lua_State *L) {
  lua_pushcfunction(L, remove_handlers);
  lua_setfield(L, -2, "interrupt_remove");
}
