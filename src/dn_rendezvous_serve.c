/*
** Rank 0's side. Connections are looked after all at once, so that none makes the others wait; one that is
** not a rank's by its first bytes, or says too little for too long, is closed. Those of ranks stay open
** until all have come, so that what one of them does wrong is told to all; to those that come a little
** later, too.
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

enum { MOST_LISTENERS = 8, MOST_STRANGERS = 64, SENTENCE_BYTES = 512 };

static const double SLOW_SECONDS = 5, LINGER_SECONDS = 5;

/* A connection. A stranger has not said its whole hello. */
typedef struct visitor {
  int end, rank; /* rank -1: a stranger */
  double since;
  bool complains; /* its options differ; a sentence comes */
  size_t n;       /* bytes of what it says now */
  unsigned char said[HEAD_BYTES + SENTENCE_BYTES];
  uint32_t seat;
} visitor;

struct rendezvous_server {
  const rendezvous_place *place;
  const void *bytes;
  size_t n_bytes;
  int listener[MOST_LISTENERS], n_listeners;
  visitor *visitors; /* room for size + MOST_STRANGERS */
  struct pollfd *waits;
  int n_visitors, n_foreign;
  char sentence[SENTENCE_BYTES]; /* that ends the run; "" while all is well */
  int n_told;                    /* ranks that have it */
  double until;                  /* when rank 0 stops telling it */
};

/* ---- Listening ---- */

static dn_status explain_listen(const rendezvous_place *place, int reason) {
  if (reason == EADDRINUSE)
    return dn_error(DN_EIO,
                    "rank 0 of %d: port %d of %s is in use, perhaps by another run: choose another "
                    "MASTER_PORT",
                    place->size, place->port, place->address);
  if (reason == EADDRNOTAVAIL)
    return dn_error(
        DN_EIO,
        "rank 0 of %d: MASTER_ADDR %s is no address of this machine, and rank 0 listens "
        "there",
        place->size, place->address);
  return dn_error(DN_EIO, "rank 0 of %d: nobody can listen at %s, port %d: %s", place->size,
                  place->address, place->port, strerror(reason));
}

