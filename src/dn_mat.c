#include "dn_mat.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum {
  HEADER_BYTES = 128,
  INPUT_BYTES = 1 << 16,
  EDGE = 32,
  PLANE = EDGE * EDGE,
  CHANNELS = 3,
  IMAGE_BYTES = CHANNELS * PLANE,
  MOST_DIMENSIONS = 32,
  NAME_BYTES = 64,
  MOST_RATIO = 1032 /* of what deflate makes of a byte */
};

/* Kinds of elements that something here depends on. */
enum {
  KIND_INT8 = 1,
  KIND_UINT8 = 2,
  KIND_INT32 = 5,
  KIND_UINT32 = 6,
  KIND_MATRIX = 14,
  KIND_PACKED = 15
};

/* Classes of arrays. */
enum { CLASS_DOUBLE = 6, CLASS_UINT8 = 9, CLASS_LAST_NUMBER = 15, FLAG_COMPLEX = 0x800 };

typedef struct reading {
  dn_file file;
  bool is_big_endian;
  int64_t position; /* of the file, behind what was read of it */
  int64_t end;      /* of the element under way */
  bool is_packed;   /* it comes from `stream`, whose input the element is */
  int64_t n_packed; /* bytes of its input */
  z_stream stream;
  unsigned char input[INPUT_BYTES];
  int64_t n_before; /* images that room is left for in front */
  dn_tensor images, labels;
} reading;

typedef struct tag {
  uint32_t kind;
  int64_t n_bytes;
  bool is_small; /* its data was in the tag */
  unsigned char small[4];
} tag;

/* What a variable says of itself. */
typedef struct variable {
  uint32_t class_number;
  bool is_complex;
  int n_dim;
  int64_t size[MOST_DIMENSIONS];
  char name[NAME_BYTES];
  tag data;
} variable;

static uint32_t number32(const reading *r, const unsigned char *bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value |= (uint32_t)bytes[r->is_big_endian ? 3 - i : i] << (8 * i);
  return value;
}

/* --- bytes of the element under way, packed or not ------------------------------------------ */

static dn_status cut_short(const reading *r) {
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": cut short: a variable does not end within the file's %" PRId64
                                 " bytes",
                  r->file.path, r->file.n_bytes);
}

static dn_status damaged(const reading *r) {
  return dn_error(DN_EFORMAT,
                  DN_PATH_FORMAT ": damaged: its compressed data cannot be unpacked (%s)",
                  r->file.path, r->stream.msg ? r->stream.msg : "dictionary needed");
}

static dn_status take_plain(reading *r, int64_t n_bytes, void *into) {
  if (n_bytes > r->end - r->position) return cut_short(r);
  DN_TRY(dn_file_read(&r->file, r->position, n_bytes, into));
  r->position += n_bytes;
  return DN_OK;
}

/* One call of inflate; *answer is zlib's. */
static dn_status inflate_some(reading *r, int *answer) {
  if (r->stream.avail_in == 0 && r->position < r->end) {
    const int64_t n_left = r->end - r->position;
    const int64_t n = n_left < INPUT_BYTES ? n_left : INPUT_BYTES;
    DN_TRY(dn_file_read(&r->file, r->position, n, r->input));
    r->position += n;
    r->stream.next_in = r->input;
    r->stream.avail_in = (uInt)n;
  }
  *answer = inflate(&r->stream, Z_NO_FLUSH);
  if (*answer == Z_MEM_ERROR)
    return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", r->file.path);
  if (*answer != Z_OK && *answer != Z_STREAM_END && *answer != Z_BUF_ERROR) return damaged(r);
  return DN_OK;
}

static dn_status take_packed(reading *r, int64_t n_bytes, void *into) {
  r->stream.next_out = into;
  r->stream.avail_out = (uInt)n_bytes;
  while (r->stream.avail_out > 0) {
    int answer;
    DN_TRY(inflate_some(r, &answer));
    if (r->stream.avail_out > 0 &&
        (answer == Z_STREAM_END || (answer == Z_BUF_ERROR && r->position == r->end)))
      return cut_short(r);
  }
  return DN_OK;
}

/* Exactly n_bytes, at most INPUT_BYTES. */
static dn_status take(reading *r, int64_t n_bytes, void *into) {
  return r->is_packed ? take_packed(r, n_bytes, into) : take_plain(r, n_bytes, into);
}

static dn_status pass(reading *r, int64_t n_bytes) {
  unsigned char nowhere[256];
  while (n_bytes > 0) {
    const int64_t n = n_bytes < (int64_t)sizeof nowhere ? n_bytes : (int64_t)sizeof nowhere;
    DN_TRY(take(r, n, nowhere));
    n_bytes -= n;
  }
  return DN_OK;
}

