/*
** A file is replaced in four steps, each of which leaves either the old file or the new one under
** its name: write the new one beside it, flush it to the disk, rename, flush the directory.
**
** The directory may be one in which others can write. So what is opened for writing is always made
** by that very call: whatever somebody has put under the temporary name, a link or a pipe, goes
** away and is neither followed nor waited for.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dn_file.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are written as they lie in memory, which has to be little-endian"
#endif

typedef struct writer {
  int descriptor;
  const char *path; /* the file's final name, for messages */
} writer;

static dn_status write_bytes(const writer *out, const void *bytes, int64_t n_bytes) {
  const char *rest = bytes;
  while (n_bytes > 0) {
    const ssize_t n = write(out->descriptor, rest, (size_t)n_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return dn_file_error("write", out->path);
    rest += n;
    n_bytes -= n;
  }
  return DN_OK;
}

/*
** The elements of a tensor of any strides in row-major order: `index` counts through all
** dimensions, and elements are gathered in a buffer on their way out.
*/
static dn_status write_gathered(const writer *out, const dn_tensor *tensor) {
  char buffer[1 << 16];
  const size_t element = dn_dtype_size(tensor->dtype);
  const char *from = dn_tensor_data(tensor);
  int64_t index[DN_MAX_DIM] = {0};
  size_t filled = 0;
  for (int64_t left = dn_tensor_count(tensor); left > 0; left--) {
    memcpy(buffer + filled, from, element);
    filled += element;
    if (filled == sizeof buffer || left == 1) {
      DN_TRY(write_bytes(out, buffer, (int64_t)filled));
      filled = 0;
    }
    for (int d = tensor->n_dim - 1; d >= 0; d--) {
      from += tensor->stride[d] * (int64_t)element;
      if (++index[d] < tensor->size[d]) break;
      from -= tensor->size[d] * tensor->stride[d] * (int64_t)element;
      index[d] = 0;
    }
  }
  return DN_OK;
}

static dn_status write_tensor(const writer *out, const dn_tensor *tensor) {
  if (!dn_tensor_is_contiguous(tensor)) return write_gathered(out, tensor);
  const int64_t n_bytes = dn_tensor_count(tensor) * (int64_t)dn_dtype_size(tensor->dtype);
  return write_bytes(out, dn_tensor_data(tensor), n_bytes);
}

static dn_status check_tensors(int n_tensors, const dn_tensor *const *tensors) {
  for (int i = 0; i < n_tensors; i++) {
    if (!tensors[i]->storage) return dn_error(DN_EARG, "tensor %d has been freed", i + 1);
    if (tensors[i]->storage->device != dn_device_cpu())
      return dn_error(DN_EARG, "tensor %d is on %s; a file takes tensors on the CPU", i + 1,
                      tensors[i]->storage->device->name);
  }
  return DN_OK;
}

static dn_status write_all(const writer *out, const void *header, int64_t n_header_bytes,
                           int n_tensors, const dn_tensor *const *tensors) {
  DN_TRY(write_bytes(out, header, n_header_bytes));
  for (int i = 0; i < n_tensors; i++) DN_TRY(write_tensor(out, tensors[i]));
  while (fsync(out->descriptor) != 0)
    if (errno != EINTR) return dn_file_error("flush", out->path);
  return DN_OK;
}

/*
** A new, empty file called `temporary`. Somebody else may make one of this name between the two
** calls; not for ever.
*/
static dn_status open_new(const char *temporary, writer *out) {
  for (int attempt = 0; attempt < 10; attempt++) {
    struct stat found;
    if (lstat(temporary, &found) == 0 && unlink(temporary) != 0 && errno != ENOENT)
      return dn_file_error("remove", temporary);
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    out->descriptor = open(temporary, flags, 0666);
    if (out->descriptor >= 0) return DN_OK;
    if (errno != EEXIST) break;
  }
  return dn_file_error("write", out->path);
}

/* A rename would put a file in the place of a device or a pipe, which is not what it is there for. */
static dn_status check_replaceable(const char *path) {
  struct stat found;
  if (stat(path, &found) != 0 || S_ISREG(found.st_mode)) return DN_OK;
  return dn_file_irregular("write", path, &found);
}

dn_status dn_file_write(const char *path, const void *header, int64_t n_header_bytes, int n_tensors,
                        const dn_tensor *const *tensors) {
  DN_TRY(check_tensors(n_tensors, tensors));
  DN_TRY(check_replaceable(path));
  char temporary[PATH_MAX];
  const int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
  if (length < 0 || (size_t)length >= sizeof temporary) {
    errno = ENAMETOOLONG;
    return dn_file_error("write", path);
  }
  writer out = {.path = path};
  DN_TRY(open_new(temporary, &out));
  dn_status status = write_all(&out, header, n_header_bytes, n_tensors, tensors);
  /* A network file system may report a full disk only now. */
  if (close(out.descriptor) != 0 && status == DN_OK) status = dn_file_error("write", path);
  if (status == DN_OK && rename(temporary, path) != 0) status = dn_file_error("write", path);
  if (status != DN_OK) {
    unlink(temporary);
    return status;
  }
  return dn_file_sync_parent(path);
}

/* `target`, which has PATH_MAX bytes, becomes where the link `path` points to, read from its directory. */
static dn_status read_link(const char *path, char *target) {
  char content[PATH_MAX];
  const ssize_t n = readlink(path, content, sizeof content);
  if (n < 0) return dn_file_error("read the link", path);
  const char *slash = content[0] == '/' ? NULL : strrchr(path, '/');
  const size_t n_directory = slash ? (size_t)(slash - path) + 1 : 0;
  if (n_directory + (size_t)n >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return dn_file_error("follow the link", path);
  }
  memcpy(target, path, n_directory);
  memcpy(target + n_directory, content, (size_t)n);
  target[n_directory + (size_t)n] = '\0';
  return DN_OK;
}

dn_status dn_file_target(const char *path, char *target) {
  enum { MOST_LINKS = 40 };
  if (strlen(path) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return dn_file_error("write", path);
  }
  DN_TRY(check_replaceable(path)); /* /dev/stdout leads to a name that is none, such as pipe:[7] */
  memcpy(target, path, strlen(path) + 1);
  for (int n_links = 0; n_links <= MOST_LINKS; n_links++) {
    struct stat found;
    if (lstat(target, &found) != 0 || !S_ISLNK(found.st_mode)) return DN_OK;
    if (found.st_uid != geteuid())
      return dn_error(DN_EIO, "cannot write " DN_PATH_FORMAT ": %s is another user's symbolic link",
                      path, strcmp(path, target) == 0 ? "it" : "what it points to");
    char from[PATH_MAX];
    memcpy(from, target, strlen(target) + 1);
    DN_TRY(read_link(from, target));
  }
  errno = ELOOP;
  return dn_file_error("write", path);
}
