/*
** Other processes, for Lua (dn_child.h).
**
**   process_spawn(arguments, options) -> child | nil, message, code. options, all optional:
**     environment = { NAME = "value", or false to leave it out }, beside this process's own
**     output, errors = "inherit" (when left out), "null" or "pipe"
**     report = true: the child has a pipe more, to write to under the number in child.report
**     group = true: a process group of its own
**     parentSignal = number of the signal that comes when this process ends
**   child:look() -> "runs" | "stopped", signal | "exited", status | "signaled", signal
**   child:read("output", "errors" or "report") -> bytes; "" when there are none now; nil at the end
**   child:signal(number [, with all of its group])
**   child:pid()
**   child:close()    its pipes; the child goes on. Also __gc, __close
**   process_pipe() -> pipe | nil, message, code: pipe:path(1 or 2), by which other processes of the user can
**     open its reading or writing end; pipe:closeEnd(1 or 2); pipe:read(), as child:read
**   process_wait({children and pipes}, seconds): until one of them has something to read, or a signal came
**   process_id() -> this process's number
**   process_report(line): to the launcher that started this process, where one did (dn_report.h)
*/
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../dn_child.h"
#include "../dn_report.h"
#include "bind_handle.h"
#include "bind_init.h"

#define CHILD "densenet.child"
#define PIPE "densenet.pipe"

extern char **environ;

enum { READ_BYTES = 1 << 16, MOST_WAITED_FOR = 4096 };

typedef struct own_pipe {
  int end[2]; /* -1: closed */
} own_pipe;

/* ---- Starting ---- */

static dn_child_stream stream_field(lua_State *L, int options, const char *name) {
  static const char *const words[] = {"inherit", "null", "pipe", NULL};
  lua_getfield(L, options, name);
  const char *word = luaL_optstring(L, -1, "inherit");
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], word) == 0) {
      lua_pop(L, 1);
      return (dn_child_stream)i;
    }
  return (dn_child_stream)luaL_error(L, "%s: inherit, null or pipe expected, got '%s'", name, word);
}

static bool flag_field(lua_State *L, int options, const char *name) {
  lua_getfield(L, options, name);
  const bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* [-> list] `room` texts and the NULL behind them, for the collector to free. */
static const char **push_list(lua_State *L, size_t room) {
  const char **list = lua_newuserdatauv(L, (room + 1) * sizeof *list, 0);
  list[room] = NULL;
  return list;
}

static const char **push_arguments(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const size_t n = lua_rawlen(L, arg);
  luaL_argcheck(L, n >= 1, arg, "a command expected");
  const char **list = push_list(L, n);
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti(L, arg, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_error(L, "argument %d of a command: string expected, got %s", (int)i + 1,
                 luaL_typename(L, -1));
    list[i] = lua_tostring(L, -1); /* the table keeps it */
    lua_pop(L, 1);
  }
  return list;
}

static size_t count_environment(void) {
  size_t n = 0;
  while (environ[n]) n++;
  return n;
}

/* Is "NAME=value" one that the table at `changes` has a word about? */
static bool is_changed(lua_State *L, int changes, const char *text) {
  lua_pushlstring(L, text, strcspn(text, "="));
  const bool found = lua_rawget(L, changes) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

/*
** [-> texts, changes, list] This process's environment with the changes of options.environment. The table
** `texts` keeps the strings that are made here.
*/
static const char **push_environment(lua_State *L, int options) {
  lua_newtable(L);
  const int texts = lua_gettop(L), changes = texts + 1;
  if (lua_getfield(L, options, "environment") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, changes, LUA_TTABLE);
  lua_Integer n_new = 0;
  lua_pushnil(L);
  while (lua_next(L, changes)) { /* name, value */
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "environment: names expected");
    if (lua_toboolean(L, -1)) {
      lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), luaL_checkstring(L, -1));
      lua_rawseti(L, texts, ++n_new);
    }
    lua_pop(L, 1);
  }
  const size_t n_old = count_environment();
  const char **list = push_list(L, n_old + (size_t)n_new);
  size_t n = 0;
  for (size_t i = 0; i < n_old; i++)
    if (!is_changed(L, changes, environ[i])) list[n++] = environ[i];
  for (lua_Integer i = 1; i <= n_new; i++) {
    lua_rawgeti(L, texts, i);
    list[n++] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}

static int spawn(lua_State *L) {
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  dn_child_plan plan = {.output = stream_field(L, 2, "output"),
                        .errors = stream_field(L, 2, "errors"),
                        .has_report = flag_field(L, 2, "report"),
                        .has_group = flag_field(L, 2, "group")};
  lua_getfield(L, 2, "parentSignal");
  plan.parent_signal = (int)luaL_optinteger(L, -1, 0);
  plan.arguments = push_arguments(L, 1);
  plan.environment = push_environment(L, 2);
  dn_child *child = lua_newuserdatauv(L, sizeof *child, 0);
  *child = (dn_child){.output = -1, .errors = -1, .report = -1};
  luaL_setmetatable(L, CHILD);
  const dn_status status = dn_child_start(&plan, child);
  return status == DN_OK ? 1 : bind_fail(L, status);
}

/* ---- Reading ---- */

/* [-> bytes, or nil at the end] */
static int push_read(lua_State *L, int end) {
  luaL_Buffer buffer;
  char *bytes = luaL_buffinitsize(L, &buffer, READ_BYTES);
  ssize_t n = end < 0 ? 0 : -1;
  if (end >= 0) {
    do n = read(end, bytes, READ_BYTES);
    while (n < 0 && errno == EINTR);
  }
  luaL_pushresultsize(&buffer, n > 0 ? (size_t)n : 0);
  if (n == 0) luaL_pushfail(L);
  return 1;
}

