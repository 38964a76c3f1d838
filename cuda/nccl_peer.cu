#include "nccl_peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a. */
static uint64_t hash(uint64_t before, const char *text) {
  for (; *text; text++) before = (before ^ (unsigned char)*text) * 0x100000001B3u;
  return before;
}

static bool read_line(const char *path, char *line, int room) {
  FILE *file = fopen(path, "re");
  const bool is_read = file && fgets(line, room, file);
  if (file) (void)fclose(file);
  return is_read;
}

/* The kernel that runs, and the list of processes that is seen: containers have their own. */
static int64_t machine(void) {
  char line[80];
  struct stat space;
  if (!read_line("/proc/sys/kernel/random/boot_id", line, sizeof line) ||
      stat("/proc/self/ns/pid", &space) != 0)
    return 0;
  uint64_t found = hash(0xCBF29CE484222325u, line);
  snprintf(line, sizeof line, "%llu", (unsigned long long)space.st_ino);
  found = hash(found, line);
  return (int64_t)found;
}

/* A process's letter and beginning, of /proc/N/stat: behind its name, which may hold anything. */
static bool look_up(int64_t process, char *letter, int64_t *beginning) {
  char path[48], line[1024];
  snprintf(path, sizeof path, "/proc/%lld/stat", (long long)process);
  if (!read_line(path, line, sizeof line)) return false;
  const char *at = strrchr(line, ')');
  unsigned long long began = 0;
  const int n_found =
      at ? sscanf(
               at + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               letter, &began)
         : 0;
  *beginning = (int64_t)began;
  return n_found == 2;
}

nccl_peer nccl_peer_self(void) {
  nccl_peer self = {machine(), (int64_t)getpid(), 0};
  char letter;
  if (!look_up(self.process, &letter, &self.beginning)) self.machine = 0;
  return self;
}

nccl_peer_state nccl_peer_look(const nccl_peer *peer) {
  static int64_t here;
  if (here == 0) here = machine();
  char letter = 'R';
  int64_t beginning = 0;
  if (peer->machine == 0 || peer->machine != here) return NCCL_PEER_RUNS;
  if (!look_up(peer->process, &letter, &beginning) || beginning != peer->beginning)
    return NCCL_PEER_HAS_ENDED;
  if (letter == 'Z' || letter == 'X') return NCCL_PEER_HAS_ENDED;
  return letter == 'T' || letter == 't' ? NCCL_PEER_IS_STOPPED : NCCL_PEER_RUNS;
}