/* To the end of the compressed data, whose checksum zlib verifies there. */
static dn_status check_end(reading *r) {
  unsigned char nowhere[256];
  int answer = Z_OK;
  if (!r->is_packed) return DN_OK;
  for (int i = 0; answer != Z_STREAM_END; i++) {
    r->stream.next_out = nowhere;
    r->stream.avail_out = sizeof nowhere;
    DN_TRY(inflate_some(r, &answer));
    if (answer == Z_BUF_ERROR && r->position == r->end) return cut_short(r);
    if (i > INPUT_BYTES)
      return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": a variable has more bytes than it says",
                      r->file.path);
  }
  return DN_OK;
}

/* --- tags, and what a variable says of itself ----------------------------------------------- */

static dn_status take_tag(reading *r, tag *t) {
  unsigned char bytes[8];
  DN_TRY(take(r, sizeof bytes, bytes));
  const uint32_t first = number32(r, bytes);
  t->is_small = first >> 16 != 0;
  t->kind = t->is_small ? first & 0xffff : first;
  t->n_bytes = t->is_small ? first >> 16 : number32(r, bytes + 4);
  memcpy(t->small, bytes + 4, 4);
  if (t->is_small && t->n_bytes > 4)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": damaged: an element of 4 bytes at most says %" PRId64,
                    r->file.path, t->n_bytes);
  return DN_OK;
}

/* The tag's data, most_bytes at most, and the bytes that fill it up to 8. */
static dn_status take_data(reading *r, const tag *t, int64_t most_bytes, const char *what,
                           void *into) {
  if (t->n_bytes > most_bytes)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": damaged: expected at most %" PRId64
                                   " bytes of a variable's %s, "
                                   "got %" PRId64,
                    r->file.path, most_bytes, what, t->n_bytes);
  if (t->is_small) {
    memcpy(into, t->small, (size_t)t->n_bytes);
    return DN_OK;
  }
  DN_TRY(take(r, t->n_bytes, into));
  return pass(r, (8 - t->n_bytes % 8) % 8);
}

static dn_status take_sizes(reading *r, variable *v) {
  unsigned char bytes[4 * MOST_DIMENSIONS];
  tag t;
  DN_TRY(take_tag(r, &t));
  DN_TRY(take_data(r, &t, sizeof bytes, "sizes", bytes));
  v->n_dim = (int)(t.n_bytes / 4);
  if (t.kind != KIND_INT32 || v->n_dim < 2)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged: a variable without sizes", r->file.path);
  for (int d = 0; d < v->n_dim; d++) {
    const int32_t size = (int32_t)number32(r, bytes + 4 * d);
    if (size < 0)
      return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged: a variable of size %" PRId32,
                      r->file.path, size);
    v->size[d] = size;
  }
  return DN_OK;
}

static dn_status take_name(reading *r, variable *v) {
  tag t;
  DN_TRY(take_tag(r, &t));
  DN_TRY(take_data(r, &t, sizeof v->name - 1, "name", v->name));
  v->name[t.n_bytes] = '\0';
  if (t.kind != KIND_INT8)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged: a variable without a name",
                    r->file.path);
  return DN_OK;
}

/* Up to the tag of its data. *is_of_interest: it is a number array called X or y. */
static dn_status take_head(reading *r, variable *v, bool *is_of_interest) {
  unsigned char bytes[8];
  tag t;
  *is_of_interest = false;
  DN_TRY(take_tag(r, &t));
  DN_TRY(take_data(r, &t, sizeof bytes, "flags", bytes));
  if (t.kind != KIND_UINT32 || t.n_bytes != 8)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged: a variable without flags", r->file.path);
  const uint32_t flags = number32(r, bytes);
  v->class_number = flags & 0xff;
  v->is_complex = (flags & FLAG_COMPLEX) != 0;
  if (v->class_number > CLASS_LAST_NUMBER) return DN_OK; /* not built as the others are */
  DN_TRY(take_sizes(r, v));
  DN_TRY(take_name(r, v));
  *is_of_interest = strcmp(v->name, "X") == 0 || strcmp(v->name, "y") == 0;
  return *is_of_interest ? take_tag(r, &v->data) : DN_OK;
}

/* --- X and y -------------------------------------------------------------------------------- */

static int64_t element_bytes(uint32_t kind) {
  static const int64_t sizes[] = {0, 1, 1, 2, 2, 4, 4, 4, 0, 8, 0, 0, 8, 8};
  return kind < sizeof sizes / sizeof *sizes ? sizes[kind] : 0;
}

/* What is left of the element holds n_bytes: no memory is taken for what a header only says. */
static dn_status check_room(const reading *r, const variable *v, int64_t n_bytes) {
  const int64_t most = r->is_packed ? (r->n_packed + 1) * MOST_RATIO : r->end - r->position;
  if (n_bytes > (v->data.is_small ? 4 : most))
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": cut short: variable %s says %" PRId64
                                   " bytes, more than its part of the file can hold",
                    r->file.path, v->name, n_bytes);
  return DN_OK;
}

