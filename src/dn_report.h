/*
** What a process says to the launcher that started it (dn_child.h): lines through a pipe of their own, for
** the sentence that is written when a run of several processes fails. The launcher names the pipe and
** itself in the variable DENSENET_REPORT, "NUMBER:PROCESS"; a program that this process starts inherits
** the variable, has another parent, and says nothing.
**
**   batches N         so many batches are done
**   checkpoint PATH   a checkpoint is complete
**   device NAME       where the process computes
**   follows           another process has failed: this one's failure is no news
*/
#ifndef DN_REPORT_H
#define DN_REPORT_H

/* Says `line`, without its end; nothing where there is no launcher, or where it does not read. */
void dn_report(const char *line);

#endif
