#define _GNU_SOURCE /* dladdr */
#include "dn_plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const dn_plugin_host host = {
    .n_bytes = sizeof(dn_plugin_host),
    .error_list = dn_error_list,
    .error_message = dn_error_message,
    .alloc = dn_alloc,
    .free = dn_free,
    .storage_new = dn_storage_new,
    .storage_retain = dn_storage_retain,
    .storage_release = dn_storage_release,
    .plan_call = dn_plan_call,
    .plan_touch = dn_plan_touch,
};

/* Backends of this project, and why one may not be there. */
static const struct {
  const char *name, *title, *why_missing;
} known[] = {{"cuda", "CUDA", "make builds it where it finds nvcc"}};

enum { N_KNOWN = sizeof known / sizeof known[0] };

static int position_of(const char *name) {
  int i = 0;
  while (i < N_KNOWN && strcmp(known[i].name, name) != 0) i++;
  return i;
}

/* NAME.so in the directory of the object that holds this function. */
static bool find_object(const char *name, char path[PATH_MAX]) {
  Dl_info here;
  if (!dladdr((const void *)&host, &here) || !here.dli_fname) return false;
  const char *slash = strrchr(here.dli_fname, '/');
  const int length = slash ? (int)(slash - here.dli_fname) + 1 : 0;
  const int n = snprintf(path, PATH_MAX, "%.*s%s.so", length, here.dli_fname, name);
  return n > 0 && n < PATH_MAX && access(path, R_OK) == 0;
}

/* Objects beside core.so that hold no device: the library itself, and engines of dn_comm.h. */
static bool is_other_object(const char *name) {
  static const char *const others[] = {"core", "mpi", "nccl"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp(name, others[i]) == 0) return true;
  return false;
}

bool dn_plugin_is_known(const char *name) {
  char path[PATH_MAX];
  return position_of(name) < N_KNOWN || (!is_other_object(name) && find_object(name, path));
}

/* The object, and its symbol. */
static dn_status open_object(const char *name, const char *title, const char *why_missing, int mode,
                             const char *symbol_name, void **object, void **symbol) {
  char path[PATH_MAX];
  if (!find_object(name, path))
    return dn_error(DN_EDEVICE, "no %s: %s.so is not beside core.so; %s", title, name, why_missing);
  *object = dlopen(path, mode);
  if (!*object) return dn_error(DN_EDEVICE, "no %s: %s", title, dlerror());
  *symbol = dlsym(*object, symbol_name);
  if (*symbol) return DN_OK;
  dlclose(*object);
  return dn_error(DN_EDEVICE, "no %s: %s is of another version of densenet", title, path);
}

dn_status dn_plugin_symbol(const char *name, const char *title, const char *why_missing,
                           const char *symbol_name, void **symbol) {
  void *object = NULL;
  return open_object(name, title, why_missing, RTLD_NOW | RTLD_GLOBAL, symbol_name, &object,
                     symbol);
}

dn_status dn_plugin_load(const char *name, dn_plugin *plugin) {
  const int i = position_of(name);
  void *object = NULL, *symbol = NULL;
  DN_TRY(open_object(name, i < N_KNOWN ? known[i].title : name,
                     i < N_KNOWN ? known[i].why_missing : "it is no part of this build",
                     RTLD_NOW | RTLD_LOCAL, DN_PLUGIN_ENTRY, &object, &symbol));
  /* ISO C knows no way from an object pointer to a function. */
  dn_plugin_entry *entry = NULL;
  memcpy(&entry, &symbol, sizeof entry);
  const dn_status status = entry(&host, plugin);
  if (status != DN_OK) dlclose(object);
  return status;
}
