/*
** Is there a terminal to draw on, and how wide is it?
*/
#include <stdlib.h>
#include <string.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include "bind_handle.h"
#include "bind_init.h"

enum { USUAL_COLUMNS = 80, MOST_COLUMNS = 10000 };

/* COLUMNS, for terminals that do not know their width, such as a serial line; else the usual width. */
static long columns_of_environment(void) {
  const char *text = getenv("COLUMNS");
  const long columns = text != NULL ? strtol(text, NULL, 10) : 0;
  return columns > 0 && columns <= MOST_COLUMNS ? columns : USUAL_COLUMNS;
}

/*
** terminal() -> columns of the terminal that standard output goes to, as they are now; nil where it
** goes elsewhere, or to a terminal that cannot redraw a line (TERM=dumb)
*/
static int terminal(lua_State *L) {
  const char *kind = getenv("TERM");
  if (!isatty(STDOUT_FILENO) || (kind != NULL && strcmp(kind, "dumb") == 0)) {
    luaL_pushfail(L);
    return 1;
  }
  struct winsize size = {0};
  const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, is_known ? size.ws_col : columns_of_environment());
  return 1;
}

void bind_register_terminal(lua_State *L) {
  lua_pushcfunction(L, terminal);
  lua_setfield(L, -2, "terminal");
}
