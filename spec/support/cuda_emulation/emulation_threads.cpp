/*
** Threads of a block as fibers. A thread starts on a fiber of its own only while others wait: when it
** ends without having waited, the next thread goes on in the same fiber.
*/
#include "cuda_runtime.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif
#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

emulation_place emulation_now;

namespace {

const size_t STACK_BYTES = 256 << 10;
/* Stacks begin at different places of their pages: at the same, a block's would share a few cache sets. */
const size_t SHIFT_BYTES = 320, MOST_SHIFTS = 200;
const size_t FENCE = 64;

enum state { FRESH, RUNNABLE, AT_BLOCK, AT_WARP, DONE };

/*
** A fiber is entered once as a context, and from then on as a jump: a switch of contexts calls the
** kernel for its signal mask, which costs fifty times as much as the jump.
*/
struct fiber {
  ucontext_t context;
  jmp_buf place;
  bool is_entered;
  char *stack;
  void *fake_stack;
};

struct thread {
  state is = FRESH;
  fiber *on = nullptr;
  unsigned n_exchanges = 0;
  size_t n_exchanged = 0; /* bytes; 0 at __syncwarp */
};

fiber *main_fiber() {
  static fiber it = {};
  it.is_entered = true;
  return &it;
}

struct shared_block {
  std::unique_ptr<char[]> bytes; /* a fence, the memory, a fence */
  size_t n_bytes;
};

/* The block that runs, of the launch that runs. */
struct running {
  const char *name;
  const std::function<void()> *body;
  unsigned n_threads;
  unsigned now; /* the running thread */
  unsigned n_started;
  bool failed, is_watched;           /* for races */
  unsigned block_index, block_epoch; /* epochs count barriers */
  const void *main_bottom;
  size_t main_bytes;
  std::vector<thread> threads;
  std::vector<uint3> indices; /* threadIdx of each */
  std::vector<unsigned> warp_epochs;
  std::vector<char> lanes; /* [warp][parity][lane] */
  std::map<const void *, shared_block> shared;
  shared_block dynamic;
  /* Bytes of shared memory of the block: declared so far, dynamic, dynamic at most. */
  size_t n_declared, n_shared, most_shared;
} run;

/* Never destroyed, so that at the exit the fibers are still known to somebody. */
std::vector<fiber *> &idle = *new std::vector<fiber *>();
fiber *current_fiber;

/* ---- Switching ---- */

#if HAS_ASAN
/*
** The sanitizer's _longjmp takes each jump for one that gives up the frames it leaves: it asks the
** kernel for the signal stack, twice, and forgets what is poisoned on the stack. libc's own only jumps.
*/
void jump(jmp_buf place) {
  typedef void (*jump_function)(jmp_buf, int);
  static const jump_function libc_jump =
      (jump_function)dlsym(dlopen("libc.so.6", RTLD_LAZY), "_longjmp");
  libc_jump(place, 1);
}

/* A fiber that has just been switched to comes from the scheduler, and learns where its stack is. */
void arrive(fiber *at, void *fake_stack) {
  const void *bottom;
  size_t n_bytes;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &n_bytes);
  if (at == main_fiber()) return;
  run.main_bottom = bottom;
  run.main_bytes = n_bytes;
}
#else
[[noreturn]] void jump(jmp_buf place) { _longjmp(place, 1); }
#endif

void switch_to(fiber *to) {
  fiber *from = current_fiber;
  current_fiber = to;
#if HAS_ASAN
  const bool is_main = to == main_fiber();
  __sanitizer_start_switch_fiber(&from->fake_stack, is_main ? run.main_bottom : to->stack,
                                 is_main ? run.main_bytes : STACK_BYTES);
#endif
  if (_setjmp(from->place) == 0) {
    if (to->is_entered) jump(to->place);
    to->is_entered = true;
    setcontext(&to->context);
  }
#if HAS_ASAN
  arrive(from, from->fake_stack);
#endif
}

unsigned in_order(unsigned i) { return emulation_is_reversed() ? run.n_threads - 1 - i : i; }

void place(unsigned t) {
  run.now = t;
  emulation_now.thread = run.indices[t];
  if (run.is_watched)
    emulation_races_thread(run.block_index, t, run.block_epoch, run.warp_epochs[t / 32]);
}

void fiber_main() {
  fiber *own = current_fiber;
#if HAS_ASAN
  arrive(own, nullptr);
#endif
  while (true) {
    while (run.n_started < run.n_threads && !run.failed) {
      const unsigned t = in_order(run.n_started++); /* resumed threads end in this loop as well */
      place(t);
      run.threads[t].on = own;
      run.threads[t].is = RUNNABLE;
      (*run.body)();
      run.threads[run.now].is = DONE;
      run.threads[run.now].on = nullptr;
    }
    idle.push_back(own);
    switch_to(main_fiber());
  }
}

