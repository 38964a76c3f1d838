/*
** Every byte that is watched has a cell: who wrote it last, and who has read it since. Who, that is a
** step: what a thread does between two barriers. Steps of a launch are numbered in the order in which
** they run; what an earlier launch left in a cell counts as written, long ago.
*/
#include "emulation_races.h"

#include "cuda_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <vector>

namespace {

struct step {
  unsigned block, thread, block_epoch, warp_epoch;
};

/* A step's number, and a mark: of a write that it was atomic, of a read that other lanes read, too. */
typedef uint32_t stamp;
const stamp NEVER = 0, LONG_AGO = 1, MARK = 1u << 31;

/* Two readers suffice: the latest, and the latest of another warp, or better of another block. */
struct cell {
  uint32_t launch;
  stamp write, read, other;
};

struct watched {
  const char *first;
  size_t n_bytes;
  const char *kind;
  cell *cells;
};

enum use { READ, LOOK, WRITE, ATOMIC };

bool is_told;
std::vector<watched> all;
std::vector<step> steps;
uint32_t launch;
thread_local bool is_running;

watched *find(const void *address) {
  for (watched &one : all)
    if ((const char *)address >= one.first && (const char *)address < one.first + one.n_bytes)
      return &one;
  return nullptr;
}

const step &step_of(stamp at) { return steps[at & ~MARK]; }

bool is_known(stamp at) { return (at & ~MARK) > LONG_AGO; }

bool are_of_a_warp(const step &a, const step &b) {
  return a.block == b.block && a.thread / 32 == b.thread / 32;
}

/* Whether what was done at `before` comes before what the running thread does now. */
bool is_ordered(stamp before, bool has_others) {
  if (!is_known(before)) return true;
  const step &then = step_of(before), &now = steps.back();
  if (then.block != now.block) return false;
  if (then.block_epoch != now.block_epoch) return true;
  if (then.thread == now.thread && !has_others) return true;
  return are_of_a_warp(then, now) && then.warp_epoch != now.warp_epoch;
}

void report(const watched &on, const char *did, stamp other, const char *does) {
  const step &then = step_of(other), &now = steps.back();
  char what[240];
  snprintf(what, sizeof what,
           "a race: thread %u %s %s memory that thread %u of block %u %s, and nothing orders them",
           now.thread, does, on.kind, then.thread, then.block, did);
  emulation_fail_block(what);
}

void check(const watched &on, const cell &at, use how) {
  const char *const does = how == ATOMIC ? "changes" : how == WRITE ? "writes" : "reads";
  const bool was_atomic = at.write & MARK, are_friends = how == ATOMIC || how == LOOK;
  if (how != WRITE && at.write == NEVER) {
    char what[120];
    snprintf(what, sizeof what, "thread %u reads %s memory that nobody has written",
             steps.back().thread, on.kind);
    emulation_fail_block(what);
  } else if (!(was_atomic && are_friends) && !is_ordered(at.write, false)) {
    report(on, was_atomic ? "changes" : "writes", at.write, does);
  } else if (how == WRITE || how == ATOMIC) {
    for (const stamp reader : {at.read, at.other})
      if (!is_ordered(reader, reader & MARK)) report(on, "reads", reader, does);
  }
}

void note_read(cell *at) {
  const stamp now = (stamp)(steps.size() - 1);
  if (is_known(at->read) && !is_ordered(at->read, true)) {
    if (are_of_a_warp(step_of(at->read), steps.back())) {
      if (step_of(at->read).thread != steps.back().thread) at->read |= MARK;
      return;
    }
    const bool keeps_other =
        is_known(at->other) && step_of(at->other).block != step_of(at->read).block;
    if (!keeps_other) at->other = at->read;
  }
  at->read = now;
}

/* A plain write that most of the block has still to wait for says more than what follows it. */
bool is_begun(const cell &at) {
  if (!is_known(at.write) || at.write & MARK) return false;
  const step &then = step_of(at.write), &now = steps.back();
  return then.block == now.block && then.block_epoch == now.block_epoch;
}

void note_cell(const watched &on, cell *at, use how) {
  if (at->launch != launch) *at = {launch, at->write == NEVER ? NEVER : LONG_AGO, NEVER, NEVER};
  check(on, *at, how);
  if (how == READ) note_read(at);
  const stamp now = (stamp)(steps.size() - 1);
  if (how == WRITE) *at = {launch, now, NEVER, NEVER};
  if (how == ATOMIC && !is_begun(*at)) *at = {launch, now | MARK, NEVER, NEVER};
}

void note(const void *address, size_t n_bytes, use how) {
  if (!is_running) return;
  const watched *on = find(address);
  if (!on) return;
  const size_t first = (size_t)((const char *)address - on->first);
  for (size_t i = first; i < first + n_bytes && i < on->n_bytes; i++)
    note_cell(*on, &on->cells[i], how);
}

void set_all(const void *first, size_t n_bytes, stamp write) {
  const watched *on = is_told ? find(first) : nullptr;
  if (!on) return;
  cell *const cells = &on->cells[(const char *)first - on->first];
  for (size_t i = 0; i < n_bytes; i++) cells[i] = {0, write, NEVER, NEVER};
}

}  // namespace

