/*
** What was launched and called, by name, so that a spec sees work that creeps in. Launches of a kernel's
** template count together, under its name without parameters.
*/
#include "cuda_runtime.h"

#include <map>
#include <string>

static std::map<std::string, int64_t> counts;

static void count(const std::string &what) {
  emulation_locked here;
  counts[what]++;
}

/* "(fill_kernel<float>)", as a macro turns it into text, is fill_kernel. */
void emulation_count_launch(const char *kernel) {
  const std::string name = kernel;
  const size_t first = name[0] == '(' ? 1 : 0;
  count("launch " + name.substr(first, name.find_first_of("<)", first) - first));
}

void emulation_count_call(const char *function) { count(std::string("call ") + function); }

const char *emulation_counted(int64_t n) {
  emulation_locked here;
  static std::string line;
  if (n < 0 || n >= (int64_t)counts.size()) return nullptr;
  auto found = counts.begin();
  std::advance(found, n);
  line = found->first + " " + std::to_string(found->second);
  return line.c_str();
}

void emulation_uncount(void) {
  emulation_locked here;
  counts.clear();
}