fiber *make_fiber() {
  static size_t n_made;
  fiber *const it = new fiber();
  it->stack = (char *)mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  getcontext(&it->context);
  it->context.uc_stack.ss_sp = it->stack;
  it->context.uc_stack.ss_size = STACK_BYTES - n_made++ % MOST_SHIFTS * SHIFT_BYTES;
  it->context.uc_link = nullptr;
  makecontext(&it->context, fiber_main, 0);
  return it;
}

fiber *take_fiber() {
  if (idle.empty()) return make_fiber();
  fiber *it = idle.back();
  idle.pop_back();
  return it;
}

void drop_fiber(fiber *it) {
#if HAS_ASAN
  __asan_unpoison_memory_region(it->stack, STACK_BYTES);
#endif
  munmap(it->stack, STACK_BYTES);
  delete it;
}

/* ---- Shared memory ---- */

shared_block make_shared(size_t n_bytes) {
  shared_block made;
  made.n_bytes = n_bytes;
  made.bytes.reset(new char[n_bytes + 2 * FENCE]);
  memset(made.bytes.get(), 0xFF, n_bytes + 2 * FENCE);
#if HAS_ASAN
  __asan_poison_memory_region(made.bytes.get(), FENCE);
  __asan_poison_memory_region(made.bytes.get() + FENCE + n_bytes, FENCE);
#endif
  emulation_races_watch(made.bytes.get() + FENCE, n_bytes, "shared");
  return made;
}

void close_shared(const shared_block &block) {
  if (block.bytes) emulation_races_unwatch(block.bytes.get() + FENCE);
#if HAS_ASAN
  if (block.bytes) __asan_unpoison_memory_region(block.bytes.get(), block.n_bytes + 2 * FENCE);
#endif
}

/* Without the sanitizer only what was written outside is noticed, and only afterwards. */
bool is_fenced(const shared_block &block) {
  if (!block.bytes) return true;
  for (size_t i = 0; i < FENCE; i++)
    if ((unsigned char)block.bytes[i] != 0xFF ||
        (unsigned char)block.bytes[FENCE + block.n_bytes + i] != 0xFF)
      return false;
  return true;
}

void end_shared() {
  close_shared(run.dynamic);
  bool fenced = is_fenced(run.dynamic);
  for (auto &entry : run.shared) {
    close_shared(entry.second);
    fenced = fenced && is_fenced(entry.second);
  }
  run.shared.clear();
  run.dynamic = shared_block();
  if (!fenced && !run.failed) {
    run.failed = true;
    emulation_fail(cudaErrorLaunchFailure, "%s wrote outside of its shared memory", run.name);
  }
}

/* ---- The scheduler ---- */

void resume(unsigned t) {
  run.threads[t].is = RUNNABLE;
  place(t);
  switch_to(run.threads[t].on);
}

unsigned count(state is, unsigned first, unsigned end) {
  unsigned n = 0;
  for (unsigned t = first; t < end; t++) n += run.threads[t].is == is;
  return n;
}

/* Lanes of a warp that wait for each other wait at one place. */
bool are_together(unsigned first) {
  for (unsigned t = first + 1; t < first + 32; t++)
    if (run.threads[t].n_exchanged != run.threads[first].n_exchanged) return false;
  return true;
}

/* Warps all of whose lanes have given their values go on. */
bool release_warps() {
  bool progressed = false;
  for (unsigned first = 0; first < run.n_threads && !run.failed; first += 32) {
    const unsigned end = first + 32 < run.n_threads ? first + 32 : run.n_threads;
    const unsigned waiting = count(AT_WARP, first, end);
    if (waiting == 0) continue;
    if (end - first < 32) emulation_fail_block("a warp of fewer than 32 threads exchanges values");
    if (waiting < 32) continue;
    if (!are_together(first))
      emulation_fail_block("lanes of a warp wait for each other at different places");
    if (run.threads[first].n_exchanged == 0) run.warp_epochs[first / 32]++;
    progressed = true;
    for (unsigned i = 0; i < 32 && !run.failed; i++)
      resume(emulation_is_reversed() ? end - 1 - i : first + i);
  }
  return progressed;
}

void release_block() {
  const unsigned n = run.n_threads, waiting = count(AT_BLOCK, 0, n), done = count(DONE, 0, n);
  char what[160];
  if (waiting + done < n) {
    snprintf(what, sizeof what,
             "%u threads wait for their warps, of which other lanes wait elsewhere or have ended",
             count(AT_WARP, 0, n));
    emulation_fail_block(what);
  } else if (done > 0) {
    snprintf(what, sizeof what, "%u threads wait at a barrier that %u others never reach", waiting,
             done);
    emulation_fail_block(what);
  } else {
    run.block_epoch++;
    for (unsigned t = 0; t < n; t++) run.threads[t].is = RUNNABLE;
    for (unsigned i = 0; i < n && !run.failed; i++) resume(in_order(i));
  }
}

