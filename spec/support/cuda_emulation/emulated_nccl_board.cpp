#include "emulated_nccl_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct flock lock_of(int rank) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

static std::string failure(const char *call) {
  return std::string(call) + " failed: " + strerror(errno);
}

nccl_board::~nccl_board() {
  if (boxes) munmap(boxes, (size_t)n_ranks_ * sizeof *boxes);
  if (file >= 0) close(file);
}

std::string nccl_board::join(const std::string &name, int n_ranks, int rank, int gpu) {
  n_ranks_ = n_ranks;
  rank_ = rank;
  const size_t n_bytes = (size_t)n_ranks * sizeof(nccl_box);
  file = shm_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return failure("shm_open");
  struct flock lock = lock_of(rank);
  if (fcntl(file, F_OFD_SETLK, &lock) != 0)
    return "rank " + std::to_string(rank) + " is there twice";
  name_ = name;
  if (lseek(file, 0, SEEK_END) < (off_t)n_bytes && ftruncate(file, (off_t)n_bytes) != 0)
    return failure("ftruncate");
  void *at = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) return failure("mmap");
  boxes = (nccl_box *)at;
  own().n_ranks = n_ranks;
  own().gpu = gpu;
  own().pid = (int)getpid();
  own().presence = NCCL_PRESENT;
  return "";
}

bool nccl_board::is_complete() {
  for (int r = 0; r < n_ranks_; r++)
    if (boxes[r].presence == NCCL_ABSENT) return false;
  forget_name();
  return true;
}

void nccl_board::forget_name() {
  if (!name_.empty()) (void)shm_unlink(name_.c_str());
  name_.clear();
}

bool nccl_board::has_ended(int rank) const {
  struct flock lock = lock_of(rank);
  return rank != rank_ && boxes[rank].presence != NCCL_ABSENT &&
         fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}
