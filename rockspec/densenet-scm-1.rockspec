rockspec_format = "3.0"
package = "densenet"
version = "scm-1"
source = { url = "." }
description = {
  summary = "Trains DenseNets from Lua 5.4, in little memory and time",
  detailed = [[
    A C module with tensors, neural-network modules in Torch7's style, DenseNet models, data
    loading, training, checkpoints. Needs a C compiler, a CBLAS (for example libopenblas-dev) and
    zlib (zlib1g-dev). With libjpeg (libjpeg-dev) and libpng (libpng-dev) it reads JPEG and PNG images; BMP
    and PPM need neither.
  ]],
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "make",
  build_target = "all",
  install_target = "install",
  build_variables = { LUA_INCDIR = "$(LUA_INCDIR)", CFLAGS = "$(CFLAGS)", B = "build/luarocks" },
  install_variables = { LUA_INCDIR = "$(LUA_INCDIR)", CFLAGS = "$(CFLAGS)", B = "build/luarocks",
    LUADIR = "$(LUADIR)", LIBDIR = "$(LIBDIR)", BINDIR = "$(BINDIR)" },
  copy_directories = { "docs", "examples" },
}
