-- The ways into the module: from the checkout, installed by luarocks, and from the wrong Lua.

local temporary = require "spec.support.temporary"

-- Runs a command line; true when it succeeded, and all it wrote.
local function run(command)
  local pipe = assert(io.popen("(" .. command .. ") 2>&1"))
  local output = pipe:read("a")
  return pipe:close(), output
end

local function there(command)
  return os.execute("command -v " .. command .. " >/dev/null 2>&1")
end

local isSanitized = (os.getenv("DENSENET_BUILD") or "build") ~= "build"
local use = [[-e 'local dn = require "densenet"; print(dn.version, (dn.ones(2, 3) + 1):sum())']]

describe("the module", function()
  it("is found from anywhere after eval $(make env)", function()
    if isSanitized then return pending("the sanitizers' module needs their interpreter") end
    local ok, output = run([[eval $(make -s env) && cd / && lua5.4 ]] .. use)
    assert.message(output).is_truthy(ok)
    assert.matches("^%d+%.%d+%.%d+%s+12%.0\n$", output)
  end)

  -- What `luarocks make` with these assignments in front and behind says.
  local function installs(environment, assignments)
    local tree = temporary.directory()
    finally(function() temporary.remove(tree) end)
    local ok, output = run(("%s luarocks make --lua-version 5.4 --tree '%s' %s %s")
      :format(environment, tree, "rockspec/densenet-scm-1.rockspec", assignments))
    assert.message(output).is_truthy(ok)
    local okToo, printed = run(("cd / && export LUA_PATH_5_4='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua' " ..
      "LUA_CPATH_5_4='%s/lib/lua/5.4/?.so' && lua5.4 %s"):format(tree, tree, tree, use))
    assert.message(printed).is_truthy(okToo)
    assert.matches("12%.0\n$", printed)
    assert.same({ true, "densenet " .. require("densenet").version .. "\n" },
      { run(("cd / && '%s/bin/densenet' train --version"):format(tree)) })
    assert.is_truthy(run(("test -e '%s/lib/luarocks/rocks-5.4/densenet/scm-1/docs/options.md'"):format(tree)))
    return output
  end

  it("installs with luarocks from the checkout", function()
    if isSanitized then return pending("builds without the sanitizers") end
    if not there("luarocks") then return pending("no luarocks here") end
    -- What is built already, by a make that makes the choices of that build and not luarocks's own.
    local make = temporary.write(os.tmpname(), [[
      for argument; do
        shift
        case $argument in B=*|CFLAGS=*|LUA_INCDIR=*) ;; *) set -- "$@" "$argument" ;; esac
      done
      eval "make CUDA_BUILD=none $(sed "s/[A-Z_]*=''//g" build/choices) \"\$@\""
    ]])
    finally(function() temporary.remove(make) end)
    local output = installs("MAKEFLAGS=", ("MAKE='sh %s'"):format(make))
    assert.not_matches("\nlink ", output, 1, true)
  end)

  -- Compiles everything once more (make test-all).
  if os.getenv "DENSENET_ALL" then
    it("builds with luarocks from nothing", function()
      if isSanitized then return pending("builds without the sanitizers") end
      if not there("luarocks") then return pending("no luarocks here") end
      -- nvcc would take minutes; what becomes of it is a test below
      os.execute "rm -rf build/luarocks"
      installs("CUDA=0 MAKEFLAGS=-j2", "")
    end)
  end

  it("exports its one entry and nothing else", function()
    if isSanitized then return pending("the sanitizers add names of their own") end
    if not there("nm") then return pending("no nm here") end
    local _, output = run("nm -D --defined-only build/densenet/core.so")
    local names = {}
    for name in output:gmatch("%x+ %u ([%w_]+)") do names[#names + 1] = name end
    assert.same({ "luaopen_densenet_core" }, names)
  end)
end)

describe("the module", function()
  it("asks no library of OpenMP for threads where gcc built it", function()
    if isSanitized or not there("nm") then return pending("no nm here, or another module") end
    if temporary.read("build/config.mk"):find("OPENMP_LINK := %S") then return pending("built by clang") end
    local _, output = run("nm -D --undefined-only build/densenet/core.so")
    assert.matches("pthread_create", output)
    assert.not_matches("GOMP_", output)
    assert.not_matches("omp_", output)
  end)
end)

