-- require "densenet": no globals, parts loaded when asked for, one version, and a clear word under
-- any other Lua.

local dn = require "densenet"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

-- What a command prints, both streams, and its exit status.
local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  local _, _, status = pipe:close()
  return text, status
end

local function is_installed(program)
  return select(2, output_of("command -v " .. program)) == 0
end

-- Runs Lua code in a process of its own, by the interpreter that runs this.
local function output_of_lua(code)
  return output_of(("LUA_PATH='%s' LUA_CPATH='%s' '%s' -e '%s'"):format(
    package.path, package.cpath, temporary.interpreter(), code))
end

describe("require", function()
  it("sets no global", function()
    local text, status = output_of_lua([[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      local dn = require "densenet"
      assert(tostring(dn.randn(2, 2):mm(dn.ones(2, 2)):sum(1)))
      for name in pairs(_G) do if not before[name] then print("global " .. name) end end]])
    assert.equal("", text)
    assert.equal(0, status)
  end)

  it("loads the parts only when they are asked for", function()
    local text, status = output_of_lua([[
      local dn = require "densenet"
      assert(not package.loaded["densenet.io.json"] and not package.loaded["densenet.nn"])
      assert(rawget(dn, "json") == nil and dn.json == require "densenet.io.json" and rawget(dn, "json"))
      assert(rawget(dn, "nonesuch") == nil)]])
    assert.equal("", text)
    assert.equal(0, status)
  end)

  it("has the version of the C library", function()
    assert.matches("^%d+%.%d+%.%d+$", dn.version)
    assert.equal(core.version, dn.version)
  end)

  it("may open the core once more, and tensors keep their methods", function()
    local t = dn.ones(3)
    package.loaded["densenet.core"] = nil
    local again = require "densenet.core"
    package.loaded["densenet.core"] = core
    assert.equal(3, t:sum())
    assert.is_true(again.is_tensor(t))
  end)
end)

describe("another Lua", function()
  local source = package.searchpath("densenet", package.path)

  it("is told which one is needed and how to call it", function()
    for _, version in ipairs { "Lua 5.1", "Lua 5.3", "Lua 5.5" } do
      local environment = {
        _VERSION = version, error = error, type = type, tostring = tostring, arg = { [0] = "my.lua" },
      }
      local ok, message = pcall(loadfile(source, "t", environment))
      assert.is_false(ok)
      assert.equal("densenet needs Lua 5.4, and this is " .. version .. ". Run it as: lua5.4 my.lua", message)
    end
  end)

  it("is told so by LuaJIT's name too", function()
    local environment = {
      _VERSION = "Lua 5.1", error = error, type = type, tostring = tostring, jit = { version = "LuaJIT 2.1" },
    }
    local _, message = pcall(loadfile(source, "t", environment))
    assert.equal("densenet needs Lua 5.4, and this is Lua 5.1 (LuaJIT 2.1). Run it as: lua5.4 script.lua", message)
  end)

  for _, program in ipairs { "lua5.1", "lua5.2", "lua5.3", "luajit" } do
    if is_installed(program) then
      it("reads the file as far as that: " .. program, function()
        local text, status = output_of(("LUA_PATH='%s' %s -e 'require \"densenet\"'"):format(package.path, program))
        assert.matches("densenet needs Lua 5.4, and this is Lua 5", text)
        assert.equal(1, status)
      end)
    end
  end
end)

describe("a module that is loaded again", function()
  it("refuses what it refused before", function()
    local output = temporary.output [[
      for name in pairs(package.loaded) do if name:find "^densenet" then package.loaded[name] = nil end end
      dn, core = require "densenet", require "densenet.core"
      print(pcall(core.tensor_methods.float, nil))
    ]]
    assert.matches("float is called on nil; a tensor expected, as in t:float", output)
  end)
end)