/* Columns of red, green and blue become rows of each. */
static void turn_image(const unsigned char *from, unsigned char *to) {
  for (int c = 0; c < CHANNELS; c++)
    for (int column = 0; column < EDGE; column++)
      for (int row = 0; row < EDGE; row++)
        to[c * PLANE + row * EDGE + column] = from[c * PLANE + column * EDGE + row];
}

/* "32x32x3x6"; a size has 10 digits at most */
static const char *size_text(const variable *v, char *text) {
  char *end = text;
  for (int d = 0; d < v->n_dim; d++) end += sprintf(end, d ? "x%" PRId64 : "%" PRId64, v->size[d]);
  return text;
}

static dn_status take_images(reading *r, const variable *v) {
  unsigned char columns[IMAGE_BYTES];
  if (v->class_number != CLASS_UINT8 || v->is_complex || v->data.kind != KIND_UINT8)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": X: expected an array of uint8, got class %" PRIu32 "%s",
                    r->file.path, v->class_number, v->is_complex ? ", complex" : "");
  const bool is_one = v->n_dim == 3; /* MATLAB drops a last size of 1 */
  if ((v->n_dim != 4 && !is_one) || v->size[0] != EDGE || v->size[1] != EDGE ||
      v->size[2] != CHANNELS) {
    char text[MOST_DIMENSIONS * 12];
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": X: expected 32x32x3xN, got %s", r->file.path,
                    size_text(v, text));
  }
  const int64_t n_images = is_one ? 1 : v->size[3];
  const int64_t size[4] = {r->n_before + n_images, CHANNELS, EDGE, EDGE};
  if (n_images < 1)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": X: expected images, got none", r->file.path);
  if (v->data.n_bytes != n_images * IMAGE_BYTES)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": X: expected %" PRId64 " bytes for its %" PRId64
                                   " images, got %" PRId64,
                    r->file.path, n_images * IMAGE_BYTES, n_images, v->data.n_bytes);
  DN_TRY(check_room(r, v, v->data.n_bytes));
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 4, size, &r->images));
  unsigned char *image = (unsigned char *)dn_tensor_data(&r->images) + r->n_before * IMAGE_BYTES;
  for (int64_t i = 0; i < n_images; i++, image += IMAGE_BYTES) {
    DN_TRY(take(r, IMAGE_BYTES, columns));
    turn_image(columns, image);
  }
  return check_end(r);
}

/* The number that an element of the kind holds. */
static double number_of(const reading *r, uint32_t kind, const unsigned char *element) {
  const int64_t n = element_bytes(kind);
  unsigned char bytes[8] = {0};
  for (int64_t i = 0; i < n; i++) bytes[i] = element[r->is_big_endian ? n - 1 - i : i];
  uint64_t bits = 0;
  for (int i = 7; i >= 0; i--) bits = bits << 8 | bytes[i];
  float single;
  double number;
  const uint32_t low = (uint32_t)bits;
  memcpy(&single, &low, sizeof single);
  memcpy(&number, &bits, sizeof number);
  switch (kind) {
    case 1:
      return (double)(int8_t)bits;
    case 3:
      return (double)(int16_t)bits;
    case 5:
      return (double)(int32_t)bits;
    case 7:
      return (double)single;
    case 9:
      return number;
    case 12:
      return (double)(int64_t)bits;
    default:
      return (double)bits;
  }
}

static dn_status take_labels(reading *r, const variable *v) {
  const int64_t n_bytes = element_bytes(v->data.kind);
  int64_t n_labels = 1;
  for (int d = 0; d < v->n_dim; d++) {
    if (v->size[d] > 0 && n_labels > INT32_MAX / v->size[d])
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": y: expected a label for each image, got too many",
                      r->file.path);
    n_labels *= v->size[d];
  }
  if (n_bytes == 0 || v->is_complex || v->class_number < CLASS_DOUBLE)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": y: expected real numbers, got class %" PRIu32 "%s",
                    r->file.path, v->class_number, v->is_complex ? ", complex" : "");
  if (n_labels < 1 || v->data.n_bytes != n_labels * n_bytes)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": y: expected %" PRId64 " bytes for its %" PRId64
                                   " labels, got %" PRId64,
                    r->file.path, n_labels * n_bytes, n_labels, v->data.n_bytes);
  DN_TRY(check_room(r, v, v->data.n_bytes));
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_LONG, 1, &n_labels, &r->labels));
  int64_t *labels = dn_tensor_data(&r->labels);
  for (int64_t i = 0; i < n_labels; i++) {
    unsigned char element[8];
    if (v->data.is_small)
      memcpy(element, v->data.small + i * n_bytes, (size_t)n_bytes);
    else
      DN_TRY(take(r, n_bytes, element));
    const double value = number_of(r, v->data.kind, element);
    if (!(value >= 1 && value <= 10 && floor(value) == value))
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": label of image %" PRId64 ": expected 1 to 10, got %g",
                      r->file.path, i + 1, value);
    labels[i] = (int64_t)value % 10 + 1;
  }
  return check_end(r);
}

