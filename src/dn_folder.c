#define _DEFAULT_SOURCE /* d_type */

#include "dn_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Memory that grows at its end. */
typedef struct growing {
  void *block;
  int64_t n_bytes, room_bytes;
} growing;

/* One folder of a class that was listed. */
typedef struct folder_identity {
  dev_t device;
  ino_t number;
} folder_identity;

typedef struct scan {
  growing names, offsets, bounds, classes, folders, times;
  growing visited; /* folder_identity, of the class under way */
  char path[PATH_MAX];
  bool classes_only;
  size_t n_root; /* characters of `path` that are the root and its slash */
} scan;

static dn_status append(growing *whole, const void *bytes, size_t n_bytes) {
  const int64_t wanted = whole->n_bytes + (int64_t)n_bytes;
  if (wanted > whole->room_bytes) {
    const int64_t room = wanted > 2 * whole->room_bytes ? wanted + 4096 : 2 * whole->room_bytes;
    void *block;
    DN_TRY(dn_alloc(dn_device_cpu(), room, &block));
    if (whole->n_bytes > 0) memcpy(block, whole->block, (size_t)whole->n_bytes);
    dn_free(dn_device_cpu(), whole->block, whole->room_bytes);
    whole->block = block;
    whole->room_bytes = room;
  }
  memcpy((char *)whole->block + whole->n_bytes, bytes, n_bytes);
  whole->n_bytes = wanted;
  return DN_OK;
}

static dn_status append_number(growing *whole, int64_t number) {
  return append(whole, &number, sizeof number);
}

static dn_status append_text(growing *whole, const char *text) {
  return append(whole, text, strlen(text) + 1);
}

static void release(growing *whole) {
  dn_free(dn_device_cpu(), whole->block, whole->room_bytes);
  *whole = (growing){0};
}

static bool is_image(const char *name) {
  static const char *const extensions[] = {"jpg", "jpeg", "png", "ppm", "pgm", "bmp"};
  const char *dot = strrchr(name, '.');
  if (!dot) return false;
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
    if (strcasecmp(dot + 1, extensions[i]) == 0) return true;
  return false;
}

/* The path becomes its first `length` characters, a slash where one lacks, and `name`. */
static dn_status descend(scan *s, size_t length, const char *name) {
  const size_t n_name = strlen(name);
  if (length + 1 + n_name >= sizeof s->path) {
    errno = ENAMETOOLONG;
    return dn_file_error("list", s->path);
  }
  if (length > s->n_root) s->path[length++] = '/';
  memcpy(s->path + length, name, n_name + 1);
  return DN_OK;
}

dn_status dn_folder_times(const char *path, int64_t times[2]) {
  struct stat found;
  if (stat(path, &found) != 0) return dn_file_error("find", path);
  const int64_t billion = 1000000000;
  times[0] = (int64_t)found.st_mtim.tv_sec * billion + found.st_mtim.tv_nsec;
  times[1] = (int64_t)found.st_ctim.tv_sec * billion + found.st_ctim.tv_nsec;
  return DN_OK;
}

/* Notes the folder at the path, before it is listed: what changes during the listing changes its time. */
static dn_status note_folder(scan *s) {
  int64_t times[2];
  DN_TRY(dn_folder_times(s->path, times));
  DN_TRY(append_text(&s->folders, strlen(s->path) > s->n_root ? s->path + s->n_root : ""));
  return append(&s->times, times, sizeof times);
}

typedef enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_LINK /* to a folder */ } entry_kind;

/* What stands at the path. Only what the listing does not tell is asked of the system. */
static entry_kind kind_of(const scan *s, unsigned char type) {
  struct stat found;
  if (type == DT_DIR) return ENTRY_FOLDER;
  if (type != DT_LNK && type != DT_UNKNOWN) return ENTRY_FILE;
  if (type == DT_UNKNOWN && lstat(s->path, &found) == 0 && S_ISDIR(found.st_mode))
    return ENTRY_FOLDER;
  return stat(s->path, &found) == 0 && S_ISDIR(found.st_mode) ? ENTRY_LINK : ENTRY_FILE;
}

/* *is_new: the folder at the path has not been listed in this class, and is noted now. */
static dn_status visit(scan *s, bool *is_new) {
  struct stat found;
  if (stat(s->path, &found) != 0) return dn_file_error("list", s->path);
  const folder_identity *visited = s->visited.block;
  const int64_t n_visited = s->visited.n_bytes / (int64_t)sizeof *visited;
  *is_new = false;
  for (int64_t i = 0; i < n_visited; i++)
    if (visited[i].device == found.st_dev && visited[i].number == found.st_ino) return DN_OK;
  *is_new = true;
  const folder_identity identity = {found.st_dev, found.st_ino};
  return append(&s->visited, &identity, sizeof identity);
}

static dn_status scan_images(scan *s);

/* Entries of the listed folder, whose path is the first `length` characters: its images, or the folders. */
static dn_status scan_entries(scan *s, size_t length, const dn_directory *listed,
                              entry_kind wanted) {
  for (int i = 0; i < listed->n_entries; i++) {
    const char *name = dn_directory_name(listed, i);
    if (name[0] == '.') continue;
    DN_TRY(descend(s, length, name));
    if (kind_of(s, listed->entries[i]->d_type) != wanted) continue;
    if (wanted != ENTRY_FILE) {
      DN_TRY(scan_images(s));
    } else if (is_image(name)) {
      DN_TRY(append_number(&s->offsets, s->names.n_bytes));
      DN_TRY(append_text(&s->names, s->path + s->n_root));
    }
  }
  return DN_OK;
}

