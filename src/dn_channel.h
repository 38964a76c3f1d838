/*
** A channel is a queue of messages between threads, first in, first out, with room for any number.
** Closing it wakes every thread that waits, so that nobody is left behind.
** All functions may be called from any thread, except dn_channel_init and dn_channel_destroy.
*/
#ifndef DN_CHANNEL_H
#define DN_CHANNEL_H

#include <pthread.h>

#include "dn_message.h"

typedef struct dn_channel {
  pthread_mutex_t lock;
  pthread_cond_t arrived; /* a message, or the end */
  dn_message *first, *last;
  bool closed;
} dn_channel;

/* Returns DN_ENOMEM when the system has no more locks. */
dn_status dn_channel_init(dn_channel *channel);

/* Frees what nobody received. No thread may use the channel any more. */
void dn_channel_destroy(dn_channel *channel);

/* The channel owns the message from here on. A closed channel keeps it until it is destroyed. */
void dn_channel_send(dn_channel *channel, dn_message *message);

/*
** The oldest message, which the caller owns from here on. Waits for one at most `seconds`; a
** negative number waits as long as it takes. NULL when the time is up or the channel closed.
*/
dn_message *dn_channel_receive(dn_channel *channel, double seconds);

/* From now on nothing is received: messages left in the queue stay there. */
void dn_channel_close(dn_channel *channel);

#endif
