/*
** Preloaded (LD_PRELOAD), it makes file operations of a program fail, as a full or broken disk would:
**
**   FAULT_DIRECTORY   only operations on what is below this path count, from 1
**   FAULT_AT=n        the n-th fails;  FAULT_EVERY=n  every n-th does
**   FAULT_ERROR       ENOSPC (writing operations fail with it, all others with EIO) or EIO
**   FAULT_REPORT      a file that gets the number of operations when the process ends
**
** A write that fails has written half of what it was given, as on a disk that fills up.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 1024 };
static atomic_bool is_watched[MOST_DESCRIPTORS];
static atomic_long n_operations;

static bool is_below(const char *path) {
  const char *directory = getenv("FAULT_DIRECTORY");
  return directory && path && strncmp(path, directory, strlen(directory)) == 0;
}

static bool watches(int descriptor) {
  return descriptor >= 0 && descriptor < MOST_DESCRIPTORS && is_watched[descriptor];
}

static int watch(int descriptor, bool on) {
  if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) is_watched[descriptor] = on;
  return descriptor;
}

static long number_of(const char *name) {
  const char *text = getenv(name);
  return text ? strtol(text, NULL, 10) : 0;
}

/* Counts an operation; true, with errno set, when it is one that has to fail. */
static bool fails(bool writes) {
  const long n = atomic_fetch_add(&n_operations, 1) + 1, at = number_of("FAULT_AT"),
             every = number_of("FAULT_EVERY");
  if (n != at && !(every > 0 && n % every == 0)) return false;
  const char *error = getenv("FAULT_ERROR");
  errno = writes && error && strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
  return true;
}

/* The C library's own function of this name. */
#define REAL(type, name, ...)       \
  static type (*real)(__VA_ARGS__); \
  if (!real) *(void **)(&real) = dlsym(RTLD_NEXT, #name)

static mode_t mode_of(int flags, va_list list) {
  return flags & O_CREAT ? (mode_t)va_arg(list, int) : 0;
}

#define DEFINE_OPEN(name)                            \
  int name(const char *path, int flags, ...);        \
  int name(const char *path, int flags, ...) {       \
    REAL(int, name, const char *, int, ...);         \
    va_list list;                                    \
    va_start(list, flags);                           \
    const mode_t mode = mode_of(flags, list);        \
    va_end(list);                                    \
    const bool counts = is_below(path);              \
    if (counts && fails(flags & O_CREAT)) return -1; \
    return watch(real(path, flags, mode), counts);   \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

int openat(int directory, const char *path, int flags, ...) {
  REAL(int, openat, int, const char *, int, ...);
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  const bool counts = watches(directory) || is_below(path);
  if (counts && fails(flags & O_CREAT)) return -1;
  return watch(real(directory, path, flags, mode), counts);
}

int close(int descriptor) {
  REAL(int, close, int);
  const bool counts = watches(descriptor);
  watch(descriptor, false);
  const int result = real(descriptor); /* closed even where it reports a failure */
  return counts && fails(true) ? -1 : result;
}

ssize_t write(int descriptor, const void *bytes, size_t n_bytes) {
  REAL(ssize_t, write, int, const void *, size_t);
  if (watches(descriptor) && fails(true)) {
    const int code = errno;
    if (n_bytes > 1 && real(descriptor, bytes, n_bytes / 2) < 0) return -1;
    errno = code;
    return -1;
  }
  return real(descriptor, bytes, n_bytes);
}

ssize_t pread(int descriptor, void *bytes, size_t n_bytes, off_t offset) {
  REAL(ssize_t, pread, int, void *, size_t, off_t);
  return watches(descriptor) && fails(false) ? -1 : real(descriptor, bytes, n_bytes, offset);
}

int fsync(int descriptor) {
  REAL(int, fsync, int);
  return watches(descriptor) && fails(true) ? -1 : real(descriptor);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  return is_below(path) && fails(true) ? -1 : real(path, mode);
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  return is_below(to) && fails(true) ? -1 : real(from, to);
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  return is_below(path) && fails(false) ? -1 : real(path);
}

int remove(const char *path) {
  REAL(int, remove, const char *);
  return is_below(path) && fails(false) ? -1 : real(path);
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("FAULT_REPORT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld\n", atomic_load(&n_operations));
  fclose(file);
}
