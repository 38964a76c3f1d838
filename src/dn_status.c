#include "dn_status.h"

#include <stdio.h>

#include "dn_locale.h"

static _Thread_local char message[1024];
static _Thread_local int argument_index;

dn_status dn_error_list(dn_status status, int argument, const char *format, va_list list) {
  const dn_locale before = dn_locale_enter();
  vsnprintf(message, sizeof message, format, list);
  dn_locale_leave(before);
  argument_index = argument;
  return status;
}

dn_status dn_error(dn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dn_error_list(status, 0, format, arguments);
  va_end(arguments);
  return status;
}

dn_status dn_error_argument(int argument, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dn_error_list(DN_EARG, argument, format, arguments);
  va_end(arguments);
  return DN_EARG;
}

const char *dn_error_message(void) { return message; }

int dn_error_argument_index(void) { return argument_index; }

const char *dn_status_word(dn_status status) {
  static const char *const words[DN_STATUS_COUNT] = {"ok",     "argument", "memory",     "io",
                                                     "format", "device",   "unsupported"};
  return words[status];
}
