/*
** The side of a rank that is not 0. Rank 0 may come later than it, so it tries again until its time is over;
** a connection that ends before an answer has come is tried again, too.
*/
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dn_rendezvous_sides.h"

/* Between tries, and for one connection to be made. */
static const double PAUSE_SECONDS = 0.2, CONNECT_SECONDS = 5;

typedef enum visit_phase { VISIT_RESTS, VISIT_CONNECTS, VISIT_LISTENS } visit_phase;

struct rendezvous_guest {
  const rendezvous_place *place;
  struct addrinfo *addresses, *next;
  int end;
  visit_phase phase;
  double until;     /* of the phase */
  char reason[128]; /* why the last try came to nothing */
  unsigned char head[HEAD_BYTES];
  size_t n_head, n_text, length;
  uint32_t kind;
  char *text; /* room for DN_RENDEZVOUS_MOST_BYTES and a zero */
};

dn_status rendezvous_visit(const rendezvous_place *place, rendezvous_guest **made) {
  rendezvous_guest *self = calloc(1, sizeof *self);
  *made = self;
  if (!self) return dn_error(DN_ENOMEM, "no memory for a rendezvous");
  self->place = place;
  self->end = -1;
  self->text = malloc(DN_RENDEZVOUS_MOST_BYTES + 1);
  if (!self->text) return dn_error(DN_ENOMEM, "no memory for a rendezvous");
  return wire_resolve(place->address, place->port, &self->addresses);
}

void rendezvous_guest_close(rendezvous_guest *self) {
  if (!self) return;
  if (self->end >= 0) close(self->end);
  if (self->addresses) freeaddrinfo(self->addresses);
  free(self->text);
  free(self);
}

const char *rendezvous_guest_text(const rendezvous_guest *self, size_t *n) {
  *n = self->n_text;
  return self->text;
}

void rendezvous_guest_complain(rendezvous_guest *self, const char *sentence) {
  if (self->end >= 0) wire_send_message(self->end, WIRE_SENTENCE, sentence, strlen(sentence));
}

/* This try has come to nothing. */
static void rest(rendezvous_guest *self, const char *reason) {
  if (self->end >= 0) close(self->end);
  self->end = -1;
  snprintf(self->reason, sizeof self->reason, "%s", reason);
  self->phase = VISIT_RESTS;
  self->until = wire_now() + PAUSE_SECONDS;
}

static void connect_next(rendezvous_guest *self) {
  if (!self->next) self->next = self->addresses;
  const struct addrinfo *address = self->next;
  self->next = address->ai_next;
  self->end = wire_socket(address);
  if (self->end < 0 ||
      (connect(self->end, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)) {
    rest(self, strerror(errno));
    return;
  }
  self->phase = VISIT_CONNECTS;
  self->until = wire_now() + CONNECT_SECONDS;
}

static void introduce(rendezvous_guest *self) {
  const rendezvous_place *place = self->place;
  unsigned char bytes[HELLO_BYTES];
  int reason = 0;
  socklen_t size = sizeof reason;
  if (getsockopt(self->end, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) reason = errno;
  if (reason != 0) {
    rest(self, strerror(reason));
    return;
  }
  wire_put_hello(bytes, &(wire_hello){.version = WIRE_VERSION,
                                      .size = (uint32_t)place->size,
                                      .rank = (uint32_t)place->rank,
                                      .seat = place->seat,
                                      .hash = place->hash});
  if (!wire_send(self->end, bytes, sizeof bytes)) {
    rest(self, "the connection is closed at once");
    return;
  }
  self->n_head = self->n_text = 0;
  self->phase = VISIT_LISTENS;
  self->until = place->deadline;
}

static dn_status end_foreign(const rendezvous_guest *self) {
  const rendezvous_place *place = self->place;
  return dn_error(
      DN_EDEVICE,
      "rank %d of %d: what answers at %s, port %d, is not rank 0 of densenet: is MASTER_PORT "
      "right?",
      place->rank, place->size, place->address, place->port);
}

static dn_status end_late(const rendezvous_guest *self) {
  const rendezvous_place *place = self->place;
  const char *reason = self->phase == VISIT_LISTENS ? "connected, and no answer"
                       : self->reason[0]            ? self->reason
                                                    : "no answer";
  return dn_error(
      DN_EDEVICE,
      "rank %d of %d: rank 0 is not found at %s, port %d, within %g s (%s): is MASTER_ADDR the "
      "machine of rank 0, and does it run?",
      place->rank, place->size, place->address, place->port, place->timeout_seconds, reason);
}

/* An answer is whole. */
static dn_status take(rendezvous_guest *self, dn_rendezvous_state *state) {
  self->text[self->n_text] = '\0';
  if (self->kind == WIRE_SENTENCE) {
    for (char *c = self->text; *c; c++)
      if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return dn_error(DN_EDEVICE, "rank %d of %d: rank 0 has ended the run: %s", self->place->rank,
                    self->place->size, self->text);
  }
  *state = self->kind == WIRE_BYTES ? DN_RENDEZVOUS_DONE : DN_RENDEZVOUS_DIFFERS;
  return DN_OK;
}

static dn_status hear(rendezvous_guest *self, dn_rendezvous_state *state) {
  const bool is_head = self->n_head < HEAD_BYTES;
  const ssize_t n =
      is_head ? recv(self->end, self->head + self->n_head, HEAD_BYTES - self->n_head, 0)
              : recv(self->end, self->text + self->n_text, self->length - self->n_text, 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return DN_OK;
  if (n <= 0) {
    rest(self, n < 0 ? strerror(errno) : "the connection is closed without an answer");
    return DN_OK;
  }
  if (is_head) {
    self->n_head += (size_t)n;
    if (!wire_get_head(self->head, self->n_head, &self->kind, &self->length))
      return end_foreign(self);
  } else {
    self->n_text += (size_t)n;
  }
  return self->n_head == HEAD_BYTES && self->n_text == self->length ? take(self, state) : DN_OK;
}

/* Waits until there is something to do in this phase; false: there is not. */
static bool wait_for(const rendezvous_guest *self, double seconds) {
  const double left = self->until - wire_now();
  struct pollfd wait = {.fd = self->end,
                        .events = self->phase == VISIT_CONNECTS ? POLLOUT : POLLIN};
  if (left < seconds) seconds = left > 0 ? left : 0;
  return poll(&wait, self->end >= 0, (int)(1000 * seconds) + 1) > 0;
}

dn_status rendezvous_guest_step(rendezvous_guest *self, double seconds,
                                dn_rendezvous_state *state) {
  *state = DN_RENDEZVOUS_WAITS;
  const bool is_ready = wait_for(self, seconds);
  if (self->phase == VISIT_LISTENS) {
    if (is_ready) DN_TRY(hear(self, state));
  } else if (self->phase == VISIT_CONNECTS && is_ready) {
    introduce(self);
  } else if (self->phase == VISIT_CONNECTS && wire_now() > self->until) {
    rest(self, "it does not answer");
  } else if (self->phase == VISIT_RESTS && wire_now() >= self->until) {
    connect_next(self);
  }
  if (*state == DN_RENDEZVOUS_WAITS && wire_now() > self->place->deadline) return end_late(self);
  return DN_OK;
}
