/*
** Reductions over any dimensions of any strides.
**
** The work is cut into pieces: a tile of outputs times a segment of what is reduced into them.
** Where a reduced dimension lies closest together in memory, a tile is one output and rows are
** folded into it; where a kept one does, a tile is a strip of outputs and rows are added to it
** element by element. Segments have a fixed length, and their results meet in order, so a sum is
** the same number for any number of threads; a full reduction is many segments of one output.
**
** Real numbers are folded in double, integers in int64 with wrap-around, or in double where the
** result is double.
*/
#include <string.h>

#include "../../dn_fold.h"
#include "../cpu_backend.h"
#include "cpu_chunk.h"
#include "cpu_element.h"
#include "../cpu_parallel.h"
#include "cpu_rows.h"
#include "../cpu_scratch.h"

enum {
  LANES = 128,      /* most partial sums of one output: additions need not wait for each other */
  TILE = CPU_CHUNK, /* most outputs of a strip: their sums stay in the first-level cache */
  SHORT = 32,       /* reductions of so few elements go by strips, whatever the strides */
  SEGMENT = 1 << 14 /* elements folded by one piece */
};

/* ---- loops ---- */

/* One call of the fold over a whole tensor; shared by the threads. */
typedef struct task {
  dn_fold kind;
  double p;
  dn_dtype dtype, computing;
  bool is_strip;          /* a tile is a strip of outputs */
  cpu_rows kept, reduced; /* walks of x: over the outputs, and over what one output reduces */
  int64_t lanes;          /* partial sums of one output, where a tile is one; a power of 2 */
  int64_t n_strips;       /* tiles along the innermost kept dimension */
  int64_t n_tiles, n_segments, segment; /* segment: places of `reduced` that one piece folds */
  const double *centres;                /* of each output, or NULL */
  void *results;                        /* n_segments x outputs, double or int64 */
} task;

/* What a piece is folding: the lanes of one output, or one number for each output of a strip. */
typedef struct piece {
  const task *job;
  int64_t width; /* lanes, or the length of the strip */
  union {
    _Alignas(64) double real[TILE];
    int64_t whole[TILE];
  } sums;
  _Alignas(64) double centres[TILE];
} piece;

/*
** x[0..n), float or double, into sums[0..width), around and around. The first two arguments are
** constants at every call below, so that each becomes a loop of its own.
*/
static inline void fold_real_as(bool is_float, dn_fold kind, piece *work, int64_t n,
                                const void *x) {
  const float *floats = x;
  const double *doubles = x;
  double *sums = work->sums.real;
  const double *centres = work->centres;
  const double p = work->job->p;
  for (int64_t begin = 0; begin < n; begin += work->width) {
    const int64_t length = n - begin < work->width ? n - begin : work->width;
    for (int64_t i = 0; i < length; i++) {
      const double number = is_float ? (double)floats[begin + i] : doubles[begin + i];
      sums[i] = dn_fold_step(kind, sums[i], number, centres[i], p);
    }
  }
}

static inline void fold_real(bool is_float, piece *work, int64_t n, const void *x) {
  switch (work->job->kind) {
    case DN_FOLD_SUM:
      fold_real_as(is_float, DN_FOLD_SUM, work, n, x);
      return;
    case DN_FOLD_SQUARES:
      fold_real_as(is_float, DN_FOLD_SQUARES, work, n, x);
      return;
    case DN_FOLD_MAX:
      fold_real_as(is_float, DN_FOLD_MAX, work, n, x);
      return;
    case DN_FOLD_MIN:
      fold_real_as(is_float, DN_FOLD_MIN, work, n, x);
      return;
    case DN_FOLD_ABS:
      fold_real_as(is_float, DN_FOLD_ABS, work, n, x);
      return;
    case DN_FOLD_ABS_MAX:
      fold_real_as(is_float, DN_FOLD_ABS_MAX, work, n, x);
      return;
    default:
      fold_real_as(is_float, DN_FOLD_ABS_POWER, work, n, x);
      return;
  }
}

