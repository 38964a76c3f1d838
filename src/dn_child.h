/*
** Processes that this one starts and looks after: a command with its environment, pipes from it, its end.
**
** What the child inherits of open files is its three streams and the pipes asked for, as far as others are
** closed on exec, as everything is that this library opens. Its signals are as a shell would start it,
** whatever this process ignores, blocks or handles.
*/
#ifndef DN_CHILD_H
#define DN_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "dn_status.h"

/* The child's input is always empty; its output and errors are, each: */
typedef enum dn_child_stream {
  DN_CHILD_INHERIT, /* this process's own */
  DN_CHILD_NULL,    /* thrown away */
  DN_CHILD_PIPE,    /* a pipe, whose other end is here */
} dn_child_stream;

typedef struct dn_child_plan {
  const char *const
      *arguments; /* NULL at the end; the first is looked for in PATH unless it has a slash */
  const char *const *environment; /* all of it, "NAME=value" each, NULL at the end */
  dn_child_stream output, errors;
  bool
      has_report; /* a pipe more, in the child under the number DN_CHILD_REPORT; writing to it never waits */
  bool has_group; /* a process group of its own: the terminal's signals do not reach it */
  int parent_signal; /* comes when the thread that called dn_child_start ends (Linux; elsewhere never); 0: none */
} dn_child_plan;

enum { DN_CHILD_REPORT = 3 };

typedef enum dn_child_state {
  DN_CHILD_RUNS,
  DN_CHILD_STOPPED,  /* by the signal `number`; it may go on */
  DN_CHILD_EXITED,   /* with the status `number` */
  DN_CHILD_SIGNALED, /* ended by the signal `number` */
} dn_child_state;

typedef struct dn_child {
  pid_t pid;                  /* 0: none */
  int output, errors, report; /* to read from, without waiting; -1: there is none */
  bool has_group;
  dn_child_state state; /* as it was last looked at */
  int number;
} dn_child;

/* Returns DN_EIO where there is no such command or the system has no room; nothing is left then. */
dn_status dn_child_start(const dn_child_plan *plan, dn_child *child);

/* What has become of it; waits for nothing. */
dn_child_state dn_child_look(dn_child *child, int *number);

/* Sends it a signal, with all of its group where it has one and `to_group`; nothing after its end. */
void dn_child_signal(const dn_child *child, int number, bool to_group);

/* Closes the pipes. The child goes on. */
void dn_child_close(dn_child *child);

/* A pipe, both ends closed on exec. Returns DN_EIO. */
dn_status dn_child_pipe(int end[2]);

#endif
