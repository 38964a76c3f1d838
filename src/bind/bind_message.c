/*
** A value is a tag and what the tag needs, in the machine's own representation: messages do not
** leave the process. A table is its pairs, then an end tag. Tensors stand beside the bytes in the
** message's list, in the order of their tags.
*/
#include "bind_message.h"

#include <stdio.h>
#include <string.h>

enum { MOST_DEPTH = 64 }; /* of tables in tables; also bounds the recursion */

typedef enum tag {
  TAG_NIL,
  TAG_FALSE,
  TAG_TRUE,
  TAG_INTEGER, /* lua_Integer */
  TAG_NUMBER,  /* lua_Number */
  TAG_STRING,  /* size_t, bytes */
  TAG_TENSOR,
  TAG_TABLE, /* lua_Unsigned length of the array part; key, value, key, value, ... */
  TAG_END
} tag;

/* --- writing ------------------------------------------------------------------------------- */

typedef struct writer {
  lua_State *L;
  dn_message *message;
  const char *name;
  int depth;
  int tables[MOST_DEPTH]; /* stack indices of the tables around the value; their keys are next */
} writer;

/* "argument.transform[2]" into `text`, cut off where it does not fit. */
static void describe_place(const writer *w, char *text, size_t room) {
  size_t used = (size_t)snprintf(text, room, "%s", w->name);
  for (int d = 0; d < w->depth && used < room; d++) {
    const int key = w->tables[d] + 1;
    if (lua_type(w->L, key) == LUA_TSTRING)
      used += (size_t)snprintf(text + used, room - used, ".%s", lua_tostring(w->L, key));
    else if (lua_isinteger(w->L, key))
      used +=
          (size_t)snprintf(text + used, room - used, "[%lld]", (long long)lua_tointeger(w->L, key));
    else
      used += (size_t)snprintf(text + used, room - used, "[%s]", luaL_typename(w->L, key));
  }
}

static dn_status refuse(const writer *w, const char *reason) {
  char place[160];
  describe_place(w, place, sizeof place);
  return dn_error(DN_EARG, "%s: %s", place, reason);
}

static dn_status refuse_type(const writer *w, int index) {
  char reason[80];
  snprintf(reason, sizeof reason, "a %s cannot cross to another thread",
           luaL_typename(w->L, index));
  return refuse(w, reason);
}

static dn_status write_tagged(const writer *w, tag kind, const void *content, size_t size) {
  const char byte = (char)kind;
  DN_TRY(dn_message_write(w->message, &byte, 1));
  return dn_message_write(w->message, content, (int64_t)size);
}

static dn_status write_number(const writer *w, int index) {
  if (lua_isinteger(w->L, index)) {
    const lua_Integer value = lua_tointeger(w->L, index);
    return write_tagged(w, TAG_INTEGER, &value, sizeof value);
  }
  const lua_Number value = lua_tonumber(w->L, index);
  return write_tagged(w, TAG_NUMBER, &value, sizeof value);
}

static dn_status write_string(const writer *w, int index) {
  size_t size;
  const char *text = lua_tolstring(w->L, index, &size);
  DN_TRY(write_tagged(w, TAG_STRING, &size, sizeof size));
  return dn_message_write(w->message, text, (int64_t)size);
}

static dn_status write_value(writer *w, int index);

static dn_status write_table(writer *w, int table) {
  lua_State *L = w->L;
  if (lua_getmetatable(L, table)) {
    lua_pop(L, 1);
    return refuse(w, "a table with a metatable cannot cross to another thread");
  }
  for (int d = 0; d < w->depth; d++)
    if (lua_rawequal(L, w->tables[d], table)) return refuse(w, "the table contains itself");
  if (w->depth == MOST_DEPTH || !lua_checkstack(L, 4))
    return refuse(w, "tables are nested too deeply to cross to another thread");
  const lua_Unsigned length = lua_rawlen(L, table);
  DN_TRY(write_tagged(w, TAG_TABLE, &length, sizeof length));
  w->tables[w->depth++] = table;
  lua_pushnil(L);
  while (lua_next(L, table)) { /* table, key, value */
    DN_TRY(write_value(w, table + 1));
    DN_TRY(write_value(w, table + 2));
    lua_pop(L, 1);
  }
  w->depth--;
  return write_tagged(w, TAG_END, NULL, 0);
}

