#include "dn_account.h"

enum { MOST_DEVICES = 40 }; /* "cpu", "plan", 16 GPUs and their plans, and some */

typedef struct entry {
  const dn_device *device;
  atomic_llong n_bytes;
} entry;

/* Entries are added by the owner alone, before the first storage that other threads could free. */
struct dn_account {
  atomic_int n_holders;
  atomic_int n_entries;
  entry entries[MOST_DEVICES];
};

dn_status dn_account_new(dn_account **account) {
  *account = NULL;
  void *block;
  DN_TRY(dn_alloc(dn_device_cpu(), (int64_t)sizeof(dn_account), &block));
  dn_account *made = block;
  atomic_init(&made->n_holders, 1);
  atomic_init(&made->n_entries, 0);
  *account = made;
  return DN_OK;
}

void dn_account_release(dn_account *account) {
  if (!account) return;
  if (atomic_fetch_sub_explicit(&account->n_holders, 1, memory_order_acq_rel) != 1) return;
  dn_free(dn_device_cpu(), account, (int64_t)sizeof(dn_account));
}

static int find(const dn_account *account, const dn_device *device) {
  const int n = atomic_load_explicit(&account->n_entries, memory_order_acquire);
  for (int i = 0; i < n; i++)
    if (account->entries[i].device == device) return i;
  return -1;
}

void dn_account_enter(dn_account *account, dn_storage *storage) {
  int i = find(account, storage->device);
  if (i < 0) {
    i = atomic_load_explicit(&account->n_entries, memory_order_relaxed);
    if (i == MOST_DEVICES) return;
    account->entries[i].device = storage->device;
    atomic_init(&account->entries[i].n_bytes, 0);
    atomic_store_explicit(&account->n_entries, i + 1, memory_order_release);
  }
  atomic_fetch_add_explicit(&account->entries[i].n_bytes, storage->n_bytes, memory_order_relaxed);
  atomic_fetch_add_explicit(&account->n_holders, 1, memory_order_relaxed);
  storage->account = account;
}

void dn_account_leave(dn_storage *storage) {
  dn_account *account = storage->account;
  if (!account) return;
  const int i = find(account, storage->device);
  if (i >= 0)
    atomic_fetch_sub_explicit(&account->entries[i].n_bytes, storage->n_bytes, memory_order_relaxed);
  storage->account = NULL;
  dn_account_release(account);
}

int64_t dn_account_bytes(const dn_account *account, const dn_device *device) {
  const int i = find(account, device);
  return i < 0 ? 0 : atomic_load_explicit(&account->entries[i].n_bytes, memory_order_relaxed);
}
