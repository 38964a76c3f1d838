#include "dn_gzip.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { INPUT_BYTES = 1 << 16 };

typedef struct unpacking {
  dn_file file;
  int64_t limit_bytes;
  int64_t n_read;     /* bytes of the file given to zlib so far */
  int64_t n_unpacked; /* bytes of `content` that are filled */
  dn_tensor content;  /* a byte vector with room to spare */
  z_stream stream;
  unsigned char input[INPUT_BYTES];
} unpacking;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/*
** A first guess at the unpacked size: what the last four bytes promise. They may lie, and they
** count modulo 2^32, so the guess is kept within the limit and within what deflate can achieve
** at best (1032 to 1); a wrong one costs a copy.
*/
static dn_status promised_size(const unpacking *u, int64_t *n_bytes) {
  unsigned char last[4];
  DN_TRY(dn_file_read(&u->file, u->file.n_bytes - 4, 4, last));
  const int64_t promised = last[0] | last[1] << 8 | last[2] << 16 | (int64_t)last[3] << 24;
  const int64_t most = smaller(u->limit_bytes, u->file.n_bytes * 1032);
  *n_bytes = smaller(promised, most);
  return DN_OK;
}

/* Room for more: twice as much, as far as the limit allows. */
static dn_status grow(unpacking *u) {
  const int64_t room = u->content.size[0];
  if (room >= u->limit_bytes)
    return dn_error(DN_EFORMAT,
                    DN_PATH_FORMAT ": unpacks to more than the %" PRId64 " bytes expected",
                    u->file.path, u->limit_bytes);
  const int64_t wanted = smaller(room < INPUT_BYTES ? INPUT_BYTES : 2 * room, u->limit_bytes);
  dn_tensor larger;
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &wanted, &larger));
  memcpy(dn_tensor_data(&larger), dn_tensor_data(&u->content), (size_t)u->n_unpacked);
  dn_tensor_free(&u->content);
  u->content = larger;
  return DN_OK;
}

static dn_status refill(unpacking *u) {
  const int64_t n = smaller(u->file.n_bytes - u->n_read, INPUT_BYTES);
  DN_TRY(dn_file_read(&u->file, u->n_read, n, u->input));
  u->n_read += n;
  u->stream.next_in = u->input;
  u->stream.avail_in = (uInt)n;
  return DN_OK;
}

/* One call of inflate, with as much input and room as there is. */
static dn_status inflate_some(unpacking *u, int *answer) {
  if (u->stream.avail_in == 0) DN_TRY(refill(u));
  const int64_t room = smaller(u->content.size[0] - u->n_unpacked, 1 << 30);
  u->stream.next_out = (unsigned char *)dn_tensor_data(&u->content) + u->n_unpacked;
  u->stream.avail_out = (uInt)room;
  *answer = inflate(&u->stream, Z_NO_FLUSH);
  u->n_unpacked += room - u->stream.avail_out;
  return DN_OK;
}

/* From the start of a member to just behind its checksum. */
static dn_status unpack_member(unpacking *u) {
  for (;;) {
    int answer;
    DN_TRY(inflate_some(u, &answer));
    const bool is_full = u->n_unpacked == u->content.size[0];
    const bool is_at_end = u->stream.avail_in == 0 && u->n_read == u->file.n_bytes;
    if (answer == Z_STREAM_END) return DN_OK;
    if (answer == Z_MEM_ERROR)
      return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", u->file.path);
    if (answer != Z_OK && answer != Z_BUF_ERROR)
      return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged gzip file (%s), near byte %" PRId64,
                      u->file.path, u->stream.msg ? u->stream.msg : "dictionary needed",
                      u->n_read - u->stream.avail_in);
    /* No progress: it was room that lacked, or input, of which there is more unless at the end. */
    if (answer == Z_BUF_ERROR && is_full)
      DN_TRY(grow(u));
    else if (is_at_end && !is_full)
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": cut short: the gzip data does not end within its %" PRId64
                                     " bytes",
                      u->file.path, u->file.n_bytes);
  }
}

static dn_status unpack(unpacking *u) {
  do {
    DN_TRY(unpack_member(u));
    if (u->stream.avail_in == 0) DN_TRY(refill(u));
    if (u->stream.avail_in == 0) return DN_OK;
    if (u->stream.next_in[0] != 0x1f)
      return dn_error(DN_EFORMAT,
                      DN_PATH_FORMAT ": %" PRId64 " bytes of something else after the gzip data",
                      u->file.path, u->file.n_bytes - u->n_read + u->stream.avail_in);
  } while (inflateReset(&u->stream) == Z_OK);
  return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged gzip file", u->file.path);
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

static dn_status unpack_open_file(unpacking *u) {
  DN_TRY(check_magic(&u->file));
  int64_t n_bytes;
  DN_TRY(promised_size(u, &n_bytes));
  DN_TRY(dn_tensor_new(dn_device_cpu(), DN_BYTE, 1, &n_bytes, &u->content));
  enum { ONLY_GZIP = 16 };
  if (inflateInit2(&u->stream, MAX_WBITS + ONLY_GZIP) != Z_OK)
    return dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to unpack it", u->file.path);
  const dn_status status = unpack(u);
  inflateEnd(&u->stream);
  return status;
}

dn_status dn_gzip_read(const char *path, int64_t limit_bytes, dn_tensor *content) {
  unpacking u = {.limit_bytes = limit_bytes};
  DN_TRY(dn_file_open(path, &u.file));
  dn_status status = unpack_open_file(&u);
  dn_file_close(&u.file);
  if (status == DN_OK) {
    u.content.size[0] = u.n_unpacked;
    *content = u.content;
  } else {
    dn_tensor_free(&u.content);
  }
  return status;
}
