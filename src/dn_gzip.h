/*
** A gzip file (RFC 1952), unpacked into memory. Its checksum and length are verified, members
** that follow one another are joined as gzip does, and nothing else may stand behind them.
*/
#ifndef DN_GZIP_H
#define DN_GZIP_H

#include "dn_file.h"

/*
** *content becomes a byte vector on the CPU: the whole unpacked file. Writes it only on success.
** Returns DN_EFORMAT for what is not gzip, damaged, cut short, followed by something else, or
** unpacks to more than limit_bytes; DN_EIO; DN_ENOMEM.
*/
dn_status dn_gzip_read(const char *path, int64_t limit_bytes, dn_tensor *content);

#endif