describe("the GPU's backend", function()
  local directory, nvcc

  before_each(function()
    directory = temporary.directory()
    nvcc = directory .. "/nvcc"
  end)
  after_each(function() temporary.remove(directory) end)

  -- What stands for nvcc, by its lines of shell.
  local function pretend(lines)
    temporary.write(nvcc, "#!/bin/sh\n" .. lines)
    assert(run("chmod +x " .. nvcc))
  end

  local function configure(program)
    local output = directory .. "/config_cuda.mk"
    local ok, said = run(("NVCC=%s sh scripts/configure_cuda.sh %s"):format(program, output))
    assert.message(said).is_truthy(ok)
    return said, temporary.read(output)
  end

  it("is left out with the reason", function()
    pretend("echo \"$1:2:10: fatal error: cudnn.h: No such file\"\nexit 1\n")
    local said, config = configure(nvcc)
    assert.matches("CUDA +nvcc is there, but not cuBLAS and cuDNN", said)
    assert.matches("\n +try%.cu:2:10: fatal error: cudnn%.h: No such file\n", said)
    assert.matches("CUDA_BUILD := none", config)
    assert.matches("CUDA +no nvcc: the module computes on the CPU", (configure(directory .. "/nothing")))
  end)

  it("has NCCL beside it, or says why not", function()
    pretend([[case "$*" in *-lnccl*) echo "$1:1:10: fatal error: nccl.h: No such file"; exit 1 ;; esac]] .. "\n")
    local said, config = configure(nvcc)
    assert.matches("\nNCCL +not found with its header: one GPU trains", said)
    assert.matches("\n +try_nccl%.cu:1:10: fatal error: nccl%.h: No such file\n", said)
    assert.matches("CUDA_BUILD := nvcc\nNCCL_BUILD := none\n", config)
    pretend("case \"$*\" in *version.cu) echo '=2 28 9' ;; esac\n")
    said, config = configure(nvcc)
    assert.matches("\nNCCL +2%.28%.9: several GPUs train together\n", said)
    assert.matches("NCCL_BUILD := nvcc\n", config)
    said, config = configure(nvcc .. " NCCL=0")
    assert.matches("\nNCCL +left out on request: one GPU trains\n", said)
    assert.matches("CUDA_BUILD := nvcc\nNCCL_BUILD := none\n", config)
  end)

  it("is installed where it is built", function()
    pretend("exit 0\n")
    local function plan(choices)
      local ok, output = run(("MAKEFLAGS= make -n install B=%s/build LIBDIR=/lib %s"):format(directory, choices))
      assert.message(output).is_truthy(ok)
      return output
    end
    local line = 'install %-m 755 [^\n]*/build/densenet/cuda%.so "/lib/densenet/cuda%.so"'
    assert.matches(line, plan("NVCC=" .. nvcc))
    assert.not_matches(line, plan("CUDA=0"))
    assert.matches("/densenet/nccl.so", plan("NVCC=" .. nvcc), 1, true)
    assert.not_matches("/densenet/nccl.so", plan("CUDA=0"), 1, true)
    assert.not_matches("/densenet/nccl.so", plan("NCCL=0 NVCC=" .. nvcc), 1, true)
  end)

  it("is neither asked for nor built by the demo", function()
    local asked = directory .. "/asked"
    pretend("touch " .. asked .. "\n")
    local choices = (" B=%s/build NVCC=%s"):format(directory, nvcc)
    local ok, output = run("MAKEFLAGS= make -n demo" .. choices)
    assert.message(output).is_truthy(ok)
    local module = output:match("\nmake [^\n]* (%S+) mpi\n[^\n]*main%.lua %-device cpu")
    assert.equal(directory .. "/build/densenet/core.so", module)
    ok, output = run("MAKEFLAGS= make -n " .. module .. choices)
    assert.message(output).is_truthy(ok)
    assert.matches("%-o " .. module, output)
    assert.not_matches("%.cu", output)
    assert.is_nil(io.open(asked))
  end)
end)

describe("the BLAS", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- lib<name>.so in the directory, with cblas_sgemm in plain loops and whatever `more` declares.
  local function pretend(name, more)
    local source = temporary.write(directory .. "/blas.c", [[
      void cblas_sgemm(int order, int a_how, int b_how, int m, int n, int k, float alpha, const float *a, int lda,
                       const float *b, int ldb, float beta, float *c, int ldc) {
        for (int i = 0; i < m; i++)
          for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int l = 0; l < k; l++) sum += a[i * lda + l] * b[l * ldb + j];
            c[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]);
          }
      }
    ]] .. (more or ""))
    local ok, said = run(("cc -O1 -shared -fPIC %s -o %s/lib%s.so"):format(source, directory, name))
    assert.message(said).is_truthy(ok)
  end
  local OPENBLAS = "const char *openblas_get_config(void) { return 0; }"

  local function program(name, lines)
    assert(run("chmod +x " .. temporary.write(directory .. "/" .. name, "#!/bin/sh\n" .. lines)))
  end

  -- What configure.sh says and writes, where the directory's libraries come before the system's.
  local function configure(choices)
    program("cc", 'PATH=${PATH#*:} exec cc -L"${0%/*}" "$@"\n')
    program("pkg-config", 'case "$*" in *openblas*) exit 1 ;; esac\nPATH=${PATH#*:} exec pkg-config "$@"\n')
    local output = directory .. "/config.mk"
    local ok, said = run(("PATH=%s:$PATH LD_LIBRARY_PATH=%s CC=%s/cc %s sh scripts/configure.sh %s"):format(
      directory, directory, directory, choices or "", output))
    return said, ok and temporary.read(output)
  end

  it("is the reference BLAS only where that is asked for", function()
    pretend("plain")
    local said, config = configure("BLAS_LIBS=-lplain")
    assert.matches("\nCBLAS +reference BLAS %(libplain%.so%), as BLAS_LIBS says: slower than the module's own", said)
    assert.matches("BLAS_LIBRARY := libplain%.so\n", config)
  end)

  it("may be missing: the module's own products multiply", function()
    local names = { "openblas", "mkl_rt", "blis", "armpl", "cblas", "blas" }
    for _, name in ipairs(names) do pretend(name) end
    local said, config = configure()
    assert.matches("\nCBLAS +none that is fast: the module's own products multiply", said)
    assert.matches("BLAS_LIBRARY := \n", config)
  end)

  it("is a fast one where there are both", function()
    pretend("blas")
    pretend("cblas")
    pretend("openblas", OPENBLAS)
    local said, config = configure()
    assert.matches("\nCBLAS +OpenBLAS %(libopenblas%.so%): multiplies large matrices\n", said)
    assert.matches("BLAS_LIBRARY := libopenblas%.so\n", config)
  end)

  it("is known by what it is, not by its file's name", function()
    pretend("openblas")
    pretend("cblas")
    pretend("blas", OPENBLAS)
    assert.matches("\nCBLAS +OpenBLAS %(libblas%.so%): multiplies large matrices\n", (configure()))
  end)

  it("is not replaced by another where the one asked for is not there", function()
    local said, config = configure("BLAS_LIBS=-lnonesuch")
    assert.is_falsy(config)
    assert.matches("no CBLAS: a program with cblas_sgemm does not run with BLAS_LIBS=%-lnonesuch", said)
  end)
