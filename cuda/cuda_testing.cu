#include "cuda_testing.h"

#include <inttypes.h>
#include <stdio.h>

#include "cuda_cudnn_plan.h"
#include "cuda_described.h"
#include "cuda_kernel_times.h"
#include "cuda_probe.h"

enum { MOST_TEXT = 512 };

static dn_status empty_kernels(int64_t n, char *) { return cuda_probe_empty(n); }

static dn_status products(dn_dtype dtype, int64_t n, char *text) {
  double n_operations, sum;
  DN_TRY(cuda_probe_products(dtype, n, &n_operations, &sum));
  snprintf(text, MOST_TEXT, "%.17g %.17g", n_operations, sum);
  return DN_OK;
}

static dn_status products_float(int64_t n, char *text) { return products(DN_FLOAT, n, text); }

static dn_status products_half(int64_t n, char *text) { return products(DN_HALF, n, text); }

static dn_status products_bfloat16(int64_t n, char *text) { return products(DN_BFLOAT16, n, text); }

static dn_status mark(int64_t which, char *) { return cuda_probe_mark(which); }

static dn_status milliseconds(int64_t, char *text) {
  double between;
  DN_TRY(cuda_probe_milliseconds(&between));
  snprintf(text, MOST_TEXT, "%.9g", between);
  return DN_OK;
}

static dn_status count_launches(int64_t on, char *) { return cuda_launched_count(on != 0); }

static dn_status launched(int64_t n, char *text) {
  const char *name;
  int length;
  int64_t count;
  if (cuda_launched_get(n, &name, &length, &count))
    snprintf(text, MOST_TEXT, "%.*s %" PRId64, length, name, count);
  return DN_OK;
}

static dn_status time_kernels(int64_t n, char *) {
  return n == 2 ? cuda_kernel_times_flush() : cuda_kernel_times_take(n != 0);
}

static dn_status one_kernel_time(int64_t n, char *text) {
  char name[CUDA_KERNEL_NAME];
  int64_t count, nanoseconds;
  if (cuda_kernel_times_get(n, name, &count, &nanoseconds))
    snprintf(text, MOST_TEXT, "%" PRId64 " %" PRId64 " %s", count, nanoseconds, name);
  return DN_OK;
}

static dn_status convolution_plan(int64_t n, char *text) {
  static const char *const directions[] = {"forward", "backward_data", "backward_weight"};
  cuda_cudnn_plan plan;
  if (!cuda_cudnn_get_plan(n, &plan)) return DN_OK;
  const cuda_cudnn_key *key = &plan.key;
  const char *const dtype =
      key->dtype == DN_FLOAT && key->rounds ? "tf32" : dn_dtype_name((dn_dtype)key->dtype);
  snprintf(text, MOST_TEXT,
           "%s %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
           " %s %" PRId64 " %" PRId64 " %.3f",
           directions[key->direction], dtype, key->n, key->c, key->h, key->w, key->k, key->r,
           key->s, plan.is_refused ? "refused" : "done", plan.engine, plan.n_bytes, plan.asked_us);
  return DN_OK;
}

/* Leaves its answer in `text`, which is empty. */
typedef dn_status ask_function(int64_t value, char *text);

static const struct {
  const char *name;
  ask_function *ask;
  bool plans; /* a plan device answers, too */
} hooks[] = {
    {"empty kernels", empty_kernels, false},
    {"products float", products_float, false},
    {"products half", products_half, false},
    {"products bfloat16", products_bfloat16, false},
    {"mark", mark, false},
    {"milliseconds", milliseconds, false},
    {"count launches", count_launches, false},
    {"launched", launched, false},
    {"time kernels", time_kernels, false},
    {"kernel time", one_kernel_time, false},
    {"convolution plan", convolution_plan, true},
};

static dn_status ask(dn_device *device, ask_function *function, int64_t value, char *text) {
  if (!device->has_values) {
    cuda_described_enter(device);
    return function(value, text);
  }
  DN_TRY(cuda_enter(device));
  const dn_status status = function(value, text);
  cuda_leave();
  return status;
}

bool cuda_testing(dn_device *device, const char *hook, int64_t value, const char **answer) {
  static thread_local char text[MOST_TEXT];
  for (const auto &each : hooks) {
    if (strcmp(each.name, hook) != 0 || !(device->has_values || each.plans)) continue;
    text[0] = 0;
    const dn_status status = ask(device, each.ask, value, text);
    *answer = status == DN_OK ? text : dn_error_message();
    return status == DN_OK;
  }
#ifdef __CUDACC__
  return false;
#else
  return emulation_hook(hook, value, answer);
#endif
}
