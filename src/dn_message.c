#include "dn_message.h"

#include <string.h>

dn_status dn_message_new(dn_message **message) {
  void *block;
  *message = NULL;
  DN_TRY(dn_alloc(dn_device_cpu(), sizeof **message, &block));
  *message = block;
  **message = (dn_message){0};
  return DN_OK;
}

void dn_message_free(dn_message *message) {
  if (!message) return;
  dn_message_clear(message);
  dn_free(dn_device_cpu(), message->bytes, message->room_bytes);
  dn_free(dn_device_cpu(), message->tensors,
          message->room_tensors * (int64_t)sizeof *message->tensors);
  dn_free(dn_device_cpu(), message, sizeof *message);
}

void dn_message_truncate(dn_message *message, int64_t n_bytes, int64_t n_tensors) {
  for (int64_t i = n_tensors; i < message->n_tensors; i++) dn_tensor_free(&message->tensors[i]);
  message->n_tensors = n_tensors;
  message->n_bytes = n_bytes;
}

void dn_message_clear(dn_message *message) {
  dn_message_truncate(message, 0, 0);
  message->id = 0;
  message->failed = false;
}

/* *block of *room_bytes, n_used of which count, becomes one of at least n_bytes. */
static dn_status grow(char **block, int64_t n_used, int64_t *room_bytes, int64_t n_bytes) {
  if (n_bytes <= *room_bytes) return DN_OK;
  int64_t room = *room_bytes > 0 ? *room_bytes : 128;
  while (room < n_bytes) room *= 2;
  void *grown;
  DN_TRY(dn_alloc(dn_device_cpu(), room, &grown));
  if (n_used > 0) memcpy(grown, *block, (size_t)n_used);
  dn_free(dn_device_cpu(), *block, *room_bytes);
  *block = grown;
  *room_bytes = room;
  return DN_OK;
}

dn_status dn_message_write(dn_message *message, const void *bytes, int64_t n_bytes) {
  if (n_bytes == 0) return DN_OK;
  DN_TRY(grow(&message->bytes, message->n_bytes, &message->room_bytes, message->n_bytes + n_bytes));
  memcpy(message->bytes + message->n_bytes, bytes, (size_t)n_bytes);
  message->n_bytes += n_bytes;
  return DN_OK;
}

dn_status dn_message_attach(dn_message *message, const dn_tensor *tensor) {
  if (message->n_tensors == message->room_tensors) {
    const int64_t room = message->room_tensors > 0 ? 2 * message->room_tensors : 4;
    void *grown;
    DN_TRY(dn_alloc(dn_device_cpu(), room * (int64_t)sizeof *message->tensors, &grown));
    if (message->n_tensors > 0)
      memcpy(grown, message->tensors, (size_t)message->n_tensors * sizeof *message->tensors);
    dn_free(dn_device_cpu(), message->tensors,
            message->room_tensors * (int64_t)sizeof *message->tensors);
    message->tensors = grown;
    message->room_tensors = room;
  }
  DN_TRY(dn_tensor_share(tensor, &message->tensors[message->n_tensors]));
  message->n_tensors++;
  return DN_OK;
}