end)

describe("a library of images", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- What configure.sh says and writes with a compiler that does not find the libraries in `lost`.
  local function configure(lost, choices)
    local program = '#!/bin/sh\ncase " $* " in %s) exit 1 ;; esac\nexec cc "$@"\n'
    local compiler = temporary.write(directory .. "/cc", program:format(lost))
    assert(run("chmod +x " .. compiler))
    local output = directory .. "/config.mk"
    local ok, said = run(("CC=%s %s sh scripts/configure.sh %s"):format(compiler, choices or "", output))
    assert.message(said).is_truthy(ok)
    return said, temporary.read(output)
  end

  it("may be missing, and the build says what it reads without", function()
    local said, config = configure("*' -ljpeg '*|*' -lpng '*")
    for format, name in pairs { JPEG = "jpeg", PNG = "png" } do
      local line = "\n%s +no lib%s, so no %s images %%(Debian, Ubuntu: apt%%-get install lib%s%%-dev, then make%%)\n"
      assert.matches(line:format(format, name, format, name), said)
    end
    assert.not_matches("JPEG", config)
    assert.not_matches("PNG", config)
  end)

  it("may be left out", function()
    local said, config = configure("none", "NO_JPEG=1 NO_PNG=1")
    assert.matches("\nJPEG +left out on request", said)
    assert.matches("\nPNG +left out on request", said)
    assert.not_matches("DN_HAVE", config)
  end)

  it("is what decoders are refused without, by a sentence for the file's owner", function()
    for _, format in ipairs { "jpeg", "png" } do
      local source = temporary.write(directory .. "/try.c", ([[
        #include <stdio.h>
        #include "dn_image_decode.h"
        dn_status dn_image_decode_%s(const dn_image_source *source, int n_channels, dn_tensor *image);
        int main(void) {
          const dn_image_source source = {.name = "cat.jpg"};
          const dn_status status = dn_image_decode_%s(&source, 3, NULL);
          printf("%%s %%s\n", dn_status_word(status), dn_error_message());
        }]]):format(format, format))
      local parts = {}
      for _, name in ipairs { "dn_image_" .. format, "dn_image_decode", "dn_status", "dn_locale" } do
        parts[#parts + 1] = "src/" .. name .. ".c"
      end
      -- What the sentence does not need is not linked.
      local flags = "-D_POSIX_C_SOURCE=200809L -std=c11 -O0 -Isrc -Wl,--unresolved-symbols=ignore-all -no-pie"
      local program = directory .. "/try"
      parts = table.concat(parts, " ")
      local ok, said = run(("cc %s %s %s -o %s && %s"):format(flags, source, parts, program, program))
      assert.message(said).is_truthy(ok)
      local line = "unsupported cat.jpg: this build reads no %s (lib%s was not found: apt-get install lib%s-dev, "
        .. "then make)\n"
      assert.equal(line:format(format:upper(), format, format), said)
    end
  end)
end)

describe("another Lua", function()
  for _, lua in ipairs { "lua5.1", "lua5.3" } do
    it(lua .. " is told which version is needed", function()
      if not there(lua) then return pending("no " .. lua .. " here") end
      local ok, output = run(([[eval $(make -s env) && %s -e 'require "densenet"']]):format(lua))
      assert.is_falsy(ok)
      assert.matches("Lua 5%.4", output)
      assert.matches("lua5%.4", output)
      ok, output = run(lua .. " main.lua")
      assert.is_falsy(ok)
      assert.matches("needs Lua 5%.4", output)
    end)
  end
end)
