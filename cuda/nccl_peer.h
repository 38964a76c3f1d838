/*
** Other ranks as processes. NCCL says that a remote process is gone, not which; and between GPUs of one
** machine often nothing at all. So ranks tell each other at the start what they are, and those on the
** same machine look after each other: what the kernel says of a process needs none of its help.
*/
#ifndef NCCL_PEER_H
#define NCCL_PEER_H

#include <stdint.h>

/* All numbers, so that an all-gather moves it. */
typedef struct nccl_peer {
  int64_t machine;   /* the same for processes that see each other; 0: nothing is known */
  int64_t process;   /* its number there */
  int64_t beginning; /* when it began, because numbers are given anew */
} nccl_peer;

typedef enum nccl_peer_state {
  NCCL_PEER_RUNS, /* or it is elsewhere, and nobody knows */
  NCCL_PEER_IS_STOPPED,
  NCCL_PEER_HAS_ENDED
} nccl_peer_state;

nccl_peer nccl_peer_self(void);
nccl_peer_state nccl_peer_look(const nccl_peer *peer);

#endif