bool emulation_finds_races(void) { return is_told; }

void emulation_races_watch(const void *first, size_t n_bytes, const char *kind) {
  if (!is_told || n_bytes == 0) return;
  void *const cells = mmap(nullptr, n_bytes * sizeof(cell), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (cells == MAP_FAILED) {
    perror("no memory to watch races with");
    abort();
  }
  all.push_back({(const char *)first, n_bytes, kind, (cell *)cells});
}

void emulation_races_unwatch(const void *first) {
  for (size_t i = 0; i < all.size(); i++) {
    if (all[i].first != (const char *)first) continue;
    munmap(all[i].cells, all[i].n_bytes * sizeof(cell));
    all.erase(all.begin() + (ptrdiff_t)i);
    return;
  }
}

void emulation_races_fresh(const void *first, size_t n_bytes) { set_all(first, n_bytes, NEVER); }

void emulation_races_written(const void *first, size_t n_bytes) {
  set_all(first, n_bytes, LONG_AGO);
}

void emulation_races_begin(void) {
  is_running = is_told;
  launch++;
  steps.assign(LONG_AGO + 1, step());
}

void emulation_races_end(void) { is_running = false; }

void emulation_races_thread(unsigned block, unsigned thread, unsigned block_epoch,
                            unsigned warp_epoch) {
  if (is_running) steps.push_back({block, thread, block_epoch, warp_epoch});
}

void emulation_races_atomic(const void *first, size_t n_bytes) { note(first, n_bytes, ATOMIC); }

/* ---- What the compiler calls ---- */

extern "C" {

void __tsan_init(void);
void __tsan_init(void) { is_told = true; }

#define TELLS(n)                                                   \
  void __tsan_read##n(void *at);                                   \
  void __tsan_read##n(void *at) { note(at, n, READ); }             \
  void __tsan_write##n(void *at);                                  \
  void __tsan_write##n(void *at) { note(at, n, WRITE); }           \
  void __tsan_volatile_read##n(void *at);                          \
  void __tsan_volatile_read##n(void *at) { note(at, n, LOOK); }    \
  void __tsan_volatile_write##n(void *at);                         \
  void __tsan_volatile_write##n(void *at) { note(at, n, ATOMIC); } \
  void __tsan_unaligned_read##n(void *at);                         \
  void __tsan_unaligned_read##n(void *at) { note(at, n, READ); }   \
  void __tsan_unaligned_write##n(void *at);                        \
  void __tsan_unaligned_write##n(void *at) { note(at, n, WRITE); }

TELLS(1)
TELLS(2)
TELLS(4)
TELLS(8)
TELLS(16)

void __tsan_read_range(void *at, size_t n_bytes);
void __tsan_read_range(void *at, size_t n_bytes) { note(at, n_bytes, READ); }
void __tsan_write_range(void *at, size_t n_bytes);
void __tsan_write_range(void *at, size_t n_bytes) { note(at, n_bytes, WRITE); }
}