static void fold_whole(piece *work, int64_t n, const int64_t *x) {
  int64_t *sums = work->sums.whole;
  const dn_fold kind = work->job->kind;
  for (int64_t begin = 0; begin < n; begin += work->width) {
    const int64_t length = n - begin < work->width ? n - begin : work->width;
    for (int64_t i = 0; i < length; i++) sums[i] = dn_fold_step_long(kind, sums[i], x[begin + i]);
  }
}

static void fold_run(piece *work, const char *x, int64_t stride, int64_t length) {
  const task *job = work->job;
  const int64_t size = (int64_t)dn_dtype_size(job->dtype) * stride;
  for (int64_t done = 0; done < length; done += CPU_CHUNK) {
    const int64_t n = length - done < CPU_CHUNK ? length - done : CPU_CHUNK;
    cpu_chunk chunk;
    const void *numbers =
        cpu_chunk_read(job->computing, job->dtype, x + done * size, stride, n, &chunk);
    switch (job->computing) {
      case DN_FLOAT:
        fold_real(true, work, n, numbers);
        break;
      case DN_DOUBLE:
        fold_real(false, work, n, numbers);
        break;
      default:
        fold_whole(work, n, numbers);
        break;
    }
  }
}

/* A row of reduced places: one run of one output, or a run of the strip at every place. */
static void fold_row(const cpu_row *row, void *context) {
  piece *work = context;
  if (!work->job->is_strip) {
    fold_run(work, row->data[0], row->stride[0], row->length);
    return;
  }
  const cpu_rows *kept = &work->job->kept;
  const int64_t step_size = row->stride[0] * kept->element_size[0];
  for (int64_t i = 0; i < row->length; i++)
    fold_run(work, row->data[0] + i * step_size, kept->stride[0][kept->n_dim - 1], work->width);
}

/* ---- pieces ---- */

static void begin_piece(piece *work, int64_t output) {
  const task *job = work->job;
  for (int64_t i = 0; i < work->width; i++) {
    if (job->computing != DN_LONG)
      work->sums.real[i] = dn_fold_start(job->kind);
    else
      work->sums.whole[i] = dn_fold_start_long(job->kind);
    work->centres[i] = !job->centres ? 0 : job->centres[job->is_strip ? output + i : output];
  }
}

