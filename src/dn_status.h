/*
** A call that can fail returns a status and leaves one sentence behind.
**
** The sentence is kept per thread until the next failure of that thread. Nothing in the library
** exits, aborts or prints; the binding is the one place where a status becomes a Lua error.
** A misuse (DN_EARG) also says which argument was wrong, counted from 1 in the order in which the
** operation declares them, so that Lua can say "bad argument #3 to 'conv2d_forward' (...)".
*/
#ifndef DN_STATUS_H
#define DN_STATUS_H

#include <stdarg.h>

typedef enum dn_status {
  DN_OK,
  DN_EARG,         /* the caller's mistake: shape, dtype, device, range, aliasing */
  DN_ENOMEM,       /* the device has no room for the bytes asked for */
  DN_EIO,          /* the operating system refused: open, read, write, rename */
  DN_EFORMAT,      /* a file's content is not what its format promises */
  DN_EDEVICE,      /* no such device, or it failed */
  DN_EUNSUPPORTED, /* this build was made without what it takes */
  DN_STATUS_COUNT
} dn_status;

#if defined(__GNUC__)
#define DN_FORMAT_CHECK(text, first) __attribute__((format(printf, text, first)))
#else
#define DN_FORMAT_CHECK(text, first)
#endif

/* Leaves the sentence and returns `status`, so that `return dn_error(...)` reads as one step. */
dn_status dn_error(dn_status status, const char *format, ...) DN_FORMAT_CHECK(2, 3);

/* The same for a list of arguments; `argument` from 1, or 0. */
dn_status dn_error_list(dn_status status, int argument, const char *format, va_list list)
    DN_FORMAT_CHECK(3, 0);

/* The same for DN_EARG, naming the argument (from 1). */
dn_status dn_error_argument(int argument, const char *format, ...) DN_FORMAT_CHECK(2, 3);

/* The sentence of this thread's last failure; "" before the first. */
const char *dn_error_message(void);

/* The argument of this thread's last DN_EARG, from 1; 0 when the failure named none. */
int dn_error_argument_index(void);

/* The word programs compare: "ok", "argument", "memory", "io", "format", "device", "unsupported". */
const char *dn_status_word(dn_status status);

/* Passes a failure on to the caller. */
#define DN_TRY(call)                                    \
  do {                                                  \
    const dn_status status_of_call = (call);            \
    if (status_of_call != DN_OK) return status_of_call; \
  } while (0)

#endif
