#include "dn_channel.h"

#include <errno.h>
#include <math.h>
#include <time.h>

/* A condition variable on CLOCK_MONOTONIC. */
static int init_condition(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  int failure = pthread_condattr_init(&attributes);
  if (failure) return failure;
  failure = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (!failure) failure = pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return failure;
}

dn_status dn_channel_init(dn_channel *channel) {
  if (pthread_mutex_init(&channel->lock, NULL) != 0)
    return dn_error(DN_ENOMEM, "the system has no room for a lock");
  if (init_condition(&channel->arrived) != 0) {
    pthread_mutex_destroy(&channel->lock);
    return dn_error(DN_ENOMEM, "the system has no room for a condition variable");
  }
  channel->first = channel->last = NULL;
  channel->closed = false;
  return DN_OK;
}

void dn_channel_destroy(dn_channel *channel) {
  while (channel->first) {
    dn_message *next = channel->first->next;
    dn_message_free(channel->first);
    channel->first = next;
  }
  channel->last = NULL;
  pthread_cond_destroy(&channel->arrived);
  pthread_mutex_destroy(&channel->lock);
}

void dn_channel_send(dn_channel *channel, dn_message *message) {
  message->next = NULL;
  pthread_mutex_lock(&channel->lock);
  if (channel->last)
    channel->last->next = message;
  else
    channel->first = message;
  channel->last = message;
  pthread_cond_signal(&channel->arrived);
  pthread_mutex_unlock(&channel->lock);
}

static struct timespec from_now(double seconds) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  const double longest = 1e9; /* 30 years: far, and no overflow */
  if (!(seconds < longest)) seconds = longest;
  const double whole = floor(seconds);
  at.tv_sec += (time_t)whole;
  at.tv_nsec += (long)((seconds - whole) * 1e9);
  if (at.tv_nsec >= 1000000000L) {
    at.tv_nsec -= 1000000000L;
    at.tv_sec++;
  }
  return at;
}

dn_message *dn_channel_receive(dn_channel *channel, double seconds) {
  struct timespec deadline = {0};
  if (seconds >= 0) deadline = from_now(seconds);
  pthread_mutex_lock(&channel->lock);
  int failure = 0;
  while (!channel->first && !channel->closed && failure != ETIMEDOUT)
    failure = seconds < 0 ? pthread_cond_wait(&channel->arrived, &channel->lock)
                          : pthread_cond_timedwait(&channel->arrived, &channel->lock, &deadline);
  dn_message *message = channel->closed ? NULL : channel->first;
  if (message) {
    channel->first = message->next;
    if (!channel->first) channel->last = NULL;
    message->next = NULL;
  }
  pthread_mutex_unlock(&channel->lock);
  return message;
}

void dn_channel_close(dn_channel *channel) {
  pthread_mutex_lock(&channel->lock);
  channel->closed = true;
  pthread_cond_broadcast(&channel->arrived);
  pthread_mutex_unlock(&channel->lock);
}