static int *end_of(dn_child *child, const char *word) {
  return *word == 'o' ? &child->output : *word == 'e' ? &child->errors : &child->report;
}

static int child_read(lua_State *L) {
  static const char *const words[] = {"output", "errors", "report", NULL};
  dn_child *child = luaL_checkudata(L, 1, CHILD);
  int *end = end_of(child, words[luaL_checkoption(L, 2, NULL, words)]);
  push_read(L, *end);
  if (lua_isnil(L, -1) && *end >= 0) {
    close(*end); /* so that nobody waits for it any more */
    *end = -1;
  }
  return 1;
}

/* ---- A child ---- */

static int child_look(lua_State *L) {
  static const char *const words[] = {"runs", "stopped", "exited", "signaled"};
  int number = 0;
  const dn_child_state state = dn_child_look(luaL_checkudata(L, 1, CHILD), &number);
  lua_pushstring(L, words[state]);
  if (state == DN_CHILD_RUNS) return 1;
  lua_pushinteger(L, number);
  return 2;
}

static int child_signal(lua_State *L) {
  const dn_child *child = luaL_checkudata(L, 1, CHILD);
  dn_child_signal(child, (int)luaL_checkinteger(L, 2), bind_check_boolean(L, 3));
  return 0;
}

static int child_pid(lua_State *L) {
  const dn_child *child = luaL_checkudata(L, 1, CHILD);
  lua_pushinteger(L, child->pid);
  return 1;
}

static int child_close(lua_State *L) {
  dn_child_close(luaL_checkudata(L, 1, CHILD));
  return 0;
}

/* ---- Pipes that others open by their paths ---- */

static int pipe_new(lua_State *L) {
  own_pipe *own = lua_newuserdatauv(L, sizeof *own, 0);
  own->end[0] = own->end[1] = -1;
  luaL_setmetatable(L, PIPE);
  const dn_status status = dn_child_pipe(own->end);
  if (status != DN_OK) return bind_fail(L, status);
  fcntl(own->end[0], F_SETFL, O_NONBLOCK);
  return 1;
}

static int *check_end(lua_State *L) {
  own_pipe *own = luaL_checkudata(L, 1, PIPE);
  const lua_Integer which = luaL_checkinteger(L, 2);
  luaL_argcheck(L, which == 1 || which == 2, 2, "1 or 2 expected");
  return &own->end[which - 1];
}

static int pipe_path(lua_State *L) {
  const int *end = check_end(L);
  lua_pushfstring(L, "/proc/%d/fd/%d", (int)getpid(), *end);
  return 1;
}

static int pipe_close_end(lua_State *L) {
  int *end = check_end(L);
  if (*end >= 0) close(*end);
  *end = -1;
  return 0;
}

static int pipe_read(lua_State *L) {
  const own_pipe *own = luaL_checkudata(L, 1, PIPE);
  return push_read(L, own->end[0]);
}

static int pipe_close(lua_State *L) {
  own_pipe *own = luaL_checkudata(L, 1, PIPE);
  for (int i = 0; i < 2; i++) {
    if (own->end[i] >= 0) close(own->end[i]);
    own->end[i] = -1;
  }
  return 0;
}

/* ---- Waiting ---- */

static nfds_t add_end(struct pollfd *list, nfds_t n, int end) {
  if (end < 0 || n >= MOST_WAITED_FOR) return n;
  list[n] = (struct pollfd){.fd = end, .events = POLLIN};
  return n + 1;
}

static int wait_for(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Number seconds = luaL_checknumber(L, 2);
  const lua_Integer n_given = (lua_Integer)lua_rawlen(L, 1);
  struct pollfd *list = lua_newuserdatauv(L, MOST_WAITED_FOR * sizeof *list, 0);
  nfds_t n = 0;
  for (lua_Integer i = 1; i <= n_given; i++) {
    lua_rawgeti(L, 1, i);
    const dn_child *child = luaL_testudata(L, -1, CHILD);
    if (child) {
      n = add_end(list, n, child->output);
      n = add_end(list, n, child->errors);
      n = add_end(list, n, child->report);
    } else {
      const own_pipe *own = luaL_checkudata(L, -1, PIPE);
      n = add_end(list, n, own->end[0]);
    }
    lua_pop(L, 1);
  }
  poll(list, n, (int)(1000 * seconds));
  return 0;
}

static int id(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int report(lua_State *L) {
  dn_report(luaL_checkstring(L, 1));
  return 0;
}

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction end) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, end);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, end);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}

void bind_register_child(lua_State *L) {
  static const luaL_Reg child_methods[] = {{"look", child_look},     {"read", child_read},
                                           {"signal", child_signal}, {"pid", child_pid},
                                           {"close", child_close},   {NULL, NULL}};
  static const luaL_Reg pipe_methods[] = {{"path", pipe_path},
                                          {"closeEnd", pipe_close_end},
                                          {"read", pipe_read},
                                          {"close", pipe_close},
                                          {NULL, NULL}};
  static const luaL_Reg functions[] = {{"process_spawn", spawn},   {"process_pipe", pipe_new},
                                       {"process_wait", wait_for}, {"process_id", id},
                                       {"process_report", report}, {NULL, NULL}};
  new_type(L, CHILD, child_methods, child_close);
  new_type(L, PIPE, pipe_methods, pipe_close);
  luaL_setfuncs(L, functions, 0);
}