/* -1 and errno */
static int listen_at(const struct addrinfo *address, int n_waiting) {
  const int end = wire_socket(address), on = 1;
  if (end < 0) return -1;
  setsockopt(end, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* of a run that has just ended */
  if (bind(end, address->ai_addr, address->ai_addrlen) == 0 && listen(end, n_waiting) == 0)
    return end;
  const int reason = errno;
  close(end);
  errno = reason;
  return -1;
}

/* At each address that the name has here: "localhost" has two. */
static dn_status listen_everywhere(rendezvous_server *self) {
  struct addrinfo *found = NULL;
  int reason = EADDRNOTAVAIL;
  DN_TRY(wire_resolve(self->place->address, self->place->port, &found));
  for (const struct addrinfo *each = found; each && self->n_listeners < MOST_LISTENERS;
       each = each->ai_next) {
    const int end = listen_at(each, self->place->size);
    if (end >= 0)
      self->listener[self->n_listeners++] = end;
    else if (reason != EADDRINUSE)
      reason = errno;
  }
  freeaddrinfo(found);
  return self->n_listeners > 0 && reason != EADDRINUSE ? DN_OK
                                                       : explain_listen(self->place, reason);
}

dn_status rendezvous_serve(const rendezvous_place *place, const void *bytes, size_t n,
                           rendezvous_server **made) {
  rendezvous_server *self = calloc(1, sizeof *self);
  *made = self;
  if (!self) return dn_error(DN_ENOMEM, "no memory for a rendezvous");
  const size_t room = (size_t)place->size + MOST_STRANGERS;
  self->place = place;
  self->bytes = bytes;
  self->n_bytes = n;
  self->visitors = calloc(room, sizeof *self->visitors);
  self->waits = calloc(room + MOST_LISTENERS, sizeof *self->waits);
  if (!self->visitors || !self->waits) return dn_error(DN_ENOMEM, "no memory for a rendezvous");
  return listen_everywhere(self);
}

void rendezvous_server_close(rendezvous_server *self) {
  if (!self) return;
  for (int i = 0; i < self->n_visitors; i++) close(self->visitors[i].end);
  for (int i = 0; i < self->n_listeners; i++) close(self->listener[i]);
  free(self->visitors);
  free(self->waits);
  free(self);
}

/* ---- Ends ---- */

static void tell(rendezvous_server *self, const visitor *whom) {
  wire_send_message(whom->end, WIRE_SENTENCE, self->sentence, strlen(self->sentence));
  self->n_told++;
}

/*
** The run ends with this sentence, for all. `teller`, whose options differ, knows it; NULL: nobody does.
*/
static void end_all(rendezvous_server *self, const char *sentence, const visitor *teller) {
  if (self->sentence[0]) return;
  snprintf(self->sentence, sizeof self->sentence, "%s", sentence);
  self->until = wire_now() + LINGER_SECONDS;
  for (int i = 0; i < self->n_visitors; i++)
    if (self->visitors[i].rank > 0 && &self->visitors[i] != teller) tell(self, &self->visitors[i]);
  self->n_told += teller != NULL;
}

static int find_rank(const rendezvous_server *self, int rank) {
  for (int i = 0; i < self->n_visitors; i++)
    if (self->visitors[i].rank == rank) return i;
  return -1;
}

static void end_late(rendezvous_server *self) {
  char text[SENTENCE_BYTES], foreign[80] = "";
  int n_missing = 0;
  for (int r = 1; r < self->place->size; r++) n_missing += find_rank(self, r) < 0;
  size_t at = (size_t)snprintf(text, sizeof text, "rank 0 of %d: rank%s", self->place->size,
                               n_missing == 1 ? "" : "s");
  const char *between = " ";
  for (int r = 1; r < self->place->size && at < SENTENCE_BYTES / 2; r++) {
    if (find_rank(self, r) >= 0) continue;
    at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", between, r);
    between = ", ";
  }
  if (self->n_foreign > 0)
    snprintf(foreign, sizeof foreign, "; %d connection%s no rank's", self->n_foreign,
             self->n_foreign == 1 ? " was" : "s were");
  snprintf(text + at, sizeof text - at, "%s not come to %s, port %d, within %g s%s",
           n_missing == 1 ? " has" : " have", self->place->address, self->place->port,
           self->place->timeout_seconds, foreign);
  end_all(self, text, NULL);
  self->until = 0;
}

/* ---- Visitors ---- */

static void forget(rendezvous_server *self, int i) {
  close(self->visitors[i].end);
  self->visitors[i] = self->visitors[--self->n_visitors];
}

static void forget_stranger(rendezvous_server *self, int i) {
  self->n_foreign++;
  forget(self, i);
}

static int count_strangers(const rendezvous_server *self, int *oldest) {
  int n = 0;
  for (int i = 0; i < self->n_visitors; i++) {
    if (self->visitors[i].rank >= 0) continue;
    if (n++ == 0 || self->visitors[i].since < self->visitors[*oldest].since) *oldest = i;
  }
  return n;
}

static void accept_all(rendezvous_server *self, int listener) {
  for (;;) {
    const int end = accept(listener, NULL, NULL);
    int oldest = 0;
    if (end < 0) return;
    if (self->n_visitors == self->place->size + MOST_STRANGERS) { /* more ranks than there are */
      close(end);
      continue;
    }
    wire_never_wait(end);
    if (count_strangers(self, &oldest) >= MOST_STRANGERS) forget_stranger(self, oldest);
    self->visitors[self->n_visitors++] = (visitor){.end = end, .rank = -1, .since = wire_now()};
  }
}

/* Takes a rank in, or ends the run with a sentence about it. */
static void welcome(rendezvous_server *self, visitor *from, const wire_hello *hello) {
  const rendezvous_place *place = self->place;
  char text[SENTENCE_BYTES] = "";
  const int rank = (int)(hello->rank & 0xffffff), size = (int)(hello->size & 0xffffff);
  if (hello->version != WIRE_VERSION)
    snprintf(text, sizeof text, "rank %d has another version of densenet than rank 0", rank);
  else if (size != place->size)
    snprintf(text, sizeof text, "rank %d says that there are %d ranks, rank 0 says %d", rank, size,
             place->size);
  else if (rank == 0 || rank >= place->size)
    snprintf(text, sizeof text, "there is a second rank 0: ranks of %d count from 0 to %d",
             place->size, place->size - 1);
  else if (find_rank(self, rank) >= 0)
    snprintf(text, sizeof text, "two processes are rank %d of %d", rank, place->size);
  from->rank = rank > 0 ? rank : place->size;
  from->seat = hello->seat;
  if (self->sentence[0]) {
    tell(self, from);
  } else if (text[0]) {
    end_all(self, text, NULL);
  } else if (hello->hash != place->hash) {
    from->complains = true;
    from->n = 0;
    from->since = wire_now();
    wire_send_message(from->end, WIRE_OPTIONS, place->options, strlen(place->options));
  }
}

/* The sentence of a rank whose options differ, as far as it has come; `is_over`: nothing more will. */
static void hear_complaint(rendezvous_server *self, visitor *from, bool is_over) {
  uint32_t kind = 0;
  size_t length = 0;
  char text[SENTENCE_BYTES];
  const bool has_head = from->n >= HEAD_BYTES &&
                        wire_get_head(from->said, from->n, &kind, &length) &&
                        kind == WIRE_SENTENCE && length < SENTENCE_BYTES;
  if (has_head && from->n >= HEAD_BYTES + length) {
    memcpy(text, from->said + HEAD_BYTES, length);
    text[length] = '\0';
    for (char *c = text; *c; c++)
      if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  } else if (is_over || wire_now() > from->since + SLOW_SECONDS) {
    snprintf(text, sizeof text, "rank %d has other options than rank 0", from->rank);
  } else {
    return;
  }
  from->complains = false;
  end_all(self, text, from);
}

/* Reads what visitor i says. */
static void hear(rendezvous_server *self, int i) {
  visitor *from = &self->visitors[i];
  const size_t room = from->rank < 0 ? HELLO_BYTES : sizeof from->said;
  const ssize_t n = recv(from->end, from->said + from->n, room - from->n, 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (n > 0) from->n += (size_t)n;
  if (from->complains) {
    hear_complaint(self, from, n <= 0 || from->n == room);
    return;
  }
  wire_hello hello;
  if (from->rank >= 0)
    forget(self, i); /* it has ended, and may come again; more than a hello is none's */
  else if (n <= 0 || !wire_get_hello(from->said, from->n, &hello))
    forget_stranger(self, i);
  else if (from->n == HELLO_BYTES)
    welcome(self, from, &hello);
}

/* Those that are too slow; from the last, as forgetting moves the last to where it was. */
static void hurry(rendezvous_server *self) {
  for (int i = self->n_visitors - 1; i >= 0; i--) {
    visitor *each = &self->visitors[i];
    if (each->complains) hear_complaint(self, each, false);
    if (each->rank < 0 && wire_now() > each->since + SLOW_SECONDS) forget_stranger(self, i);
  }
}

/* ---- All have come ---- */

static bool has_seats(rendezvous_server *self) {
  for (int i = 0; i < self->n_visitors; i++) {
    const visitor *a = &self->visitors[i];
    int other = a->rank > 0 && a->seat != 0 && a->seat == self->place->seat ? 0 : -1;
    for (int j = 0; j < i; j++)
      if (a->rank > 0 && a->seat != 0 && self->visitors[j].seat == a->seat)
        other = self->visitors[j].rank;
    if (other < 0) continue;
    char text[SENTENCE_BYTES];
    snprintf(text, sizeof text,
             "ranks %d and %d compute on one GPU of one machine: each needs its own (LOCAL_RANK "
             "counts the "
             "ranks of a machine)",
             other < a->rank ? other : a->rank, other < a->rank ? a->rank : other);
    end_all(self, text, NULL);
    return false;
  }
  return true;
}

static bool all_there(const rendezvous_server *self) {
  int n = 1;
  for (int i = 0; i < self->n_visitors; i++) {
    n += self->visitors[i].rank > 0;
    if (self->visitors[i].complains) return false;
  }
  return n == self->place->size;
}

static void hand_out(rendezvous_server *self) {
  for (int i = 0; i < self->n_visitors; i++) {
    const visitor *each = &self->visitors[i];
    if (each->rank > 0) wire_send_message(each->end, WIRE_BYTES, self->bytes, self->n_bytes);
  }
}

static int fill_waits(rendezvous_server *self) {
  int n = 0;
  for (int i = 0; i < self->n_listeners; i++)
    self->waits[n++] = (struct pollfd){.fd = self->listener[i], .events = POLLIN};
  for (int i = 0; i < self->n_visitors; i++)
    self->waits[n++] = (struct pollfd){.fd = self->visitors[i].end, .events = POLLIN};
  return n;
}

dn_status rendezvous_server_step(rendezvous_server *self, double seconds, bool *is_done) {
  const int n = fill_waits(self), n_visitors = self->n_visitors;
  if (poll(self->waits, (nfds_t)n, (int)(1000 * seconds)) > 0) {
    for (int i = n_visitors - 1; i >= 0; i--)
      if (self->waits[self->n_listeners + i].revents) hear(self, i);
    for (int i = 0; i < self->n_listeners; i++)
      if (self->waits[i].revents) accept_all(self, self->listener[i]);
  }
  hurry(self);
  *is_done = !self->sentence[0] && all_there(self) && has_seats(self);
  if (*is_done) hand_out(self);
  if (!*is_done && !self->sentence[0] && wire_now() > self->place->deadline) end_late(self);
  if (!self->sentence[0]) return DN_OK;
  /* Those that have not come yet hear it too, if they come soon. */
  if (self->n_told < self->place->size - 1 && wire_now() < self->until) return DN_OK;
  return dn_error(DN_EDEVICE, "%s", self->sentence);
}
