-- A backend of one's own, small.so beside core.so (spec/support/small_backend.c): what it has works, what
-- it does not have is refused by name, and the library needs no line for it.

local temporary = require "spec.support.temporary"

local function run(command)
  local pipe = assert(io.popen("(" .. command .. ") 2>&1"))
  local output = pipe:read("a")
  return pipe:close(), output
end

describe("a backend beside core.so", function()
  local directory = temporary.directory()
  local build = os.getenv("DENSENET_BUILD") or "build"
  local cc = os.getenv("CC") or "cc"
  -- The sanitizers' core.so, loaded by a host of its own, needs nothing of them in the plugin.
  local compiles, said = run(("mkdir %s/densenet && ln -s \"$PWD/%s/densenet/core.so\" %s/densenet/ && " ..
    "%s -std=c11 -D_POSIX_C_SOURCE=200809L -shared -fPIC -o %s/densenet/small.so spec/support/small_backend.c")
    :format(directory, build, directory, cc, directory))

  teardown(function() temporary.remove(directory) end)

  local function output(program)
    local found = package.cpath
    package.cpath = directory .. "/?.so;" .. found
    local text = temporary.output(program)
    package.cpath = found
    return text
  end

  it("compiles with nothing but the library's headers", function() assert.message(said).is_truthy(compiles) end)

  it("has devices under its name", function()
    assert.equal("small:0\tthe small one, as small:0\ncpu\n3.0\t3.0\n", output [[
      local device = assert(dn.device "small:0")
      print(device, device.product)
      local t = dn.full(3, { 2, 2, device = "small" })
      local there = core.tensor_new("small:0", "float", { 2, 2 })
      core.fill(there, 3)
      print(t:to("cpu"):device())
      print(t:to("cpu"):at(2, 1), there:at(1, 2))
    ]])
  end)

  it("may lack operations, and the front door names them", function()
    local text = output [[
      local t = dn.zeros { 2, device = "small" }
      print(pcall(core.relu_forward, t, t))
      print(select(2, pcall(core.unary, t, t, "huh")))
      print(#core.operations "small", core.operations "small"[1], #core.operations() > 40)
    ]]
    assert.matches("^false\t[^\n]*small has no 'relu_forward' yet %(cpu has%)\n", text)
    assert.matches("invalid option 'huh'", text) -- misuse comes first
    assert.matches("\n1\tfill\ttrue\n$", text)
  end)

  it("has one device where it does not say how many", function()
    assert.equal("1\n", output [[print(core.device_count "small")]])
    assert.equal("nil\tunknown device 'smaller'; expected 'cuda'\targument\n",
      output [[print(core.device_count "smaller")]])
  end)

  it("says which of its devices are not there, and that it cannot plan", function()
    assert.equal("nil\tno small:1: there is one\tdevice\nnil\tsmall has no plan devices\tdevice\n" ..
      "nil\tunknown device 'smaller'; expected 'cpu' or 'cuda'\targument\n" ..
      "nil\tunknown device 'core'; expected 'cpu' or 'cuda'\targument\n" ..
      "nil\tsmall does not support TF32\tdevice\n", output [[
      print(core.device_find "small:1")
      print(core.device_find "plan:small:0")
      print(core.device_find "smaller")
      print(core.device_find "core")
      print(core.tf32("small:0", true))
    ]]:gsub("small:0 does", "small does"))
  end)
end)
