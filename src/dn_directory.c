#define _XOPEN_SOURCE 700 /* realpath */

#include "dn_directory.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_directory(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

/* `path` is as far as it has come, `whole` what was asked for. */
static dn_status make_one(const char *path, const char *whole) {
  if (mkdir(path, 0777) == 0) return dn_file_sync_parent(path);
  /* Not only EEXIST: a directory on a read-only system may stand there under another errno. */
  const int code = errno;
  if (is_directory(path)) return DN_OK;
  errno = code == EEXIST ? ENOTDIR : code;
  return dn_file_error("make directory", whole);
}

dn_status dn_directory_make(const char *path) {
  char part[PATH_MAX];
  const size_t length = strlen(path);
  if (length == 0 || length >= sizeof part) {
    errno = length == 0 ? ENOENT : ENAMETOOLONG;
    return dn_file_error("make directory", path);
  }
  memcpy(part, path, length + 1);
  for (size_t i = 1; i < length; i++) {
    if (part[i] != '/') continue;
    part[i] = '\0';
    DN_TRY(make_one(part, path));
    part[i] = '/';
  }
  return make_one(part, path);
}

dn_status dn_directory_real(const char *path, char *real) {
  return realpath(path, real) ? DN_OK : dn_file_error("find", path);
}

static int is_listed(const struct dirent *entry) {
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

dn_status dn_directory_list(const char *path, dn_directory *directory) {
  struct dirent **entries;
  const int n_entries = scandir(path, &entries, is_listed, by_name);
  if (n_entries < 0) return dn_file_error("list", path);
  directory->entries = entries;
  directory->n_entries = n_entries;
  return DN_OK;
}

const char *dn_directory_name(const dn_directory *directory, int index) {
  return directory->entries[index]->d_name;
}

void dn_directory_free(dn_directory *directory) {
  for (int i = 0; i < directory->n_entries; i++) free(directory->entries[i]);
  free(directory->entries);
  directory->entries = NULL;
  directory->n_entries = 0;
}
