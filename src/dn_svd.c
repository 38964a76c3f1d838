/*
** The vectors of the shorter side are rows of `rows`, n of them. Rotations of two rows each make all of
** them orthogonal; then their lengths are the singular values. `turns` collects the rotations:
** rows = turns * (what they were).
*/
#include "dn_svd.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dn_ops_check.h"

enum { MOST_SWEEPS = 60 }; /* six to ten are usual */
static const double ORTHOGONAL = 1e-15;

static double dot(int64_t n, const double *a, const double *b) {
  double sum[4] = {0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; j++) sum[j] += a[i + j] * b[i + j];
  for (; i < n; i++) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void rotate(int64_t n, double *a, double *b, double cosine, double sine) {
  for (int64_t i = 0; i < n; i++) {
    const double x = a[i], y = b[i];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

/* Makes two rows orthogonal; false where they are, or hold no finite numbers. */
static bool turn(int64_t n, int64_t length, double *rows, double *turns, int64_t p, int64_t q) {
  double *const a = rows + p * length, *const b = rows + q * length;
  const double aa = dot(length, a, a), bb = dot(length, b, b), ab = dot(length, a, b);
  if (!(fabs(ab) > ORTHOGONAL * sqrt(aa * bb)) || !isfinite(aa + bb)) return false;
  const double tau = (bb - aa) / (2 * ab);
  const double tangent = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau));
  const double cosine = 1 / sqrt(1 + tangent * tangent), sine = cosine * tangent;
  rotate(length, a, b, cosine, sine);
  rotate(n, turns + p * n, turns + q * n, cosine, sine);
  return true;
}

static void make_orthogonal(int64_t n, int64_t length, double *rows, double *turns) {
  for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    bool has_turned = false;
    for (int64_t p = 0; p < n; p++)
      for (int64_t q = p + 1; q < n; q++)
        has_turned = turn(n, length, rows, turns, p, q) || has_turned;
    if (!has_turned) return;
  }
}

/* The row of the largest length that is not taken yet; NaN is taken as found. */
static int64_t longest_of(int64_t n, const double *length, const bool *is_taken) {
  int64_t best = -1;
  for (int64_t i = 0; i < n; i++)
    if (!is_taken[i] && (best < 0 || length[i] > length[best])) best = i;
  return best;
}

typedef struct work {
  double *rows, *turns, *lengths;
  bool *is_taken;
} work;

/* One matrix, m x n. */
static void decompose(int64_t m, int64_t n, double *u, double *s, double *v, const double *a,
                      work w) {
  const bool is_wide = m <= n; /* its rows are the shorter side's vectors */
  const int64_t k = is_wide ? m : n, length = is_wide ? n : m;
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < length; j++)
      w.rows[i * length + j] = is_wide ? a[i * n + j] : a[j * n + i];
  memset(w.turns, 0, (size_t)(k * k) * sizeof *w.turns);
  for (int64_t i = 0; i < k; i++) w.turns[i * k + i] = 1;
  make_orthogonal(k, length, w.rows, w.turns);
  for (int64_t i = 0; i < k; i++) {
    w.lengths[i] = sqrt(dot(length, w.rows + i * length, w.rows + i * length));
    w.is_taken[i] = false;
  }
  for (int64_t at = 0; at < k; at++) {
    const int64_t i = longest_of(k, w.lengths, w.is_taken);
    w.is_taken[i] = true;
    s[at] = w.lengths[i];
    const double scale = s[at] == 0 ? 0 : 1 / s[at];
    for (int64_t j = 0; j < length; j++) {
      const double value = w.rows[i * length + j] * scale;
      *(is_wide ? &v[at * n + j] : &u[j * k + at]) = value;
    }
    for (int64_t j = 0; j < k; j++) {
      const double value = w.turns[i * k + j];
      *(is_wide ? &u[j * k + at] : &v[at * n + j]) = value;
    }
  }
}

dn_status dn_svd(dn_tensor *u, dn_tensor *s, dn_tensor *v, const dn_tensor *a) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {4, "a", a, "GMN", DN_CONTIGUOUS | DN_FILLED},
                  {1, "u", u, "GMK", DN_OUT | DN_CONTIGUOUS},
                  {2, "s", s, "GK", DN_OUT | DN_CONTIGUOUS},
                  {3, "v", v, "GKN", DN_OUT | DN_CONTIGUOUS}));
  const int64_t m = a->size[1], n = a->size[2], k = m < n ? m : n;
  dn_device *const device = a->storage->device;
  if (a->dtype != DN_DOUBLE || device != dn_device_cpu())
    return dn_error_argument(4, "a is %s on %s; expected double on cpu", dn_dtype_name(a->dtype),
                             device->name);
  if (s->size[1] != k)
    return dn_error_argument(2, "s has %" PRId64 " values a matrix; expected %" PRId64, s->size[1],
                             k);
  const int64_t n_numbers = m * n + k * k + k, n_bytes = n_numbers * (int64_t)sizeof(double) + k;
  void *block;
  DN_TRY(dn_alloc(device, n_bytes, &block));
  dn_storage_written(u->storage);
  dn_storage_written(s->storage);
  dn_storage_written(v->storage);
  double *const numbers = block;
  const work w = {numbers, numbers + m * n, numbers + m * n + k * k, (bool *)(numbers + n_numbers)};
  for (int64_t g = 0; g < a->size[0]; g++)
    decompose(m, n, (double *)dn_tensor_data(u) + g * m * k, (double *)dn_tensor_data(s) + g * k,
              (double *)dn_tensor_data(v) + g * k * n,
              (const double *)dn_tensor_data(a) + g * m * n, w);
  dn_free(device, block, n_bytes);
  return DN_OK;
}