void run_block() {
  const unsigned n = run.n_threads;
  run.threads.assign(n, thread());
  run.warp_epochs.assign((n + 31) / 32, 0);
  run.block_epoch = 0;
  run.lanes.assign((n + 31) / 32 * 2 * 32 * EMULATION_LANE_BYTES, (char)0xFF);
  run.n_started = 0;
  while (run.n_started < n && !run.failed) {
    fiber *on = take_fiber();
    switch_to(on);
  }
  while (!run.failed && count(DONE, 0, n) < n)
    if (!release_warps()) release_block();
  for (thread &left : run.threads)
    if (left.on && left.is != DONE) drop_fiber(left.on);
  end_shared();
}

}  // namespace

void emulation_fail_block(const char *what, cudaError_t error) {
  if (run.failed) return;
  run.failed = true;
  const uint3 at = emulation_now.block;
  emulation_fail(error, "%s, block %u,%u,%u: %s", run.name, at.x, at.y, at.z, what);
}

bool emulation_is_aligned(const void *address, size_t n_bytes) {
  if ((uintptr_t)address % n_bytes == 0) return true;
  char what[120];
  snprintf(what, sizeof what, "an access of %zu bytes at an address that is no multiple of %zu",
           n_bytes, n_bytes);
  emulation_fail_block(what, cudaErrorMisalignedAddress);
  return false;
}

/* ---- What kernels call ---- */

int emulation_lane(void) { return (int)(run.now % 32); }

static void wait_as(state is) {
  const unsigned own = run.now;
  run.threads[own].is = is;
  switch_to(main_fiber());
}

void emulation_wait_block(void) { wait_as(AT_BLOCK); }

const char *emulation_exchange(unsigned mask, const void *value, size_t n_bytes) {
  if (mask != 0xFFFFFFFFu) emulation_fail_block("only exchanges between all 32 lanes are emulated");
  thread &own = run.threads[run.now];
  const size_t parity = own.n_exchanges++ % 2;
  own.n_exchanged = n_bytes;
  const size_t first = (run.now / 32 * 2 + parity) * 32;
  if (n_bytes > EMULATION_LANE_BYTES) emulation_fail_block("a value too large to exchange");
  if (n_bytes > 0 && n_bytes <= EMULATION_LANE_BYTES)
    memcpy(&run.lanes[(first + run.now % 32) * EMULATION_LANE_BYTES], value, n_bytes);
  wait_as(AT_WARP);
  return &run.lanes[first * EMULATION_LANE_BYTES];
}

/* What CUDA refuses of the real kernel: its launch, or to allow it so much beside what it declares. */
static void check_declared() {
  const bool is_asked = run.most_shared > (size_t)EMULATION_SHARED_BYTES;
  const size_t all = run.n_declared + (is_asked ? run.most_shared : run.n_shared);
  const size_t most = is_asked ? EMULATION_MOST_SHARED_BYTES : EMULATION_SHARED_BYTES;
  if (all <= most) return;
  char what[160];
  snprintf(what, sizeof what,
           "%zu bytes of shared memory, declared and dynamic, where %zu are allowed", all, most);
  emulation_fail_block(what);
}

void *emulation_shared(const void *key, size_t n_bytes) {
  auto found = run.shared.find(key);
  if (found == run.shared.end()) {
    found = run.shared.emplace(key, make_shared(n_bytes)).first;
    run.n_declared += n_bytes;
    check_declared();
  }
  return found->second.bytes.get() + FENCE;
}

void *emulation_shared_dynamic(void) { return run.dynamic.bytes.get() + FENCE; }

void emulation_run(const char *name, dim3 grid, dim3 block, size_t n_shared, size_t most_shared,
                   const std::function<void()> &body) {
  run.name = name;
  run.body = &body;
  run.failed = false;
  run.most_shared = most_shared;
  run.is_watched = emulation_finds_races();
  run.n_threads = block.x * block.y * block.z;
  run.indices.clear();
  for (unsigned t = 0; t < run.n_threads; t++)
    run.indices.push_back({t % block.x, t / block.x % block.y, t / block.x / block.y});
  current_fiber = main_fiber();
  emulation_now.grid_size = grid;
  emulation_now.block_size = block;
  const uint64_t n_blocks = (uint64_t)grid.x * grid.y * grid.z;
  emulation_races_begin();
  for (uint64_t i = 0; i < n_blocks && !run.failed; i++) {
    const uint64_t b = emulation_is_reversed() ? n_blocks - 1 - i : i;
    run.block_index = (unsigned)b;
    emulation_now.block = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                           (unsigned)(b / grid.x / grid.y)};
    run.dynamic = make_shared(n_shared);
    run.n_declared = 0;
    run.n_shared = n_shared;
    run_block();
  }
  emulation_races_end();
}
