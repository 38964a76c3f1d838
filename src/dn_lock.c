/*
** run.lock is removed by its holder before it lets go. So whoever gets a lock may have it on a file
** that is no longer there, and whoever opened a directory may find another one under its name: both
** are looked at again once the lock is held, and everything is begun anew when they have changed.
*/
#include "dn_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is what is open still what stands there under its name? */
static bool is_current(const char *path, const dn_lock *lock) {
  struct stat open_directory, named_directory, open_file, named_file;
  return fstat(lock->directory, &open_directory) == 0 && stat(path, &named_directory) == 0 &&
         same_file(&open_directory, &named_directory) && fstat(lock->file, &open_file) == 0 &&
         fstatat(lock->directory, DN_LOCK_NAME, &named_file, AT_SYMLINK_NOFOLLOW) == 0 &&
         same_file(&open_file, &named_file);
}

static void close_both(dn_lock *lock) {
  if (lock->file >= 0) close(lock->file);
  if (lock->directory >= 0) close(lock->directory);
  lock->file = lock->directory = -1;
}

/* "process 12 on host", as the holder wrote it; it may be about to. */
static dn_status report_holder(const char *path, int file) {
  char holder[300];
  const ssize_t n = pread(file, holder, sizeof holder - 1, 0);
  holder[n > 0 ? n : 0] = '\0';
  holder[strcspn(holder, "\n")] = '\0';
  for (char *c = holder; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  return dn_error(DN_EIO, DN_PATH_FORMAT " is in use by %s", path,
                  holder[0] ? holder : "another process");
}

/* Only for messages, so a full disk is no failure. */
static void write_holder(int file) {
  char host[256] = "", line[300];
  if (gethostname(host, sizeof host - 1) != 0 || !host[0]) snprintf(host, sizeof host, "this host");
  const int n = snprintf(line, sizeof line, "process %ld on %s\n", (long)getpid(), host);
  if (ftruncate(file, 0) != 0 || pwrite(file, line, (size_t)n, 0) < 0) return;
}

static dn_status open_both(const char *path, dn_lock *lock) {
  lock->file = -1;
  lock->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock->directory < 0) return dn_file_error("lock", path);
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  lock->file = openat(lock->directory, DN_LOCK_NAME, flags, 0666);
  struct stat found;
  if (lock->file < 0 || fstat(lock->file, &found) != 0) return dn_file_error("lock", path);
  if (S_ISREG(found.st_mode)) return DN_OK;
  return dn_error(DN_EIO, "cannot lock " DN_PATH_FORMAT ": its " DN_LOCK_NAME " is not a file",
                  path);
}

static int lock_at_once(int file) {
  int failed;
  do failed = flock(file, LOCK_EX | LOCK_NB);
  while (failed != 0 && errno == EINTR);
  return failed;
}

dn_status dn_lock_take(const char *directory, dn_lock *lock) {
  enum { MOST_TRIES = 100 }; /* each is lost only to another process that comes or goes */
  for (int i = 0; i < MOST_TRIES; i++) {
    dn_lock taken;
    dn_status status = open_both(directory, &taken);
    if (status == DN_OK && lock_at_once(taken.file) != 0)
      status = errno == EWOULDBLOCK ? report_holder(directory, taken.file)
                                    : dn_file_error("lock", directory);
    if (status == DN_OK && is_current(directory, &taken)) {
      write_holder(taken.file);
      *lock = taken;
      return DN_OK;
    }
    close_both(&taken);
    if (status != DN_OK) return status;
  }
  return dn_error(DN_EIO, "cannot lock " DN_PATH_FORMAT ": others come and go there", directory);
}

void dn_lock_release(dn_lock *lock) {
  if (lock->file >= 0) unlinkat(lock->directory, DN_LOCK_NAME, 0);
  close_both(lock);
}
