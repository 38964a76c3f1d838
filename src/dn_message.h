/*
** A message is what two threads hand each other: a string of bytes and tensors, which cross by
** reference. It belongs to one thread at a time, so nothing in it is locked; a channel
** (dn_channel.h) passes it on. A message that is cleared and filled again keeps its room, so a
** loop that sends the same kind of message allocates nothing.
*/
#ifndef DN_MESSAGE_H
#define DN_MESSAGE_H

#include "dn_tensor.h"

typedef struct dn_message {
  struct dn_message *next; /* the channel's */
  int64_t id;              /* the sender's choice */
  bool failed;             /* a reply: the content tells an error */
  char *bytes;
  int64_t n_bytes, room_bytes;
  dn_tensor *tensors; /* each holds a reference */
  int64_t n_tensors, room_tensors;
} dn_message;

/* An empty message; DN_ENOMEM leaves *message NULL. */
dn_status dn_message_new(dn_message **message);

/* Releases the tensors and the memory. NULL is ignored. */
void dn_message_free(dn_message *message);

/* Empties it: tensors are released, room is kept, id and failed are reset. */
void dn_message_clear(dn_message *message);

/* Takes back what was appended after it had n_bytes and n_tensors. */
void dn_message_truncate(dn_message *message, int64_t n_bytes, int64_t n_tensors);

/* Appends bytes; DN_ENOMEM leaves the message as it was. */
dn_status dn_message_write(dn_message *message, const void *bytes, int64_t n_bytes);

/* Appends a reference to the tensor. DN_ENOMEM; DN_EARG for a freed one. */
dn_status dn_message_attach(dn_message *message, const dn_tensor *tensor);

#endif
