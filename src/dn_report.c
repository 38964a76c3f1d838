#include "dn_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LONGEST = 4096 }; /* a pipe takes it whole or not at all */

void dn_report(const char *line) {
  const char *place = getenv("DENSENET_REPORT");
  int number;
  long launcher;
  char text[LONGEST];
  if (!place || sscanf(place, "%d:%ld", &number, &launcher) != 2 || (long)getppid() != launcher)
    return;
  const int n = snprintf(text, sizeof text, "%s\n", line);
  if (n <= 0 || n >= LONGEST) return;
  fcntl(number, F_SETFD, FD_CLOEXEC); /* programs that this one starts do not keep it open */
  if (write(number, text, (size_t)n) != n) return;
}
