/*
** Random fills. Element i, in row-major order whatever the strides, is a function of rng and i
** alone (dn_philox.h), so threads and devices fill in any order and agree. Numbers are made in
** double and then rounded to the tensor's dtype.
*/
#include "../../dn_random.h"
#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_element.h"
#include "cpu_rows.h"

enum { UNIFORM_STEPS = 16, NORMAL_STEPS = 64 }; /* cost of an element, in additions */

typedef struct task {
  dn_dtype dtype;
  dn_rng rng;
  double low, range, most; /* uniform; most: the largest number of the dtype below high */
  double mean, deviation;  /* normal */
  void (*make)(const struct task *job, uint64_t first, int64_t n, double *numbers);
} task;

static void make_uniform(const task *job, uint64_t first, int64_t n, double *numbers) {
  dn_pair pair = {{0, 0}};
  for (int64_t i = 0; i < n; i++) {
    const uint64_t element = first + (uint64_t)i;
    if (i == 0 || element % 2 == 0) pair = dn_uniform_pair(job->rng, element / 2);
    const double number = dn_random_scaled(job->low, job->range, pair.number[element % 2]);
    numbers[i] = number < job->most ? number : job->most;
  }
}

static void make_normal(const task *job, uint64_t first, int64_t n, double *numbers) {
  dn_pair pair = {{0, 0}};
  for (int64_t i = 0; i < n; i++) {
    const uint64_t element = first + (uint64_t)i;
    if (i == 0 || element % 2 == 0) pair = dn_normal_pair(job->rng, element / 2);
    numbers[i] = dn_random_scaled(job->mean, job->deviation, pair.number[element % 2]);
  }
}

static void fill_row(const cpu_row *row, void *context) {
  const task *job = context;
  const int64_t step = row->stride[0] * (int64_t)dn_dtype_size(job->dtype);
  for (int64_t done = 0; done < row->length; done += CPU_CHUNK) {
    const int64_t n = row->length - done < CPU_CHUNK ? row->length - done : CPU_CHUNK;
    double numbers[CPU_CHUNK];
    job->make(job, (uint64_t)(row->first + done), n, numbers);
    cpu_chunk_store(job->dtype, row->data[0] + done * step, row->stride[0], DN_DOUBLE, numbers, n);
  }
}

static void fill(dn_tensor *y, int steps, task *job) {
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ROW_MAJOR, 1, (const dn_tensor *const[]){y});
  cpu_rows_run(&rows, steps, fill_row, job);
}

static double rounded(int dtype, double value) { return cpu_rounded((dn_dtype)dtype, value); }

dn_status cpu_random_uniform(dn_tensor *y, double low, double high, dn_rng rng) {
  task job = {.dtype = y->dtype,
              .rng = rng,
              .low = low,
              .range = high - low,
              .most = dn_random_most((int)y->dtype, rounded, low, high),
              .make = make_uniform};
  fill(y, UNIFORM_STEPS, &job);
  return DN_OK;
}

dn_status cpu_random_normal(dn_tensor *y, double mean, double deviation, dn_rng rng) {
  task job = {
      .dtype = y->dtype, .rng = rng, .mean = mean, .deviation = deviation, .make = make_normal};
  fill(y, NORMAL_STEPS, &job);
  return DN_OK;
}

dn_status cpu_random_permutation(dn_tensor *y, dn_rng rng) {
  int64_t *numbers = dn_tensor_data(y);
  const int64_t n = y->size[0];
  for (int64_t i = 0; i < n; i++) numbers[i] = i + 1;
  for (int64_t i = n - 1; i > 0; i--) {
    const int64_t other = dn_shuffle_other(rng, i);
    const int64_t kept = numbers[i];
    numbers[i] = numbers[other];
    numbers[other] = kept;
  }
  return DN_OK;
}
