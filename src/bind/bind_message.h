/*
** Lua values in a message, so that they reach another Lua state: nil, booleans, numbers, strings,
** tensors (by reference: both states see the same elements) and tables of these without
** metatables. Tables cross as trees: one that is reached twice arrives twice, one that contains
** itself is refused.
*/
#ifndef BIND_MESSAGE_H
#define BIND_MESSAGE_H

#include "../dn_message.h"
#include "bind_handle.h"

/*
** Appends the value at stack index `index`. `name` begins the place that a refusal names, as in
** "argument.transform[2]: a function cannot cross to another thread". Raises nothing: returns
** DN_EARG or DN_ENOMEM and leaves the message as it was.
*/
dn_status bind_message_append(lua_State *L, int index, const char *name, dn_message *message);

/*
** [-> values...] All values of the message, which keeps them; returns how many. Raises only Lua's
** own out of memory and stack overflow.
*/
int bind_message_push(lua_State *L, const dn_message *message);

#endif
