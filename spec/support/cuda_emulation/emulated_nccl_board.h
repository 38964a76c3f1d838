/*
** What ranks of the emulated NCCL share: a piece of memory with a box for each of them. A rank writes its
** own box and reads all. Collectives are done in steps, numbered alike on every rank: a box holds what its
** rank gives to the step `written`, and may be written anew when all ranks have read as many.
**
** Each rank holds a lock on a byte of the memory's file, which its process loses when it ends, however it
** ends: so others see that it has.
*/
#ifndef EMULATED_NCCL_BOARD_H
#define EMULATED_NCCL_BOARD_H

#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <string>

enum nccl_presence : int { NCCL_ABSENT, NCCL_PRESENT, NCCL_FINALIZED, NCCL_ABORTED };

/* What a rank calls, to be compared with what others do. */
struct nccl_call {
  int kind, type, op, root;
  uint64_t count;
};

struct nccl_box {
  static const size_t N_BYTES = 256 << 10;
  std::atomic<int> presence;
  std::atomic<uint64_t> written, read;
  int n_ranks, gpu, pid;
  nccl_call call;
  alignas(64) char bytes[N_BYTES];
};

class nccl_board {
 public:
  nccl_board() = default;
  nccl_board(const nccl_board &) = delete;
  nccl_board &operator=(const nccl_board &) = delete;
  ~nccl_board();

  /* Takes the box of `rank`; why it could not, or "". */
  std::string join(const std::string &name, int n_ranks, int rank, int gpu);

  /* All ranks have joined. The memory's name is not needed any more, and goes. */
  bool is_complete();

  /* Of another rank that had joined: its process has ended. */
  bool has_ended(int rank) const;

  nccl_box &box(int rank) const { return boxes[rank]; }
  nccl_box &own() const { return boxes[rank_]; }
  bool is_joined() const { return boxes != nullptr; }
  int n_ranks() const { return n_ranks_; }
  int rank() const { return rank_; }
  void forget_name();

 private:
  std::string name_;
  int file = -1, n_ranks_ = 0, rank_ = 0;
  nccl_box *boxes = nullptr;
};

#endif