/* --- the file ------------------------------------------------------------------------------- */

/* The element under way is a variable, its tag read. */
static dn_status take_variable(reading *r) {
  variable v = {0};
  bool is_of_interest;
  DN_TRY(take_head(r, &v, &is_of_interest));
  if (!is_of_interest) return DN_OK;
  const bool is_images = v.name[0] == 'X';
  if ((is_images ? r->images : r->labels).storage)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": has two variables called %s", r->file.path,
                    v.name);
  return is_images ? take_images(r, &v) : take_labels(r, &v);
}

/* A compressed element, of which `end` is known. */
static dn_status take_packed_variable(reading *r) {
  tag t;
  r->stream = (z_stream){0};
  if (inflateInit(&r->stream) != Z_OK)
    return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", r->file.path);
  r->is_packed = true;
  r->n_packed = r->end - r->position;
  dn_status status = take_tag(r, &t);
  if (status == DN_OK && t.kind == KIND_MATRIX) status = take_variable(r);
  r->is_packed = false;
  inflateEnd(&r->stream);
  return status;
}

static dn_status take_element(reading *r) {
  tag t;
  r->end = r->file.n_bytes;
  DN_TRY(take_tag(r, &t));
  if (t.is_small) return DN_OK;
  if (t.n_bytes > r->file.n_bytes - r->position) return cut_short(r);
  const int64_t begin = r->position;
  r->end = begin + t.n_bytes;
  dn_status status = DN_OK;
  if (t.kind == KIND_PACKED)
    status = take_packed_variable(r);
  else if (t.kind == KIND_MATRIX)
    status = take_variable(r);
  r->position = begin + t.n_bytes;
  if (t.kind != KIND_PACKED) r->position += (8 - t.n_bytes % 8) % 8;
  return status;
}

static dn_status check_header(reading *r) {
  unsigned char header[HEADER_BYTES] = {0};
  const int64_t n = r->file.n_bytes < HEADER_BYTES ? r->file.n_bytes : HEADER_BYTES;
  if (n == 0) return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": is empty", r->file.path);
  DN_TRY(dn_file_read(&r->file, 0, n, header));
  const bool is_text = memcmp(header, "MATLAB", 6) == 0;
  if (n < HEADER_BYTES)
    return is_text ? cut_short(r)
                   : dn_error(DN_EFORMAT,
                              DN_PATH_FORMAT
                              ": expected a MATLAB file of level 5, got something else or MATLAB's "
                              "level 4; save with -v7",
                              r->file.path);
  const bool is_little = header[126] == 'I' && header[127] == 'M';
  r->is_big_endian = header[126] == 'M' && header[127] == 'I';
  const int version =
      r->is_big_endian ? header[124] << 8 | header[125] : header[125] << 8 | header[124];
  if (memcmp(header, "MATLAB 7.3", 10) == 0 || version == 0x0200)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": is MATLAB's level 7.3, which is HDF5; save with -v7",
                    r->file.path);
  if ((!is_little && !r->is_big_endian) || version != 0x0100)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT
                    ": expected a MATLAB file of level 5, got something else or MATLAB's level 4; "
                    "save with -v7",
                    r->file.path);
  r->position = HEADER_BYTES;
  return DN_OK;
}

static dn_status take_all(reading *r) {
  DN_TRY(check_header(r));
  while (r->position < r->file.n_bytes && !(r->images.storage && r->labels.storage))
    DN_TRY(take_element(r));
  if (!r->images.storage || !r->labels.storage)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": expected variables X and y, got no %s",
                    r->file.path,
                    r->images.storage   ? "y"
                    : r->labels.storage ? "X"
                                        : "X and no y");
  const int64_t n_images = r->images.size[0] - r->n_before;
  if (n_images != r->labels.size[0])
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": expected as many labels in y as images in X, got %" PRId64
                                   " labels and %" PRId64 " images",
                    r->file.path, r->labels.size[0], n_images);
  return DN_OK;
}

dn_status dn_mat_read_digits(const char *path, int64_t n_before, dn_tensor *images,
                             dn_tensor *labels) {
  reading r = {.n_before = n_before};
  DN_TRY(dn_file_open(path, &r.file));
  const dn_status status = take_all(&r);
  dn_file_close(&r.file);
  if (status == DN_OK) {
    *images = r.images;
    *labels = r.labels;
  } else {
    dn_tensor_free(&r.images);
    dn_tensor_free(&r.labels);
  }
  return status;
}
