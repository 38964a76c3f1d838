/*
** The two sides of a rendezvous (dn_rendezvous.h): rank 0's, and everybody else's.
*/
#ifndef DN_RENDEZVOUS_SIDES_H
#define DN_RENDEZVOUS_SIDES_H

#include "dn_rendezvous_wire.h"

/* What both know: the plan with texts of its own. */
typedef struct rendezvous_place {
  char *address, *options;
  int port, rank, size;
  double timeout_seconds, deadline; /* wire_now() at which the wait is over */
  uint32_t seat;
  uint64_t hash;
} rendezvous_place;

typedef struct rendezvous_server rendezvous_server;
typedef struct rendezvous_guest rendezvous_guest;

/* The place outlives the side. */
dn_status rendezvous_serve(const rendezvous_place *place, const void *bytes, size_t n,
                           rendezvous_server **made);
dn_status rendezvous_server_step(rendezvous_server *self, double seconds, bool *is_done);
void rendezvous_server_close(rendezvous_server *self);

dn_status rendezvous_visit(const rendezvous_place *place, rendezvous_guest **made);
dn_status rendezvous_guest_step(rendezvous_guest *self, double seconds, dn_rendezvous_state *state);
const char *rendezvous_guest_text(const rendezvous_guest *self, size_t *n);
void rendezvous_guest_complain(rendezvous_guest *self, const char *sentence);
void rendezvous_guest_close(rendezvous_guest *self);

#endif
