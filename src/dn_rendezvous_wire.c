/* SOCK_CLOEXEC and MSG_NOSIGNAL are no part of POSIX.1-2008 everywhere. */
#define _GNU_SOURCE

#include "dn_rendezvous_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static const unsigned char hello_magic[8] = "dnrank?\n", answer_magic[8] = "dnrank!\n";

static void put(unsigned char *to, uint64_t value, int n) {
  for (int i = 0; i < n; i++) to[i] = (unsigned char)(value >> (8 * (n - 1 - i)));
}

static uint64_t get(const unsigned char *from, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; i++) value = value << 8 | from[i];
  return value;
}

static bool begins_as(const unsigned char *from, size_t n, const unsigned char magic[8]) {
  return memcmp(from, magic, n < 8 ? n : 8) == 0;
}

void wire_put_hello(unsigned char to[HELLO_BYTES], const wire_hello *hello) {
  memcpy(to, hello_magic, 8);
  put(to + 8, hello->version, 4);
  put(to + 12, hello->size, 4);
  put(to + 16, hello->rank, 4);
  put(to + 20, hello->seat, 4);
  put(to + 24, hello->hash, 8);
}

bool wire_get_hello(const unsigned char *from, size_t n, wire_hello *hello) {
  if (!begins_as(from, n, hello_magic)) return false;
  if (n < HELLO_BYTES) return true;
  hello->version = (uint32_t)get(from + 8, 4);
  hello->size = (uint32_t)get(from + 12, 4);
  hello->rank = (uint32_t)get(from + 16, 4);
  hello->seat = (uint32_t)get(from + 20, 4);
  hello->hash = get(from + 24, 8);
  return true;
}

void wire_put_head(unsigned char to[HEAD_BYTES], wire_kind kind, size_t length) {
  memcpy(to, answer_magic, 8);
  put(to + 8, (uint64_t)kind, 4);
  put(to + 12, length, 4);
}

bool wire_get_head(const unsigned char *from, size_t n, uint32_t *kind, size_t *length) {
  if (!begins_as(from, n, answer_magic)) return false;
  if (n < HEAD_BYTES) return true;
  *kind = (uint32_t)get(from + 8, 4);
  *length = (size_t)get(from + 12, 4);
  return *kind >= WIRE_BYTES && *kind <= WIRE_OPTIONS && *length <= DN_RENDEZVOUS_MOST_BYTES;
}

uint64_t wire_hash(const char *text) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
  return hash;
}

double wire_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

dn_status wire_resolve(const char *address, int port, struct addrinfo **found) {
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  const struct addrinfo wanted = {
      .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  const int code = getaddrinfo(address, service, &wanted, found);
  if (code == 0) return DN_OK;
  return dn_error(DN_EIO, "no address is known of MASTER_ADDR '%s': %s", address,
                  code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
}

void wire_never_wait(int end) {
  fcntl(end, F_SETFD, FD_CLOEXEC);
  fcntl(end, F_SETFL, O_NONBLOCK);
}

int wire_socket(const struct addrinfo *address) {
  const int end = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
  if (end >= 0) wire_never_wait(end);
  return end;
}

bool wire_send(int end, const void *bytes, size_t n) {
  const char *at = bytes;
  const double deadline = wire_now() + 1;
  while (n > 0) {
    const ssize_t sent = send(end, at, n, MSG_NOSIGNAL);
    if (sent > 0) {
      at += sent;
      n -= (size_t)sent;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      struct pollfd wait = {.fd = end, .events = POLLOUT};
      if (wire_now() > deadline) return false;
      poll(&wait, 1, 100);
    } else {
      return false;
    }
  }
  return true;
}

bool wire_send_message(int end, wire_kind kind, const void *bytes, size_t n) {
  unsigned char head[HEAD_BYTES];
  wire_put_head(head, kind, n);
  return wire_send(end, head, sizeof head) && wire_send(end, bytes, n);
}
