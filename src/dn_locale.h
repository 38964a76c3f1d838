/*
** Numbers as text, whatever the locale: a program that has called setlocale may write 0,5 for 0.5,
** and a file or a message that we write must not. Between enter and leave the calling thread, and no
** other, is in the "C" locale.
**
**   const dn_locale before = dn_locale_enter();
**   snprintf(...);
**   dn_locale_leave(before);
*/
#ifndef DN_LOCALE_H
#define DN_LOCALE_H

#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

typedef locale_t dn_locale;

/* Returns what leave takes. Without memory for a locale the thread stays in its own. */
dn_locale dn_locale_enter(void);
void dn_locale_leave(dn_locale before);

#endif
