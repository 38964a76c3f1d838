/*
** Directories: made with their parents, and listed in an order that does not depend on the file
** system or the locale, because the order of a folder's names becomes the order of its classes.
*/
#ifndef DN_DIRECTORY_H
#define DN_DIRECTORY_H

#include "dn_file.h"

struct dirent;

typedef struct dn_directory {
  struct dirent **entries; /* sorted by the bytes of their names, without "." and ".." */
  int n_entries;
} dn_directory;

/* The directory and those above it that are missing; one that exists already is fine. DN_EIO. */
dn_status dn_directory_make(const char *path);

/* Writes *directory only on success; free it then. DN_EIO. */
dn_status dn_directory_list(const char *path, dn_directory *directory);

/* The path of what is there, without symbolic links and dots; `real` has PATH_MAX bytes. DN_EIO. */
dn_status dn_directory_real(const char *path, char *real);

/* Name of entry 0..n_entries-1. */
const char *dn_directory_name(const dn_directory *directory, int index);

/* Gives the entries back; idempotent. */
void dn_directory_free(dn_directory *directory);

#endif
