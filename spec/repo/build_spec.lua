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

  it("installs with luarocks from the checkout", function()
    if isSanitized then return pending("builds without the sanitizers") end
    if not there("luarocks") then return pending("no luarocks here") end
    local tree = temporary.directory()
    finally(function() temporary.remove(tree) end)
    -- nvcc would take minutes, and has built its part already; what becomes of it is a test below
    local ok, output = run(("CUDA=0 MAKEFLAGS=-j2 luarocks make --lua-version 5.4 --tree '%s' %s")
      :format(tree, "rockspec/densenet-scm-1.rockspec"))
    assert.message(output).is_truthy(ok)
    ok, output = run(("cd / && export LUA_PATH_5_4='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua' " ..
      "LUA_CPATH_5_4='%s/lib/lua/5.4/?.so' && lua5.4 %s"):format(tree, tree, tree, use))
    assert.message(output).is_truthy(ok)
    assert.matches("12%.0\n$", output)
  end)

  it("exports its one entry and nothing else", function()
    if isSanitized then return pending("the sanitizers add names of their own") end
    if not there("nm") then return pending("no nm here") end
    local _, output = run("nm -D --defined-only build/densenet/core.so")
    local names = {}
    for name in output:gmatch("%x+ %u ([%w_]+)") do names[#names + 1] = name end
    assert.same({ "luaopen_densenet_core" }, names)
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
    local output = directory .. "/config.mk"
    local ok, said = run(("NVCC=%s sh scripts/configure.sh %s"):format(program, output))
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
  end)
end)

describe("another Lua", function()
  for _, lua in ipairs { "lua5.1", "lua5.2", "lua5.3", "luajit" } do
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
