/*
** fork and exec rather than posix_spawn: the signal that a parent's end sends has to be asked for by the
** child itself. Between the two stands nothing but system calls, as other threads of this process may hold
** any lock. That exec failed comes back through a pipe that a successful one closes.
*/
/* pipe2 is no part of POSIX.1-2008. */
#define _GNU_SOURCE

#include "dn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* A pipe whose ends are closed on exec. */
static int open_pipe(int end[2]) {
#if defined(__linux__)
  return pipe2(end, O_CLOEXEC);
#else
  return pipe(end) == 0 && fcntl(end[0], F_SETFD, FD_CLOEXEC) == 0 &&
                 fcntl(end[1], F_SETFD, FD_CLOEXEC) == 0
             ? 0
             : -1;
#endif
}

dn_status dn_child_pipe(int end[2]) {
  bool is_open = open_pipe(end) == 0;
  /* Away from the numbers of streams and report, under which the child has others. */
  for (int i = 0; i < 2 && is_open; i++) {
    if (end[i] > DN_CHILD_REPORT) continue;
    const int moved = fcntl(end[i], F_DUPFD_CLOEXEC, DN_CHILD_REPORT + 1);
    close(end[i]);
    end[i] = moved;
    if (moved >= 0) continue;
    close(end[1 - i]);
    is_open = false;
  }
  return is_open ? DN_OK : dn_error(DN_EIO, "no pipe can be made: %s", strerror(errno));
}

/* The pipes of a child under way: [0] is read here, [1] written there. */
typedef struct pipes {
  int output[2], errors[2], report[2], failure[2];
} pipes;

static void close_end(int *end) {
  if (*end >= 0) close(*end);
  *end = -1;
}

static void close_all(pipes *all) {
  int(*each[])[2] = {&all->output, &all->errors, &all->report, &all->failure};
  for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
    close_end(&(*each[i])[0]);
    close_end(&(*each[i])[1]);
  }
}

static dn_status open_pipes(const dn_child_plan *plan, pipes *all) {
  const pipes none = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
  *all = none;
  DN_TRY(dn_child_pipe(all->failure));
  if (plan->output == DN_CHILD_PIPE) DN_TRY(dn_child_pipe(all->output));
  if (plan->errors == DN_CHILD_PIPE) DN_TRY(dn_child_pipe(all->errors));
  if (plan->has_report) {
    DN_TRY(dn_child_pipe(all->report));
    fcntl(all->report[1], F_SETFL, O_NONBLOCK); /* a report that nobody reads is lost */
  }
  return DN_OK;
}

/* The file that `name` means, as a shell finds it. */
static dn_status find_command(const char *name, char path[PATH_MAX]) {
  if (strchr(name, '/')) {
    snprintf(path, PATH_MAX, "%s", name);
    return DN_OK;
  }
  const char *place = getenv("PATH");
  if (!place) place = "/usr/local/bin:/usr/bin:/bin";
  for (;;) {
    const size_t length = strcspn(place, ":");
    const int n =
        snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, place, length > 0 ? "/" : "./", name);
    if (n > 0 && n < PATH_MAX && access(path, X_OK) == 0) return DN_OK;
    if (place[length] == '\0') break;
    place += length + 1;
  }
  return dn_error(DN_EIO, "no command '%s' in PATH", name);
}

/* In the child; -1 and errno. */
static int take_stream(dn_child_stream stream, int end, int target) {
  if (stream == DN_CHILD_INHERIT) return 0;
  const int from = stream == DN_CHILD_PIPE ? end : open("/dev/null", O_RDWR);
  if (from < 0 || dup2(from, target) < 0) return -1;
  if (stream == DN_CHILD_NULL && from > DN_CHILD_REPORT) close(from);
  return 0;
}

