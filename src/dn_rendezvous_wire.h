/*
** Of the rendezvous (dn_rendezvous.h), what both sides need: its messages, and sockets that do not wait.
*/
#ifndef DN_RENDEZVOUS_WIRE_H
#define DN_RENDEZVOUS_WIRE_H

#include <netdb.h>

#include "dn_rendezvous.h"

enum { WIRE_VERSION = 1, HELLO_BYTES = 32, HEAD_BYTES = 16 };

typedef enum wire_kind { WIRE_BYTES = 1, WIRE_SENTENCE = 2, WIRE_OPTIONS = 3 } wire_kind;

/* What a rank says first. */
typedef struct wire_hello {
  uint32_t version, size, rank, seat;
  uint64_t hash;
} wire_hello;

void wire_put_hello(unsigned char to[HELLO_BYTES], const wire_hello *hello);
/* false: foreign bytes, of which there are n so far. */
bool wire_get_hello(const unsigned char *from, size_t n, wire_hello *hello);

void wire_put_head(unsigned char to[HEAD_BYTES], wire_kind kind, size_t length);
/* false: foreign bytes */
bool wire_get_head(const unsigned char *from, size_t n, uint32_t *kind, size_t *length);

/* FNV-1a of 64 bits. */
uint64_t wire_hash(const char *text);

/* Seconds since some moment. */
double wire_now(void);

/* The addresses of a name; to be freed by freeaddrinfo. DN_EIO with the reason. */
dn_status wire_resolve(const char *address, int port, struct addrinfo **found);

/* A socket that is closed on exec and never waits; -1 and errno. */
int wire_socket(const struct addrinfo *address);

/* Puts it to that use: connections accepted. */
void wire_never_wait(int end);

/*
** Sends all of it, waiting a second at most for room: messages are short, and a reader that leaves no
** room for them is none.
*/
bool wire_send(int end, const void *bytes, size_t n);

/* A message of kind `kind`. */
bool wire_send_message(int end, wire_kind kind, const void *bytes, size_t n);

#endif
