#include "dn_rendezvous.h"

#include <stdlib.h>
#include <string.h>

#include "dn_rendezvous_sides.h"

struct dn_rendezvous {
  rendezvous_place place;
  rendezvous_server *server; /* of rank 0 */
  rendezvous_guest *guest;   /* of the others */
  char *bytes;               /* of rank 0 */
  size_t n_bytes;
};

static char *copy(const void *bytes, size_t n) {
  char *own = malloc(n + 1);
  if (!own) return NULL;
  if (n > 0) memcpy(own, bytes, n);
  own[n] = '\0';
  return own;
}

static dn_status check(const dn_rendezvous_plan *plan) {
  if (plan->port < 1 || plan->port > 65535)
    return dn_error(DN_EARG, "MASTER_PORT: expected 1 to 65535, got %d", plan->port);
  if (plan->size < 2 || plan->rank < 0 || plan->rank >= plan->size)
    return dn_error(DN_EARG, "a rank of at least two expected, got rank %d of %d", plan->rank,
                    plan->size);
  if (plan->n_bytes > DN_RENDEZVOUS_MOST_BYTES || strlen(plan->options) > DN_RENDEZVOUS_MOST_BYTES)
    return dn_error(DN_EARG, "at most %d bytes go to other ranks", DN_RENDEZVOUS_MOST_BYTES);
  return DN_OK;
}

dn_status dn_rendezvous_open(const dn_rendezvous_plan *plan, dn_rendezvous **made) {
  *made = NULL;
  DN_TRY(check(plan));
  dn_rendezvous *self = calloc(1, sizeof *self);
  if (!self) return dn_error(DN_ENOMEM, "no memory for a rendezvous");
  self->place = (rendezvous_place){.address = copy(plan->address, strlen(plan->address)),
                                   .options = copy(plan->options, strlen(plan->options)),
                                   .port = plan->port,
                                   .rank = plan->rank,
                                   .size = plan->size,
                                   .timeout_seconds = plan->timeout_seconds,
                                   .deadline = wire_now() + plan->timeout_seconds,
                                   .seat = plan->seat,
                                   .hash = wire_hash(plan->options)};
  self->bytes = copy(plan->bytes, plan->n_bytes);
  self->n_bytes = plan->n_bytes;
  dn_status status = DN_OK;
  if (!self->place.address || !self->place.options || !self->bytes)
    status = dn_error(DN_ENOMEM, "no memory for a rendezvous");
  else if (plan->rank == 0)
    status = rendezvous_serve(&self->place, self->bytes, self->n_bytes, &self->server);
  else
    status = rendezvous_visit(&self->place, &self->guest);
  if (status == DN_OK)
    *made = self;
  else
    dn_rendezvous_close(self);
  return status;
}

dn_status dn_rendezvous_step(dn_rendezvous *self, double seconds, dn_rendezvous_state *state) {
  if (self->guest) return rendezvous_guest_step(self->guest, seconds, state);
  bool is_done = false;
  DN_TRY(rendezvous_server_step(self->server, seconds, &is_done));
  *state = is_done ? DN_RENDEZVOUS_DONE : DN_RENDEZVOUS_WAITS;
  return DN_OK;
}

const char *dn_rendezvous_text(const dn_rendezvous *self, size_t *n) {
  if (self->guest) return rendezvous_guest_text(self->guest, n);
  *n = self->n_bytes;
  return self->bytes;
}

void dn_rendezvous_complain(dn_rendezvous *self, const char *sentence) {
  if (self->guest) rendezvous_guest_complain(self->guest, sentence);
}

void dn_rendezvous_close(dn_rendezvous *self) {
  if (!self) return;
  rendezvous_server_close(self->server);
  rendezvous_guest_close(self->guest);
  free(self->place.address);
  free(self->place.options);
  free(self->bytes);
  free(self);
}
