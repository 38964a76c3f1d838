#include "emulated_conv.h"

#include <vector>

namespace {

typedef emulated_tensor tensor;
typedef emulated_conv conv_call;

/* All numbers of a tensor, row-major, as they enter products. */
template <typename C>
std::vector<C> gather(const tensor &t, const void *data, bool is_tf32) {
  std::vector<C> numbers;
  numbers.reserve((size_t)(t.size[0] * t.size[1] * t.size[2] * t.size[3]));
  for (int64_t n = 0; n < t.size[0]; n++)
    for (int64_t c = 0; c < t.size[1]; c++)
      for (int64_t h = 0; h < t.size[2]; h++)
        for (int64_t w = 0; w < t.size[3]; w++) {
          const C number = (C)emulated_load(
              data, t.type, n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w);
          numbers.push_back(is_tf32 ? (C)emulated_tf32((float)number) : number);
        }
  return numbers;
}

template <typename C>
void write(C sum, const conv_call &call, void *data, emulated_type type, int64_t at) {
  const C before = call.beta == 0 ? (C)0 : (C)call.beta * (C)emulated_load(data, type, at);
  emulated_store(data, type, at, (C)call.alpha * sum + before);
}

template <typename C>
void scatter(const std::vector<C> &sums, const conv_call &call, const tensor &t, const void *data) {
  size_t i = 0;
  for (int64_t n = 0; n < t.size[0]; n++)
    for (int64_t c = 0; c < t.size[1]; c++)
      for (int64_t h = 0; h < t.size[2]; h++)
        for (int64_t w = 0; w < t.size[3]; w++)
          write(sums[i++], call, const_cast<void *>(data), t.type,
                n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w);
}

/*
** Visits every product of x, w and y that the definition has, in one order: columns of y innermost.
** forward adds x w to y, backward_data y w to x, backward_filter x y to w, line by line.
*/
template <typename C>
void visit(const conv_call &call, int direction, std::vector<C> &x, std::vector<C> &w,
           std::vector<C> &y) {
  const int64_t *xs = call.x.size, *ys = call.y.size;
  const int64_t depth = call.w.size[1], width = call.w.size[0] / call.groups;
  for (int64_t n = 0; n < ys[0]; n++)
    for (int64_t k = 0; k < ys[1]; k++)
      for (int64_t c = 0; c < depth; c++)
        for (int64_t r = 0; r < call.w.size[2]; r++)
          for (int64_t s = 0; s < call.w.size[3]; s++) {
            C &weight = w[(size_t)(((k * depth + c) * call.w.size[2] + r) * call.w.size[3] + s)];
            const C factor = weight;
            C sum = 0;
            for (int64_t p = 0; p < ys[2]; p++) {
              const int64_t h = p * call.stride[0] - call.pad[0] + r;
              if (h < 0 || h >= xs[2]) continue;
              C *const x_line =
                  &x[(size_t)(((n * xs[1] + k / width * depth + c) * xs[2] + h) * xs[3])];
              C *const y_line = &y[(size_t)(((n * ys[1] + k) * ys[2] + p) * ys[3])];
              C line_sum = 0;
              for (int64_t q = 0; q < ys[3]; q++) {
                const int64_t at = q * call.stride[1] - call.pad[1] + s;
                if (at < 0 || at >= xs[3]) continue;
                if (direction == FORWARD)
                  y_line[q] += x_line[at] * factor;
                else if (direction == BACKWARD_DATA)
                  x_line[at] += y_line[q] * factor;
                else
                  line_sum += x_line[at] * y_line[q];
              }
              sum += line_sum;
            }
            if (direction == BACKWARD_FILTER) weight += sum;
          }
}

template <typename C>
void compute(const conv_call &call, int direction) {
  const tensor &weight = call.w;
  std::vector<C> x, w, y;
  const auto load = [&](int is_output, const tensor &t, const void *data, std::vector<C> &to) {
    to = is_output ? std::vector<C>((size_t)(t.size[0] * t.size[1] * t.size[2] * t.size[3]))
                   : gather<C>(t, data, call.is_tf32);
  };
  load(direction == BACKWARD_DATA, call.x, call.x_data, x);
  load(direction == BACKWARD_FILTER, weight, call.w_data, w);
  load(direction == FORWARD, call.y, call.y_data, y);
  visit(call, direction, x, w, y);
  if (direction == FORWARD) scatter(y, call, call.y, call.y_data);
  if (direction == BACKWARD_DATA) scatter(x, call, call.x, call.x_data);
  if (direction == BACKWARD_FILTER) scatter(w, call, weight, call.w_data);
}

}  // namespace

void emulated_conv_compute(const emulated_conv &call) {
  if (call.x.type == EMULATED_DOUBLE)
    compute<double>(call, call.direction);
  else
    compute<float>(call, call.direction);
}
