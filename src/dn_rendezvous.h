/*
** How ranks of several machines get the bytes that NCCL joins them by: rank 0 listens at one address and
** port, the others come, say who they are, and get the bytes; or everybody gets a sentence why not. That is
** all that ever goes there, and it ends before training begins.
**
** Said by a rank, 32 bytes: magic (8), version, size, rank, seat (4 each: a number that two ranks have in
** common when they compute on one GPU; 0: on none), hash of its options (8). Answered when all have
** come, or one cannot be taken: magic (8), kind (4), length (4), and as many bytes: the bytes, a sentence,
** or rank 0's options, for a rank whose options have another hash; it answers with a sentence about the
** difference. Numbers are big-endian.
**
** Whoever else connects does no harm: other bytes, or too few within SLOW_SECONDS, end the connection.
**
** Nothing here waits longer than it is told to, so that the caller can look for an interrupt in between.
*/
#ifndef DN_RENDEZVOUS_H
#define DN_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dn_status.h"

enum { DN_RENDEZVOUS_MOST_BYTES = 65536 }; /* of what goes there, each */

typedef struct dn_rendezvous dn_rendezvous;

/* Copied. */
typedef struct dn_rendezvous_plan {
  const char *address; /* of rank 0: a name or a number */
  int port, rank, size;
  double timeout_seconds; /* until all have come */
  uint32_t seat;
  const char *options; /* text that has to be the same on all ranks */
  const void *bytes;   /* rank 0: what the others get */
  size_t n_bytes;
} dn_rendezvous_plan;

typedef enum dn_rendezvous_state {
  DN_RENDEZVOUS_WAITS,
  DN_RENDEZVOUS_DIFFERS, /* this rank's options: dn_rendezvous_text is rank 0's, dn_rendezvous_complain is due */
  DN_RENDEZVOUS_DONE, /* dn_rendezvous_text is the bytes; rank 0's are its own */
} dn_rendezvous_state;

/* Rank 0 listens from here on. Returns DN_EIO (the address or port cannot be had), DN_ENOMEM, DN_EARG. */
dn_status dn_rendezvous_open(const dn_rendezvous_plan *plan, dn_rendezvous **made);

/*
** Goes on for `seconds` at most, less when something has become of it. Returns DN_EDEVICE with the sentence
** that ends the run: a rank that does not come or fit, no answer, a foreign one.
*/
dn_status dn_rendezvous_step(dn_rendezvous *self, double seconds, dn_rendezvous_state *state);

/* Valid until the next call. */
const char *dn_rendezvous_text(const dn_rendezvous *self, size_t *n);

/* Tells rank 0, which ends the run with this sentence. */
void dn_rendezvous_complain(dn_rendezvous *self, const char *sentence);

/* Closes everything; NULL is ignored. */
void dn_rendezvous_close(dn_rendezvous *self);

#endif
