/*
** A gzip file (RFC 1952), unpacked into memory. Its checksum and length are verified, members
** that follow one another are joined as gzip does, and nothing but zero bytes, with which tapes and
** some servers fill their blocks, may stand behind them.
*/
#ifndef DN_GZIP_H
#define DN_GZIP_H

#include "dn_file.h"

/*
** *content becomes a byte vector on the CPU: the whole unpacked file. Writes it only on success.
** Returns DN_EFORMAT for what is not gzip, damaged, cut short, followed by something else, or
** unpacks to more than limit_bytes; DN_EIO; DN_ENOMEM.
*/
dn_status dn_gzip_read(const dn_file *file, int64_t limit_bytes, dn_tensor *content);

/*
** The first bytes that the file unpacks to, n_bytes at most: *n_filled of them lie in `into`. Only as
** much is unpacked, so that a header can tell how much there should be before there is room for it.
** Returns DN_EFORMAT, DN_EIO or DN_ENOMEM.
*/
dn_status dn_gzip_peek(const dn_file *file, int64_t n_bytes, void *into, int64_t *n_filled);

#endif