static void usual_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; number++) {
    struct sigaction previous;
    /* As nohup has it, for the program that is started too. */
    if (sigaction(number, NULL, &previous) == 0 &&
        !(number == SIGHUP && previous.sa_handler == SIG_IGN))
      sigaction(number, &action, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: what others have left open in this process, or its parent in it, is not the program's. */
static void close_others_on_exec(void) {
  const int first = DN_CHILD_REPORT + 1;
#if defined(SYS_close_range)
  const unsigned on_exec = 1U << 2; /* CLOSE_RANGE_CLOEXEC, which old headers lack */
  if (syscall(SYS_close_range, (unsigned)first, ~0U, on_exec) == 0) return;
#endif
  const long most = sysconf(_SC_OPEN_MAX), some = 65536;
  for (int end = first; end < (most > 0 && most < some ? most : some); end++) {
    const int flags = fcntl(end, F_GETFD);
    if (flags >= 0) fcntl(end, F_SETFD, flags | FD_CLOEXEC);
  }
}

/* In the child: system calls only. */
static void become(const dn_child_plan *plan, const pipes *all, const char *path, pid_t parent) {
  if (plan->has_group) setpgid(0, 0);
#if defined(__linux__)
  if (plan->parent_signal != 0) {
    prctl(PR_SET_PDEATHSIG, plan->parent_signal);
    if (getppid() != parent) _exit(127); /* it has ended in between */
  }
#else
  (void)parent;
#endif
  usual_signals();
  close_others_on_exec();
  if (take_stream(DN_CHILD_NULL, -1, STDIN_FILENO) == 0 &&
      take_stream(plan->output, all->output[1], STDOUT_FILENO) == 0 &&
      take_stream(plan->errors, all->errors[1], STDERR_FILENO) == 0 &&
      (!plan->has_report || dup2(all->report[1], DN_CHILD_REPORT) >= 0)) {
    /* execve reads both lists only; C has no way to say so of lists of lists. */
    union {
      const char *const *from;
      char *const *to;
    } arguments = {plan->arguments}, environment = {plan->environment};
    execve(path, arguments.to, environment.to);
  }
  const int reason = errno;
  if (write(all->failure[1], &reason, sizeof reason) != (ssize_t)sizeof reason) _exit(126);
  _exit(127);
}

/* Waits for exec: 0, or what it failed with. */
static int outcome(int end) {
  int reason = 0;
  ssize_t n;
  do n = read(end, &reason, sizeof reason);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof reason ? reason : 0;
}

/* The end to read from, which from now on waits for nothing. */
static int keep(int *end) {
  const int kept = *end;
  if (kept >= 0) fcntl(kept, F_SETFL, O_NONBLOCK);
  *end = -1;
  return kept;
}

dn_status dn_child_start(const dn_child_plan *plan, dn_child *child) {
  char path[PATH_MAX];
  pipes all;
  *child = (dn_child){.output = -1, .errors = -1, .report = -1, .has_group = plan->has_group};
  DN_TRY(find_command(plan->arguments[0], path));
  const dn_status status = open_pipes(plan, &all);
  if (status != DN_OK) {
    close_all(&all);
    return status;
  }
  const pid_t parent = getpid(), pid = fork();
  if (pid == 0) become(plan, &all, path, parent);
  int reason = pid < 0 ? errno : 0;
  if (pid > 0) {
    close_end(&all.failure[1]);
    reason = outcome(all.failure[0]);
    if (reason != 0)
      while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  if (reason != 0) {
    close_all(&all);
    return dn_error(DN_EIO, "'%s' cannot be started: %s", plan->arguments[0], strerror(reason));
  }
  child->pid = pid;
  child->output = keep(&all.output[0]);
  child->errors = keep(&all.errors[0]);
  child->report = keep(&all.report[0]);
  close_all(&all);
  return DN_OK;
}

dn_child_state dn_child_look(dn_child *child, int *number) {
  int status = 0;
  pid_t pid = 0;
  /* After its end its number may be another process's. */
  if (child->pid > 0 && child->state < DN_CHILD_EXITED) {
    do pid = waitpid(child->pid, &status, WNOHANG | WUNTRACED | WCONTINUED);
    while (pid < 0 && errno == EINTR);
  }
  if (pid < 0) { /* somebody ignores SIGCHLD, or waits for all children: how it ended is lost */
    child->state = DN_CHILD_EXITED;
    child->number = 0;
  } else if (pid > 0 && WIFSTOPPED(status)) {
    child->state = DN_CHILD_STOPPED;
    child->number = WSTOPSIG(status);
  } else if (pid > 0 && WIFSIGNALED(status)) {
    child->state = DN_CHILD_SIGNALED;
    child->number = WTERMSIG(status);
  } else if (pid > 0 && WIFEXITED(status)) {
    child->state = DN_CHILD_EXITED;
    child->number = WEXITSTATUS(status);
  } else if (pid > 0) {
    child->state = DN_CHILD_RUNS;
    child->number = 0;
  }
  *number = child->number;
  return child->state;
}

void dn_child_signal(const dn_child *child, int number, bool to_group) {
  if (child->pid <= 0 || child->state >= DN_CHILD_EXITED) return;
  kill(to_group && child->has_group ? -child->pid : child->pid, number);
}

void dn_child_close(dn_child *child) {
  close_end(&child->output);
  close_end(&child->errors);
  close_end(&child->report);
}
