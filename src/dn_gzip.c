#include "dn_gzip.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { INPUT_BYTES = 1 << 16, FIRST_RATIO = 32 };

typedef struct unpacking {
  const dn_file *file;
  int64_t n_read; /* bytes of the file given to zlib so far */
  unsigned char *content;
  int64_t room_bytes; /* of `content` */
  int64_t n_unpacked; /* bytes of `content` that are filled */
  z_stream stream;
  unsigned char input[INPUT_BYTES];
} unpacking;

/* What holds the content of a file that is unpacked whole. */
typedef struct growing {
  dn_tensor bytes;
  int64_t limit_bytes;
} growing;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/*
** A first guess at the unpacked size: what the last four bytes promise. They may lie, they count
** modulo 2^32, and zero bytes may stand in their place, so the guess is kept within the limit and a
** ratio that few files exceed; a wrong one costs a copy.
*/
static dn_status promised_size(const dn_file *file, int64_t limit_bytes, int64_t *n_bytes) {
  unsigned char last[4];
  DN_TRY(dn_file_read(file, file->n_bytes - 4, 4, last));
  const int64_t promised = last[0] | last[1] << 8 | last[2] << 16 | (int64_t)last[3] << 24;
  *n_bytes = smaller(promised, smaller(limit_bytes, file->n_bytes * FIRST_RATIO));
  return DN_OK;
}

/* Room for more: twice as much, as far as the limit allows. */
static dn_status grow(unpacking *u, growing *whole) {
  if (u->room_bytes >= whole->limit_bytes)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": unpacks to more than the %" PRId64 " bytes expected",
                    u->file->path, whole->limit_bytes);
  const int64_t doubled = u->room_bytes < INPUT_BYTES ? INPUT_BYTES : 2 * u->room_bytes;
  const int64_t wanted = smaller(doubled, whole->limit_bytes);
  dn_tensor larger;
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &wanted, &larger));
  memcpy(dn_tensor_data(&larger), u->content, (size_t)u->n_unpacked);
  dn_tensor_free(&whole->bytes);
  whole->bytes = larger;
  u->content = dn_tensor_data(&larger);
  u->room_bytes = wanted;
  return DN_OK;
}

static dn_status refill(unpacking *u) {
  const int64_t n = smaller(u->file->n_bytes - u->n_read, INPUT_BYTES);
  DN_TRY(dn_file_read(u->file, u->n_read, n, u->input));
  u->n_read += n;
  u->stream.next_in = u->input;
  u->stream.avail_in = (uInt)n;
  return DN_OK;
}

/* One call of inflate, with as much input and room as there is. */
static dn_status inflate_some(unpacking *u, int *answer) {
  if (u->stream.avail_in == 0) DN_TRY(refill(u));
  const int64_t room = smaller(u->room_bytes - u->n_unpacked, 1 << 30);
  u->stream.next_out = u->content + u->n_unpacked;
  u->stream.avail_out = (uInt)room;
  *answer = inflate(&u->stream, Z_NO_FLUSH);
  u->n_unpacked += room - u->stream.avail_out;
  return DN_OK;
}

/* From the start of a member to just behind its checksum; without `whole`, only while there is room. */
static dn_status unpack_member(unpacking *u, growing *whole) {
  for (;;) {
    int answer;
    DN_TRY(inflate_some(u, &answer));
    const bool is_full = u->n_unpacked == u->room_bytes;
    const bool is_at_end = u->stream.avail_in == 0 && u->n_read == u->file->n_bytes;
    if (answer == Z_STREAM_END || (is_full && !whole)) return DN_OK;
    if (answer == Z_MEM_ERROR)
      return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", u->file->path);
    if (answer != Z_OK && answer != Z_BUF_ERROR)
      return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged gzip file (%s), near byte %" PRId64,
                      u->file->path, u->stream.msg ? u->stream.msg : "dictionary needed",
                      u->n_read - u->stream.avail_in);
    /* No progress: it was room that lacked, or input, of which there is more unless at the end. */
    if (answer == Z_BUF_ERROR && is_full)
      DN_TRY(grow(u, whole));
    else if (is_at_end && !is_full)
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": cut short: the gzip data does not end within its %" PRId64
                                     " bytes",
                      u->file->path, u->file->n_bytes);
  }
}

/* Nothing but zero bytes from here to the end of the file, which is where this leaves `u`. */
static dn_status pass_padding(unpacking *u) {
  for (;;) {
    while (u->stream.avail_in > 0 && u->stream.next_in[0] == 0) {
      u->stream.next_in++;
      u->stream.avail_in--;
    }
    if (u->stream.avail_in > 0)
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": %" PRId64 " bytes of something else after the gzip data",
                      u->file->path, u->file->n_bytes - u->n_read + u->stream.avail_in);
    if (u->n_read == u->file->n_bytes) return DN_OK;
    DN_TRY(refill(u));
  }
}

static dn_status unpack(unpacking *u, growing *whole) {
  do {
    DN_TRY(unpack_member(u, whole));
    if (!whole && u->n_unpacked == u->room_bytes) return DN_OK;
    if (u->stream.avail_in == 0) DN_TRY(refill(u));
    if (u->stream.avail_in == 0) return DN_OK;
    if (u->stream.next_in[0] != 0x1f) return pass_padding(u);
  } while (inflateReset(&u->stream) == Z_OK);
  return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged gzip file", u->file->path);
}

static dn_status check_magic(const dn_file *file) {
  unsigned char magic[2] = {0};
  if (file->n_bytes == 0) return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": is empty", file->path);
  DN_TRY(dn_file_read(file, 0, smaller(2, file->n_bytes), magic));
  if (magic[0] != 0x1f || magic[1] != 0x8b)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": not a gzip file (it starts with %02x %02x, not 1f 8b)",
                    file->path, magic[0], magic[1]);
  /* A header of 10 bytes, a checksum and a length of 4 each, and something between. */
  if (file->n_bytes < 20)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": cut short: no gzip file has %" PRId64 " bytes",
                    file->path, file->n_bytes);
  return DN_OK;
}

static dn_status inflate_file(unpacking *u, growing *whole) {
  enum { ONLY_GZIP = 16 };
  if (inflateInit2(&u->stream, MAX_WBITS + ONLY_GZIP) != Z_OK)
    return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", u->file->path);
  const dn_status status = unpack(u, whole);
  inflateEnd(&u->stream);
  return status;
}

static dn_status unpack_whole(unpacking *u, growing *whole) {
  int64_t n_bytes;
  DN_TRY(promised_size(u->file, whole->limit_bytes, &n_bytes));
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &n_bytes, &whole->bytes));
  u->content = dn_tensor_data(&whole->bytes);
  u->room_bytes = n_bytes;
  return inflate_file(u, whole);
}

dn_status dn_gzip_read(const dn_file *file, int64_t limit_bytes, dn_tensor *content) {
  unpacking u = {.file = file};
  growing whole = {.limit_bytes = limit_bytes};
  DN_TRY(check_magic(file));
  const dn_status status = unpack_whole(&u, &whole);
  if (status == DN_OK) {
    whole.bytes.size[0] = u.n_unpacked;
    *content = whole.bytes;
  } else {
    dn_tensor_free(&whole.bytes);
  }
  return status;
}

dn_status dn_gzip_peek(const dn_file *file, int64_t n_bytes, void *into, int64_t *n_filled) {
  unpacking u = {.file = file, .content = into, .room_bytes = n_bytes};
  DN_TRY(check_magic(file));
  DN_TRY(inflate_file(&u, NULL));
  *n_filled = u.n_unpacked;
  return DN_OK;
}
