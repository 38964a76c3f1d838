/* core.svd(u, s, v, a): dn_svd.h; returns nothing, raises misuse and out of memory. */
#include "../dn_svd.h"
#include "bind_handle.h"
#include "bind_init.h"

static int svd(lua_State *L) {
  dn_tensor *const u = bind_check_tensor(L, 1), *const s = bind_check_tensor(L, 2);
  dn_tensor *const v = bind_check_tensor(L, 3);
  const dn_tensor *const a = bind_check_tensor(L, 4);
  BIND_TRY(L, dn_svd(u, s, v, a));
  return 0;
}

void bind_register_svd(lua_State *L) {
  lua_pushcfunction(L, svd);
  lua_setfield(L, -2, "svd");
}
