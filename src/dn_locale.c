#include "dn_locale.h"

#include <pthread.h>

/* Made once and kept: threads may be in it until the process ends. */
static locale_t neutral;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_neutral(void) { neutral = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

dn_locale dn_locale_enter(void) {
  pthread_once(&once, make_neutral);
  return uselocale(neutral); /* 0 changes nothing */
}

void dn_locale_leave(dn_locale before) { uselocale(before); }
