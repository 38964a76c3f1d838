/*
** JPEG, read by libjpeg: the slow exact transform and smooth upsampling, which are its defaults, so
** that one version gives the bytes that every other one and PIL give.
**
** libjpeg only warns of a file that is cut short and paints the rest grey. That warning is taken for
** an error here. Its other warnings are let pass, as PIL does: among the usual photographs there are
** some with stray bytes or a few damaged blocks.
*/
#include "dn_image_decode.h"

#ifndef DN_HAVE_JPEG

dn_status dn_image_decode_jpeg(const dn_image_source *source, int n_channels, dn_tensor *image) {
  (void)n_channels, (void)image;
  return dn_image_without(source->name, "reads", "JPEG", "libjpeg", "libjpeg-dev");
}

#else

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

#include "dn_file.h"

/* Encoders write ten or so; each passes over the whole picture, so a file of thousands takes hours. */
enum { MOST_SCANS = 500 };

/*
** No whole picture has more pixels a byte than this: every block has at least one bit, and the most
** uneven sampling leaves 4 blocks to 32x32 pixels.
*/
enum { MOST_PIXELS_A_BYTE = 2048 };

typedef struct reading {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  const dn_image_source *source;
  dn_status status; /* why the decoder was left */
  jmp_buf escape;
} reading;

static _Noreturn void leave(reading *r, dn_status status) {
  r->status = status;
  longjmp(r->escape, 1);
}

static bool is_other_kind(int code) {
  switch (code) {
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
      return true;
    default:
      return false;
  }
}

static void fail(j_common_ptr jpeg) {
  reading *r = jpeg->client_data;
  char words[JMSG_LENGTH_MAX];
  r->errors.format_message(jpeg, words);
  if (r->errors.msg_code == JERR_OUT_OF_MEMORY)
    leave(r, dn_error(DN_ENOMEM, DN_PATH_FORMAT ": no memory to decode it", r->source->name));
  leave(r, dn_error(DN_EFORMAT, DN_PATH_FORMAT ": %s JPEG image (%s)", r->source->name,
                    is_other_kind(r->errors.msg_code) ? "unsupported" : "damaged", words));
}

static void notice(j_common_ptr jpeg, int level) {
  reading *r = jpeg->client_data;
  if (level < 0 && r->errors.msg_code == JWRN_JPEG_EOF)
    leave(r, dn_image_cut_short(r->source, "JPEG"));
}

static void count_scans(j_common_ptr jpeg) {
  reading *r = jpeg->client_data;
  if (r->jpeg.input_scan_number > MOST_SCANS)
    leave(r, dn_error(DN_EFORMAT, DN_PATH_FORMAT ": damaged JPEG image (more than %d scans)",
                      r->source->name, (int)MOST_SCANS));
}

static dn_status check_header(const reading *r) {
  const struct jpeg_decompress_struct *jpeg = &r->jpeg;
  DN_TRY(dn_image_check_size(r->source, jpeg->image_width, jpeg->image_height));
  if (jpeg->arith_code)
    return dn_error(DN_EFORMAT, DN_PATH_FORMAT ": unsupported JPEG image (with arithmetic coding)",
                    r->source->name);
  if ((int64_t)jpeg->image_width * jpeg->image_height > MOST_PIXELS_A_BYTE * r->source->n_bytes)
    return dn_image_cut_short(r->source, "JPEG");
  return DN_OK;
}

/* ab/255, rounded. */
static int multiply(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

/*
** Cyan, magenta, yellow and black become red, green and blue in place, by PIL's formula. Adobe's
** files hold all four inverted.
*/
static void convert_cmyk(uint8_t *row, int64_t width, bool is_inverted) {
  const int flip = is_inverted ? 255 : 0;
  for (int64_t x = 0; x < width; x++) {
    const uint8_t *from = row + 4 * x;
    const int light = 255 - (from[3] ^ flip);
    const int cyan = from[0] ^ flip, magenta = from[1] ^ flip, yellow = from[2] ^ flip;
    uint8_t *to = row + 3 * x;
    to[0] = (uint8_t)(light - multiply(cyan, light));
    to[1] = (uint8_t)(light - multiply(magenta, light));
    to[2] = (uint8_t)(light - multiply(yellow, light));
  }
}

/*
** The row begins at an odd address: libjpeg-turbo writes past the caches what is aligned for vectors,
** and reading that back at once would take a fifth of the time.
*/
static void read_rows(reading *r, dn_tensor *image) {
  struct jpeg_decompress_struct *jpeg = &r->jpeg;
  const JDIMENSION n_samples = jpeg->output_width * (JDIMENSION)jpeg->output_components;
  JSAMPROW row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, n_samples + 1, 1)[0] + 1;
  while (jpeg->output_scanline < jpeg->output_height) {
    const int64_t y = jpeg->output_scanline;
    jpeg_read_scanlines(jpeg, &row, 1);
    if (jpeg->output_components == 4) convert_cmyk(row, jpeg->output_width, jpeg->saw_Adobe_marker);
    dn_image_put_row(image, y, row);
  }
}

/* Fewer than 8 of 8x8 values are made of each block. */
static dn_status ask_for_size(reading *r) {
  const dn_image_request *request = r->source->request;
  int eighths = 8;
  DN_TRY(request->decide(request->context, r->jpeg.image_height, r->jpeg.image_width, &eighths));
  r->jpeg.scale_num = (unsigned)eighths;
  r->jpeg.scale_denom = 8;
  return DN_OK;
}

static dn_status decode(reading *r, int n_channels, dn_tensor *image) {
  struct jpeg_decompress_struct *jpeg = &r->jpeg;
  if (setjmp(r->escape) != 0) return r->status;
  jpeg_create_decompress(jpeg);
  jpeg->progress = &r->progress;
  jpeg_mem_src(jpeg, r->source->bytes, (unsigned long)r->source->n_bytes);
  jpeg_read_header(jpeg, TRUE);
  DN_TRY(check_header(r));
  const bool is_grey = jpeg->num_components == 1;
  if (r->source->request) DN_TRY(ask_for_size(r));
  jpeg_calc_output_dimensions(jpeg);
  DN_TRY(dn_image_new(n_channels, is_grey, jpeg->output_height, jpeg->output_width, image));
  jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(jpeg);
  read_rows(r, image);
  jpeg_finish_decompress(jpeg);
  return DN_OK;
}

dn_status dn_image_decode_jpeg(const dn_image_source *source, int n_channels, dn_tensor *image) {
  reading r = {.source = source};
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.jpeg.client_data = &r;
  r.errors.error_exit = fail;
  r.errors.emit_message = notice;
  r.progress.progress_monitor = count_scans;
  const dn_status status = decode(&r, n_channels, image);
  jpeg_destroy_decompress(&r.jpeg);
  return status;
}

#endif