/* The images in the folder at the path and below. Links come last, so that what they repeat is passed over. */
static dn_status scan_images(scan *s) {
  const size_t length = strlen(s->path);
  bool is_new;
  dn_directory listed;
  DN_TRY(visit(s, &is_new));
  if (!is_new) return DN_OK;
  DN_TRY(note_folder(s));
  DN_TRY(dn_directory_list(s->path, &listed));
  dn_status status = DN_OK;
  for (entry_kind wanted = ENTRY_FILE; status == DN_OK && wanted <= ENTRY_LINK; wanted++)
    status = scan_entries(s, length, &listed, wanted);
  dn_directory_free(&listed);
  s->path[length] = '\0';
  return status;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Images from number `first` on, in the order of their paths. */
static dn_status sort_images(scan *s, int64_t first) {
  int64_t *offsets = (int64_t *)s->offsets.block + first;
  const int64_t n_images = s->offsets.n_bytes / (int64_t)sizeof *offsets - first;
  if (n_images < 2) return DN_OK;
  const char *names = s->names.block;
  const char **paths;
  void *block;
  const int64_t n_bytes = n_images * (int64_t)sizeof *paths;
  DN_TRY(dn_alloc(dn_device_cpu(), n_bytes, &block));
  paths = block;
  for (int64_t i = 0; i < n_images; i++) paths[i] = names + offsets[i];
  qsort(paths, (size_t)n_images, sizeof *paths, by_bytes);
  for (int64_t i = 0; i < n_images; i++) offsets[i] = paths[i] - names;
  dn_free(dn_device_cpu(), block, n_bytes);
  return DN_OK;
}

static dn_status scan_class(scan *s, const char *name, unsigned char type) {
  DN_TRY(descend(s, s->n_root, name));
  if (kind_of(s, type) == ENTRY_FILE) return DN_OK;
  const int64_t first = s->offsets.n_bytes / (int64_t)sizeof first;
  s->visited.n_bytes = 0;
  DN_TRY(append_text(&s->classes, name));
  if (!s->classes_only) DN_TRY(scan_images(s));
  DN_TRY(sort_images(s, first));
  return append_number(&s->bounds, s->offsets.n_bytes / (int64_t)sizeof first);
}

static dn_status scan_root(scan *s, const dn_directory *listed) {
  DN_TRY(append_number(&s->bounds, 0));
  for (int i = 0; i < listed->n_entries; i++) {
    const char *name = dn_directory_name(listed, i);
    if (name[0] != '.') DN_TRY(scan_class(s, name, listed->entries[i]->d_type));
  }
  return DN_OK;
}

/* What was gathered, as a tensor of its own; n_columns is 0 for a vector. */
static dn_status finish(const growing *from, dn_dtype dtype, int64_t n_columns, dn_tensor *tensor) {
  const int64_t n_elements = from->n_bytes / (dtype == DN_LONG ? 8 : 1);
  const int64_t size[2] = {n_columns > 0 ? n_elements / n_columns : n_elements, n_columns};
  DN_TRY(dn_tensor_new(dn_device_cpu(), dtype, n_columns > 0 ? 2 : 1, size, tensor));
  if (from->n_bytes > 0) memcpy(dn_tensor_data(tensor), from->block, (size_t)from->n_bytes);
  return DN_OK;
}

static dn_status finish_all(const scan *s, dn_folder *folder) {
  DN_TRY(finish(&s->names, DN_BYTE, 0, &folder->names));
  DN_TRY(finish(&s->offsets, DN_LONG, 0, &folder->offsets));
  DN_TRY(finish(&s->bounds, DN_LONG, 0, &folder->bounds));
  DN_TRY(finish(&s->classes, DN_BYTE, 0, &folder->classes));
  DN_TRY(finish(&s->folders, DN_BYTE, 0, &folder->folders));
  return finish(&s->times, DN_LONG, 2, &folder->times);
}

static dn_status scan_all(scan *s, const char *root) {
  const size_t length = strlen(root);
  dn_directory listed;
  if (length == 0 || length + 1 >= sizeof s->path) {
    errno = length == 0 ? ENOENT : ENAMETOOLONG;
    return dn_file_error("list", root);
  }
  memcpy(s->path, root, length + 1);
  if (s->path[length - 1] != '/') memcpy(s->path + length, "/", 2);
  s->n_root = strlen(s->path);
  DN_TRY(note_folder(s));
  DN_TRY(dn_directory_list(root, &listed));
  const dn_status status = scan_root(s, &listed);
  dn_directory_free(&listed);
  return status;
}

dn_status dn_folder_scan(const char *root, bool classes_only, dn_folder *folder) {
  scan s = {.classes_only = classes_only};
  dn_folder found = {0};
  dn_status status = scan_all(&s, root);
  if (status == DN_OK) status = finish_all(&s, &found);
  growing *const gathered[] = {&s.names,   &s.offsets, &s.bounds, &s.classes,
                               &s.folders, &s.times,   &s.visited};
  for (size_t i = 0; i < sizeof gathered / sizeof *gathered; i++) release(gathered[i]);
  if (status == DN_OK)
    *folder = found;
  else
    dn_folder_free(&found);
  return status;
}

void dn_folder_free(dn_folder *folder) {
  dn_tensor *const tensors[] = {&folder->names,   &folder->offsets, &folder->bounds,
                                &folder->classes, &folder->folders, &folder->times};
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) dn_tensor_free(tensors[i]);
}
