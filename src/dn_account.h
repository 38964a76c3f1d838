/*
** An account says how many bytes of tensors its owner, a Lua state, has made and not yet seen freed,
** device by device. Storages enter it and leave it by themselves when their bytes are given back,
** wherever that happens: a tensor may outlive the state that made it, in another one. So an account
** lives until its owner and its last storage have let go of it.
*/
#ifndef DN_ACCOUNT_H
#define DN_ACCOUNT_H

#include "dn_storage.h"

typedef struct dn_account dn_account;

/* An empty account, held by its owner. Returns DN_ENOMEM and leaves *account NULL. */
dn_status dn_account_new(dn_account **account);

/* The owner lets go. NULL is ignored. */
void dn_account_release(dn_account *account);

/* Enters a storage that is in no account and that no other thread knows; called by the owner only. */
void dn_account_enter(dn_account *account, dn_storage *storage);

/* The storage's bytes are given back; dn_storage_release calls this. */
void dn_account_leave(dn_storage *storage);

/* Bytes of the account's storages on `device`. */
int64_t dn_account_bytes(const dn_account *account, const dn_device *device);

#endif
