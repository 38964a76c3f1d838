#include "dn_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "files are addressed with 64 bits");

dn_status dn_file_error(const char *action, const char *path) {
  const int code = errno;
  char reason[128];
  if (strerror_r(code, reason, sizeof reason) != 0)
    snprintf(reason, sizeof reason, "error %d", code);
  return dn_error(DN_EIO, "cannot %s " DN_PATH_FORMAT ": %s", action, path, reason);
}

dn_status dn_file_irregular(const char *action, const char *path, const struct stat *found) {
  return dn_error(DN_EIO, "cannot %s " DN_PATH_FORMAT ": it is %s, not a file", action, path,
                  S_ISDIR(found->st_mode) ? "a directory" : "a device or a pipe");
}

/* A device or a pipe has no size to check, and opening a pipe could wait for ever. */
static dn_status check_regular(const char *path, const struct stat *found) {
  return S_ISREG(found->st_mode) ? DN_OK : dn_file_irregular("read", path, found);
}

bool dn_file_exists(const char *path) {
  struct stat found;
  return stat(path, &found) == 0;
}

dn_status dn_file_open(const char *path, dn_file *file) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return dn_file_error("read", path);
  struct stat found;
  const dn_status status =
      fstat(descriptor, &found) != 0 ? dn_file_error("read", path) : check_regular(path, &found);
  if (status != DN_OK) {
    close(descriptor);
    return status;
  }
  const dn_file opened = {.path = path, .descriptor = descriptor, .n_bytes = found.st_size};
  *file = opened;
  return DN_OK;
}

void dn_file_close(dn_file *file) { close(file->descriptor); }

dn_status dn_file_check_range(const char *path, int64_t n_file_bytes, int64_t offset,
                              int64_t n_bytes) {
  if (offset < 0 || n_bytes < 0)
    return dn_error(DN_EARG, "%" PRId64 " bytes from byte %" PRId64 " of a file", n_bytes, offset);
  if (offset <= n_file_bytes && n_bytes <= n_file_bytes - offset) return DN_OK;
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": has %" PRId64 " bytes; expected %" PRId64
                                 " bytes from byte %" PRId64,
                  path, n_file_bytes, n_bytes, offset);
}

dn_status dn_file_read(const dn_file *file, int64_t offset, int64_t n_bytes, void *into) {
  DN_TRY(dn_file_check_range(file->path, file->n_bytes, offset, n_bytes));
  char *rest = into;
  int64_t position = offset;
  const int64_t end = offset + n_bytes;
  while (position < end) {
    const ssize_t n = pread(file->descriptor, rest, (size_t)(end - position), position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return dn_file_error("read", file->path);
    /* Somebody has cut the file since it was opened. */
    if (n == 0) return dn_file_check_range(file->path, position, offset, n_bytes);
    rest += n;
    position += n;
  }
  return DN_OK;
}

dn_status dn_file_read_tensor(const dn_file *file, int64_t offset, dn_tensor *tensor) {
  if (!tensor->storage) return dn_error(DN_EARG, "the tensor has been freed");
  if (tensor->storage->device != dn_device_cpu())
    return dn_error(DN_EARG, "a file is read into a tensor on the CPU, got one on %s",
                    tensor->storage->device->name);
  if (!dn_tensor_is_contiguous(tensor))
    return dn_error(DN_EARG, "a file is read into a contiguous tensor");
  const int64_t n_bytes = dn_tensor_count(tensor) * (int64_t)dn_dtype_size(tensor->dtype);
  dn_storage_written(tensor->storage);
  return dn_file_read(file, offset, n_bytes, dn_tensor_data(tensor));
}

dn_status dn_file_sync_parent(const char *path) {
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  const size_t length = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
  if (length >= sizeof parent) {
    errno = ENAMETOOLONG;
    return dn_file_error("flush the directory of", path);
  }
  memcpy(parent, path, length);
  memcpy(parent + length, length ? "" : ".", length ? 1 : 2);
  const int descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Some file systems let nobody open or flush a directory; there is no more to be done there. */
  if (descriptor < 0) return errno == EACCES ? DN_OK : dn_file_error("flush", parent);
  int failed;
  do failed = fsync(descriptor) != 0;
  while (failed && errno == EINTR);
  const dn_status status =
      failed && errno != EINVAL && errno != ENOTSUP ? dn_file_error("flush", parent) : DN_OK;
  close(descriptor);
  return status;
}

dn_status dn_file_remove(const char *path) {
  return remove(path) == 0 ? DN_OK : dn_file_error("remove", path);
}

dn_status dn_file_rename(const char *from, const char *to) {
  if (rename(from, to) != 0) {
    const int code = errno;
    char action[800];
    snprintf(action, sizeof action, "rename " DN_PATH_FORMAT " to", from);
    errno = code;
    return dn_file_error(action, to);
  }
  return dn_file_sync_parent(to);
}
