#define _GNU_SOURCE /* dladdr */
#include "dn_cuda.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const dn_cuda_host host = {
    .n_bytes = sizeof(dn_cuda_host),
    .error_list = dn_error_list,
    .error_message = dn_error_message,
    .alloc = dn_alloc,
    .free = dn_free,
    .storage_new = dn_storage_new,
    .storage_retain = dn_storage_retain,
    .storage_release = dn_storage_release,
};

/* cuda.so in the directory of the object that holds this function. */
static bool find_object(char path[PATH_MAX]) {
  Dl_info here;
  if (!dladdr((const void *)&host, &here) || !here.dli_fname) return false;
  const char *slash = strrchr(here.dli_fname, '/');
  const int length = slash ? (int)(slash - here.dli_fname) + 1 : 0;
  const int n = snprintf(path, PATH_MAX, "%.*scuda.so", length, here.dli_fname);
  return n > 0 && n < PATH_MAX && access(path, R_OK) == 0;
}

static dn_status load(dn_cuda_module *module) {
  char path[PATH_MAX];
  if (!find_object(path))
    return dn_error(DN_EDEVICE,
                    "no CUDA: cuda.so is not beside core.so; make builds it where it finds nvcc");
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!object) return dn_error(DN_EDEVICE, "no CUDA: %s", dlerror());
  /* ISO C knows no way from an object pointer to a function. */
  dn_cuda_entry *entry = NULL;
  void *symbol = dlsym(object, DN_CUDA_ENTRY);
  memcpy(&entry, &symbol, sizeof entry);
  const dn_status status =
      entry ? entry(&host, module)
            : dn_error(DN_EDEVICE, "no CUDA: %s is of another version of densenet", path);
  if (status != DN_OK) dlclose(object);
  return status;
}

dn_status dn_cuda_load(const dn_cuda_module **module) {
  static dn_cuda_module loaded;
  static bool is_loaded;
  if (!is_loaded) DN_TRY(load(&loaded));
  is_loaded = true;
  *module = &loaded;
  return DN_OK;
}