/* Hands the piece's results to its segment's row of the table. */
static void end_piece(piece *work, int64_t segment, int64_t output) {
  const task *job = work->job;
  const int64_t at = segment * job->kept.n_elements + output;
  if (job->computing != DN_LONG) {
    double *results = (double *)job->results + at, *sums = work->sums.real;
    if (job->is_strip)
      memcpy(results, sums, (size_t)work->width * sizeof *sums);
    else
      for (int64_t half = work->width / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
          sums[i] = dn_fold_meet(job->kind, sums[i], sums[i + half]);
    *results = sums[0];
  } else {
    int64_t *results = (int64_t *)job->results + at, *sums = work->sums.whole;
    if (job->is_strip)
      memcpy(results, sums, (size_t)work->width * sizeof *sums);
    else
      for (int64_t i = 1; i < work->width; i++)
        sums[0] = dn_fold_step_long(job->kind, sums[0], sums[i]);
    *results = sums[0];
  }
}

/* The first element of x that goes into an output. */
static char *start_of_output(const cpu_rows *kept, int64_t output) {
  int64_t offset = 0;
  for (int d = kept->n_dim - 1; d >= 0; d--) {
    offset += output % kept->size[d] * kept->stride[0][d];
    output /= kept->size[d];
  }
  return kept->data[0] + offset * kept->element_size[0];
}

static void run_piece(const task *job, int64_t tile, int64_t segment) {
  piece work;
  work.job = job;
  work.width = job->lanes;
  int64_t output = tile;
  if (job->is_strip) {
    const int64_t row_length = job->kept.size[job->kept.n_dim - 1];
    const int64_t from = tile % job->n_strips * TILE;
    output = tile / job->n_strips * row_length + from;
    work.width = row_length - from < TILE ? row_length - from : TILE;
  }
  begin_piece(&work, output);
  char *const data[] = {start_of_output(&job->kept, output)};
  const int64_t begin = segment * job->segment, left = job->reduced.n_elements - begin;
  cpu_rows_walk(&job->reduced, data, begin, begin + (left < job->segment ? left : job->segment),
                fold_row, &work);
  end_piece(&work, segment, output);
}

/* Folds all segments of all outputs; the first row of job->results then holds the folds. */
static void run_pass(const task *job) {
  const int64_t n_outputs = job->kept.n_elements;
  const int64_t n_pieces = job->n_tiles * job->n_segments;
  const int n_threads = cpu_team(n_outputs * job->reduced.n_elements);
#pragma omp parallel for schedule(static) num_threads(n_threads) if (n_threads > 1)
  for (int64_t i = 0; i < n_pieces; i++) run_piece(job, i / job->n_segments, i % job->n_segments);
  for (int64_t segment = 1; segment < job->n_segments; segment++)
    for (int64_t i = 0; i < n_outputs; i++) {
      const int64_t at = segment * n_outputs + i;
      if (job->computing != DN_LONG) {
        double *results = job->results;
        results[i] = dn_fold_meet(job->kind, results[i], results[at]);
      } else {
        int64_t *results = job->results;
        results[i] = dn_fold_step_long(job->kind, results[i], results[at]);
      }
    }
}

/* ---- the operation ---- */

/* Splits x's dimensions into those that y keeps and those that are reduced. */
static void split(task *job, const dn_tensor *y, const dn_tensor *x) {
  cpu_rows *const halves[] = {&job->kept, &job->reduced};
  for (int h = 0; h < 2; h++) {
    halves[h]->n_operands = 1;
    halves[h]->n_dim = 0;
    halves[h]->data[0] = dn_tensor_data(x);
    halves[h]->element_size[0] = (int64_t)dn_dtype_size(x->dtype);
  }
  for (int d = 0; d < x->n_dim; d++)
    cpu_rows_append(y->size[d] == x->size[d] ? &job->kept : &job->reduced, x->size[d],
                    &x->stride[d]);
  cpu_rows_finish(&job->kept, CPU_ROWS_ROW_MAJOR);
  cpu_rows_finish(&job->reduced, CPU_ROWS_ANY_ORDER);
}

static void plan(task *job) {
  const int kept_inner = job->kept.n_dim - 1, reduced_inner = job->reduced.n_dim - 1;
  const int64_t row_length = job->kept.size[kept_inner];
  const bool is_closer = job->kept.stride[0][kept_inner] < job->reduced.stride[0][reduced_inner];
  job->is_strip = row_length > 1 && (is_closer || job->reduced.n_elements <= SHORT);
  job->lanes = 1;
  while (job->lanes < LANES && job->lanes < job->reduced.n_elements) job->lanes *= 2;
  const int64_t width = !job->is_strip ? 1 : row_length < TILE ? row_length : TILE;
  job->segment = SEGMENT / width;
  job->n_segments = (job->reduced.n_elements + job->segment - 1) / job->segment;
  if (job->n_segments == 0) job->n_segments = 1; /* nothing to reduce still gives results */
  job->n_strips = job->is_strip ? (row_length + TILE - 1) / TILE : 1;
  job->n_tiles =
      job->is_strip ? job->kept.n_elements / row_length * job->n_strips : job->kept.n_elements;
}

/* One output after the other, its elements in row-major order. */
static void reduce_plainly(dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind,
                           double parameter) {
  const dn_fold step_kind = dn_fold_for(kind, parameter);
  const int64_t n_outputs = dn_tensor_count(y), n_reduced = dn_tensor_count(x) / n_outputs;
  const bool is_real = dn_dtype_is_real(y->dtype);
  dn_tensor inner = *x; /* the dimensions that are reduced */
  for (int d = 0; d < x->n_dim; d++)
    if (y->size[d] == x->size[d]) inner.size[d] = 1;
  for (int64_t i = 0; i < n_outputs; i++) {
    const int64_t to = cpu_offset(y, y, i);
    const int64_t start = cpu_offset(x, y, i);
    double folded = dn_fold_start(step_kind), centre = 0;
    int64_t folded_long = dn_fold_start_long(step_kind);
    if (kind == DN_REDUCE_VAR) {
      for (int64_t j = 0; j < n_reduced; j++)
        centre += cpu_load(dn_tensor_data(x), x->dtype, start + cpu_offset(&inner, &inner, j));
      centre /= (double)n_reduced;
    }
    for (int64_t j = 0; j < n_reduced; j++) {
      const int64_t at = start + cpu_offset(&inner, &inner, j);
      if (is_real)
        folded = dn_fold_step(step_kind, folded, cpu_load(dn_tensor_data(x), x->dtype, at), centre,
                              parameter);
      else
        folded_long = dn_fold_step_long(step_kind, folded_long,
                                        cpu_load_long(dn_tensor_data(x), x->dtype, at));
    }
    if (is_real)
      cpu_store(dn_tensor_data(y), y->dtype, to,
                dn_fold_result(kind, parameter, folded, n_reduced));
    else
      cpu_store_long(dn_tensor_data(y), y->dtype, to, folded_long);
  }
}

typedef struct writing {
  const task *job;
  dn_dtype dtype; /* of y */
  dn_reduce_kind kind;
  double parameter;
} writing;

/* Results into a row of y; they lie in y's row-major order. */
static void write_row(const cpu_row *row, void *context) {
  const writing *results = context;
  const task *job = results->job;
  const int64_t size = row->stride[0] * (int64_t)dn_dtype_size(results->dtype);
  for (int64_t i = 0; i < row->length; i++) {
    char *to = row->data[0] + i * size;
    if (job->computing != DN_LONG) {
      const double folded = ((const double *)job->results)[row->first + i];
      cpu_store(to, results->dtype, 0,
                dn_fold_result(results->kind, results->parameter, folded, job->reduced.n_elements));
    } else {
      cpu_store_long(to, results->dtype, 0, ((const int64_t *)job->results)[row->first + i]);
    }
  }
}

dn_status cpu_reduce(dn_tensor *y, const dn_tensor *x, dn_reduce_kind kind, double parameter) {
  if (dn_reference()) {
    DN_TRY(cpu_scratch_none());
    reduce_plainly(y, x, kind, parameter);
    return DN_OK;
  }
  const bool is_whole_into_double = y->dtype == DN_DOUBLE && !dn_dtype_is_real(x->dtype);
  task job = {.kind = dn_fold_for(kind, parameter),
              .p = parameter,
              .dtype = x->dtype,
              .computing = is_whole_into_double ? DN_DOUBLE : cpu_computing_dtype(x->dtype)};
  split(&job, y, x);
  plan(&job);
  const int64_t n_outputs = job.kept.n_elements;
  const bool needs_centres = kind == DN_REDUCE_VAR;
  void *scratch;
  DN_TRY(cpu_scratch((job.n_segments + needs_centres) * n_outputs * (int64_t)sizeof(double),
                     &scratch));
  job.results = scratch;
  if (needs_centres) {
    double *centres = (double *)scratch + job.n_segments * n_outputs;
    task sums = job;
    sums.kind = DN_FOLD_SUM;
    run_pass(&sums);
    for (int64_t i = 0; i < n_outputs; i++)
      centres[i] = ((const double *)sums.results)[i] / (double)job.reduced.n_elements;
    job.centres = centres;
  }
  run_pass(&job);
  writing results = {&job, y->dtype, kind, parameter};
  cpu_rows rows;
  cpu_rows_of_tensors(&rows, CPU_ROWS_ROW_MAJOR, 1, (const dn_tensor *const[]){y});
  cpu_rows_run(&rows, 1, write_row, &results);
  return DN_OK;
}
