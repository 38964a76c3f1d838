/*
** Files, as POSIX gives them: read by position, and replaced whole or not at all.
**
** Tensors are kept as their elements' bytes, row-major and little-endian, which is how the hosts
** we run on keep them in memory; a big-endian host is refused when this is compiled.
** Failures are DN_EIO with the action, the path and the system's reason, or DN_EFORMAT where a
** file is shorter than it should be. All functions may be called from any thread.
*/
#ifndef DN_FILE_H
#define DN_FILE_H

#include <sys/stat.h>

#include "dn_tensor.h"

/*
** A file open for reading. What reads a header and then what it tells of keeps the file open between
** the two: another one may take its name at any time.
*/
typedef struct dn_file {
  const char *path; /* the caller's, for messages */
  int descriptor;
  int64_t n_bytes; /* when it was opened */
} dn_file;

/* Anything but a regular file is DN_EIO. Writes *file only on success; close it then. */
dn_status dn_file_open(const char *path, dn_file *file);
void dn_file_close(dn_file *file);

/* Bytes offset..offset+n_bytes-1, all of them or DN_EFORMAT. */
dn_status dn_file_read(const dn_file *file, int64_t offset, int64_t n_bytes, void *into);

/* DN_EFORMAT unless a file of n_file_bytes has these bytes; DN_EARG for a negative number. */
dn_status dn_file_check_range(const char *path, int64_t n_file_bytes, int64_t offset,
                              int64_t n_bytes);

/* Is there a file or directory of that name? */
bool dn_file_exists(const char *path);

/* The elements of `tensor`, contiguous and on the CPU (else DN_EARG), from byte `offset` on. */
dn_status dn_file_read_tensor(const dn_file *file, int64_t offset, dn_tensor *tensor);

/*
** The file becomes `header` followed by the tensors (on the CPU, any strides), one after the other
** without gaps. It is written as PATH.tmp, flushed to the disk and then renamed, so that whatever
** stops this, a full disk or a kill included, leaves what stood under `path` whole. A failure
** removes PATH.tmp; what a killed process left there, or anybody put there, is removed by the next
** write. A symbolic link called `path` is replaced and not followed; a directory, a device or a
** pipe, also behind a link, is DN_EIO. One writer of a path at a time.
*/
dn_status dn_file_write(const char *path, const void *header, int64_t n_header_bytes, int n_tensors,
                        const dn_tensor *const *tensors);

/*
** The path to write instead of `path` where links are to be followed: the last of a chain of
** symbolic links that all belong to this process's user, or `path` itself. Another user's link is
** DN_EIO: in a directory open to others it may point at any file of ours. So is what dn_file_write
** would refuse to replace. `target` has PATH_MAX bytes.
*/
dn_status dn_file_target(const char *path, char *target);

/* The file, or an empty directory, goes away. */
dn_status dn_file_remove(const char *path);

/* A file or directory gets another name; a file that is called `to` is replaced. */
dn_status dn_file_rename(const char *from, const char *to);

/* ---- Shared with the other files of this room ---- */

/* Names that stand in the directory of `path` are on the disk when this returns. */
dn_status dn_file_sync_parent(const char *path);

/* DN_EIO: "cannot ACTION PATH: the reason in errno". */
dn_status dn_file_error(const char *action, const char *path);

/* DN_EIO: "cannot ACTION PATH: it is a directory (or a device or a pipe), not a file". */
dn_status dn_file_irregular(const char *action, const char *path, const struct stat *found);

/*
** How messages show a path: cut, so that a long one cannot push the reason out of the sentence.
*/
#define DN_PATH_FORMAT "%.700s"

#endif
