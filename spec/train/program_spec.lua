local liveLine = require "densenet.train.live_line"
local program = require "densenet.train.program"

local function run(main)
  local said, stderr = {}, io.stderr
  local function write(_, ...) said[#said + 1] = table.concat { ... } end
  io.stderr = { write = write } -- luacheck: ignore 122
  local done, status = pcall(program.run, "it.lua", "usage: it.lua", main)
  io.stderr = stderr -- luacheck: ignore 122
  assert(done, status)
  return status, table.concat(said)
end

describe("a program", function()
  it("takes the redrawn line away before it says why it ends", function()
    local order, stdout, stderr = {}, io.stdout, io.stderr
    local function stream(name)
      return { write = function(_, ...) order[#order + 1] = name .. table.concat { ... } end, flush = function() end }
    end
    io.stdout, io.stderr = stream "out: ", stream "err: " -- luacheck: ignore 122
    local done, message = pcall(program.run, "it.lua", "usage", function()
      liveLine.show("epoch 1")
      program.stop(1, "no")
    end)
    io.stdout, io.stderr = stdout, stderr -- luacheck: ignore 122
    assert(done, message)
    assert.same({ "out: \repoch 1\27[K", "out: \r\27[K", "err: it.lua: no\n" }, order)
  end)

  it("ends with 0, or with what main returns", function()
    assert.equal(0, (run(function() end)))
    assert.equal(7, (run(function() return 7 end)))
  end)

  it("says what the outside world refused, without a traceback", function()
    local status, text = run(function() program.check(nil, "no such file", "io") end)
    assert.equal(1, status)
    assert.equal("it.lua: no such file\n", text)
  end)

  it("passes on what succeeds, nil and false included", function()
    run(function()
      assert.same({ 1, 2, 3 }, { program.check(1, 2, 3) })
      assert.is_nil((program.check(nil)))
    end)
  end)

  it("shows the usage for a bad command line", function()
    for _, main in ipairs { function() program.refuse("bad") end, function() program.check(nil, "bad", "usage") end } do
      local status, text = run(main)
      assert.equal(2, status)
      assert.equal("it.lua: bad\nusage: it.lua\n", text)
    end
  end)

  it("ends with the status that a failure brings", function()
    local status, text = run(function() program.check(nil, "interrupted", "interrupted", 130) end)
    assert.equal(130, status)
    assert.equal("it.lua: interrupted\n", text)
  end)

  it("keeps a bug's traceback", function()
    local status, text = run(function() local t = nil; return t.x end)
    assert.equal(1, status)
    assert.is_truthy(text:find("^it.lua: .*attempt to index a nil value"))
    assert.is_truthy(text:find("stack traceback", 1, true))
  end)

  it("takes running out of memory for no bug", function()
    local status, text = run(function() error("out of memory on cpu: 99 bytes asked for") end)
    assert.equal(1, status)
    assert.equal("it.lua: out of memory on cpu: 99 bytes asked for\n", text)
    -- As a network tells it: with the module's place, and the traceback of the first error.
    local sentence = "in module 2 of nn.Sequential (nn.Linear): out of memory on cuda:0: 99 bytes asked for"
    status, text = run(function() error(sentence .. "\nstack traceback:\n\t[C]: in ?", 0) end)
    assert.equal(1, status)
    assert.equal("it.lua: " .. sentence .. "\n", text)
  end)
end)