/* The value at the absolute index; a table only at the top of the stack, or the first one. */
static dn_status write_value(writer *w, int index) {
  lua_State *L = w->L;
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      return write_tagged(w, TAG_NIL, NULL, 0);
    case LUA_TBOOLEAN:
      return write_tagged(w, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE, NULL, 0);
    case LUA_TNUMBER:
      return write_number(w, index);
    case LUA_TSTRING:
      return write_string(w, index);
    case LUA_TTABLE:
      if (w->depth > 0 && index == w->tables[w->depth - 1] + 1)
        return refuse(w, "a table as a key cannot cross to another thread");
      return write_table(w, index);
    case LUA_TUSERDATA: {
      const dn_tensor *tensor = bind_test_tensor(L, index);
      if (!tensor) return refuse_type(w, index);
      if (!tensor->storage) return refuse(w, "the tensor has been freed");
      DN_TRY(write_tagged(w, TAG_TENSOR, NULL, 0));
      return dn_message_attach(w->message, tensor);
    }
    default:
      return refuse_type(w, index);
  }
}

dn_status bind_message_append(lua_State *L, int index, const char *name, dn_message *message) {
  const int64_t n_bytes = message->n_bytes, n_tensors = message->n_tensors;
  const int top = lua_gettop(L);
  if (!lua_checkstack(L, 1)) return dn_error(DN_ENOMEM, "%s: no room on Lua's stack", name);
  lua_pushvalue(L, index); /* on top, so that keys and values of a table follow it */
  writer w = {.L = L, .message = message, .name = name};
  const dn_status status = write_value(&w, top + 1);
  lua_settop(L, top);
  if (status != DN_OK) dn_message_truncate(message, n_bytes, n_tensors);
  return status;
}

/* --- reading ------------------------------------------------------------------------------- */

typedef struct reader {
  lua_State *L;
  const dn_message *message;
  int64_t position, n_tensors; /* read so far */
} reader;

static tag read_tag(reader *r) { return (tag)r->message->bytes[r->position++]; }

static void read_bytes(reader *r, void *content, size_t size) {
  memcpy(content, r->message->bytes + r->position, size);
  r->position += (int64_t)size;
}

static void push_string(reader *r) {
  size_t size;
  read_bytes(r, &size, sizeof size);
  lua_pushlstring(r->L, r->message->bytes + r->position, size);
  r->position += (int64_t)size;
}

static void push_value(reader *r, tag kind);

static void push_table(reader *r) {
  lua_Unsigned length;
  read_bytes(r, &length, sizeof length);
  luaL_checkstack(r->L, 3, "message");
  lua_createtable(r->L, length < 1 << 20 ? (int)length : 1 << 20, 0);
  for (tag key = read_tag(r); key != TAG_END; key = read_tag(r)) {
    push_value(r, key);
    push_value(r, read_tag(r));
    lua_rawset(r->L, -3);
  }
}

static void push_value(reader *r, tag kind) {
  lua_State *L = r->L;
  switch (kind) {
    case TAG_FALSE:
      lua_pushboolean(L, false);
      break;
    case TAG_TRUE:
      lua_pushboolean(L, true);
      break;
    case TAG_INTEGER: {
      lua_Integer value;
      read_bytes(r, &value, sizeof value);
      lua_pushinteger(L, value);
      break;
    }
    case TAG_NUMBER: {
      lua_Number value;
      read_bytes(r, &value, sizeof value);
      lua_pushnumber(L, value);
      break;
    }
    case TAG_STRING:
      push_string(r);
      break;
    case TAG_TENSOR: {
      /* Cannot fail: the message holds the tensor, so it is alive. */
      dn_tensor *tensor = bind_push_tensor(L);
      dn_tensor_share(&r->message->tensors[r->n_tensors++], tensor);
      bind_note_arrival(L, tensor);
      break;
    }
    case TAG_TABLE:
      push_table(r);
      break;
    case TAG_NIL:
    case TAG_END:
      lua_pushnil(L);
      break;
  }
}

int bind_message_push(lua_State *L, const dn_message *message) {
  reader r = {.L = L, .message = message};
  int n_values = 0;
  while (r.position < message->n_bytes) {
    luaL_checkstack(L, 2, "message");
    push_value(&r, read_tag(&r));
    n_values++;
  }
  return n_values;
}
