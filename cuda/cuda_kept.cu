#include "cuda_kept.h"

#include <stdlib.h>

static const int64_t FIRST_ROOM = 256;

/* Where the storage is, or would be. */
static int64_t place_of(const cuda_kept *kept, const dn_storage *storage) {
  const uint64_t mixed = (uint64_t)(uintptr_t)storage * UINT64_C(0x9E3779B97F4A7C15);
  int64_t i = (int64_t)(mixed >> 16) & (kept->room - 1);
  while (kept->slots[i] && kept->slots[i] != storage) i = (i + 1) & (kept->room - 1);
  return i;
}

static dn_status grow(cuda_kept *kept) {
  const cuda_kept before = *kept;
  const int64_t room = before.room > 0 ? 2 * before.room : FIRST_ROOM;
  dn_storage **slots = (dn_storage **)calloc((size_t)room, sizeof *slots);
  if (!slots) return dn_error(DN_ENOMEM, "out of memory for what a captured step keeps");
  kept->slots = slots;
  kept->room = room;
  for (int64_t i = 0; i < before.room; i++)
    if (before.slots[i]) slots[place_of(kept, before.slots[i])] = before.slots[i];
  free(before.slots);
  return DN_OK;
}

dn_status cuda_kept_add(cuda_kept *kept, dn_storage *storage) {
  if (2 * (kept->n + 1) > kept->room) DN_TRY(grow(kept));
  dn_storage **const slot = &kept->slots[place_of(kept, storage)];
  if (*slot) return DN_OK;
  *slot = dn_storage_retain(storage);
  kept->n++;
  return DN_OK;
}

void cuda_kept_clear(cuda_kept *kept) {
  for (int64_t i = 0; i < kept->room; i++) dn_storage_release(kept->slots[i]);
  free(kept->slots);
  kept->slots = NULL;
  kept->n = kept->room = 0;
}
