#include "cuda_launched.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 256 }; /* more than there are kernels */

struct cuda_launched {
  int n;
  const char *names[MOST_NAMES]; /* as given, which lasts */
  int64_t counts[MOST_NAMES];
};

/* Without a template's arguments, and the parenthesis behind them. */
static size_t length_of(const char *name) { return strcspn(name, "<)"); }

dn_status cuda_launched_count(bool on) {
  cuda_device *device = cuda_current();
  free(device->launched);
  device->launched = NULL;
  if (!on) return DN_OK;
  device->launched = (struct cuda_launched *)calloc(1, sizeof *device->launched);
  return device->launched ? DN_OK : dn_error(DN_ENOMEM, "out of memory for a count of launches");
}

void cuda_launched_note(const char *kernel) {
  struct cuda_launched *launched = cuda_current()->launched;
  if (!launched) return;
  const char *const name = kernel[0] == '(' ? kernel + 1 : kernel;
  const size_t length = length_of(name);
  int i = 0;
  while (i < launched->n &&
         (length_of(launched->names[i]) != length || memcmp(launched->names[i], name, length) != 0))
    i++;
  if (i == MOST_NAMES) return;
  if (i == launched->n) launched->names[launched->n++] = name;
  launched->counts[i]++;
}

bool cuda_launched_get(int64_t n, const char **name, int *length, int64_t *count) {
  const struct cuda_launched *launched = cuda_current()->launched;
  if (!launched || n < 0 || n >= launched->n) return false;
  *name = launched->names[n];
  *length = (int)length_of(*name);
  *count = launched->counts[n];
  return true;
}
