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

/* core.so itself is no plugin. */
bool dn_plugin_is_known(const char *name) {
  char path[PATH_MAX];
  return position_of(name) < N_KNOWN || (strcmp(name, "core") != 0 && find_object(name, path));
}

dn_status dn_plugin_load(const char *name, dn_plugin *plugin) {
  char path[PATH_MAX];
  const int i = position_of(name);
  const char *title = i < N_KNOWN ? known[i].title : name;
  if (!find_object(name, path))
    return dn_error(DN_EDEVICE, "no %s: %s.so is not beside core.so; %s", title, name,
                    i < N_KNOWN ? known[i].why_missing : "it is no part of this build");
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!object) return dn_error(DN_EDEVICE, "no %s: %s", title, dlerror());
  /* ISO C knows no way from an object pointer to a function. */
  dn_plugin_entry *entry = NULL;
  void *symbol = dlsym(object, DN_PLUGIN_ENTRY);
  memcpy(&entry, &symbol, sizeof entry);
  const dn_status status =
      entry ? entry(&host, plugin)
            : dn_error(DN_EDEVICE, "no %s: %s is of another version of densenet", title, path);
  if (status != DN_OK) dlclose(object);
  return status;
}
